//! Copies, damage, folders that are none, and outputs that go away.

use super::*;
use crate::support::process::command;
use icr_bridge::journal::Append;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

/// A copy of a folder and the folders in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_copy_is_read_like_the_original_and_left_as_it_was() {
    let stage = Stage::played();
    let dir = tempfile::tempdir().unwrap();
    copy(&stage.journal(), dir.path());
    let before = contents(dir.path());
    let arguments: [&[&str]; 3] = [&["--json"], &["--id", &stage.held], &["--last", "3"]];
    for arguments in arguments {
        let (original, copied) = (stage.inspect(arguments), inspect(dir.path(), arguments));
        assert_eq!(printed(&copied), printed(&original));
    }
    assert_eq!(contents(dir.path()), before);
    assert_eq!(contents(&stage.journal()).len(), before.len());
}

#[test]
fn a_copy_without_cursor_and_outcomes_still_lists_every_delivery() {
    let stage = Stage::played();
    for (file, _) in contents(&stage.journal()) {
        if file.extension().is_none_or(|extension| extension != "log") {
            fs::remove_file(file).unwrap();
        }
    }
    let all = objects(&stage.inspect(&["--json"]));
    assert_eq!(all.len(), 8);
    assert!(
        all.iter().all(|object| object["outcome"] == "pending"),
        "{all:?}"
    );
}

#[test]
fn where_the_outcomes_lost_their_tail_the_outcome_is_unknown() {
    let stage = Stage::played();
    let logs = contents(&stage.journal()).into_iter();
    let logs = logs.filter(|(path, _)| {
        path.extension()
            .is_some_and(|extension| extension == "outcomes")
    });
    let (log, bytes) = logs.max_by_key(|(_, bytes)| bytes.len()).unwrap();
    // The first entry stays.
    let length = u32::from_le_bytes(bytes[20..24].try_into().unwrap()) as usize;
    fs::write(log, &bytes[..16 + 16 + length + 5]).unwrap();
    let all = objects(&stage.inspect(&["--json"]));
    let outcomes: Vec<&str> = all
        .iter()
        .map(|object| object["outcome"].as_str().unwrap())
        .collect();
    let noted = u64::from_le_bytes(bytes[24..32].try_into().unwrap()) as usize;
    let mut expected = ["unknown"; 8];
    expected[noted - 1] = if noted > 4 {
        "quarantined"
    } else {
        "published"
    };
    expected[6..].copy_from_slice(&["held", "pending"]);
    assert_eq!(outcomes, expected);
    let other = if noted == 1 { 2 } else { 1 };
    let text = printed(&stage.inspect(&["--id", stage.ids()[other - 1]]));
    assert!(
        text.contains("the note of what became of it was lost"),
        "{text}"
    );
    let found = ids(&stage.inspect(&["--json", "--outcome", "unknown"]));
    assert_eq!(found.len(), 5);
}

#[test]
fn damage_is_said_and_hides_nothing_else() {
    let stage = Stage::played();
    let segments = contents(&stage.journal()).into_iter();
    let place = |bytes: &[u8]| bytes.windows(7).position(|window| window == b"sandbox");
    let (path, mut bytes) = segments
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "log"))
        .find(|(_, bytes)| place(bytes).is_some())
        .unwrap();
    let at = place(&bytes).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let output = stage.inspect(&["--json"]);
    let mut expected = stage.ids();
    expected.remove(2);
    assert_eq!(ids(&output), expected);
    assert!(
        told(&output).contains("the delivery with the sequence 3 is lost to damage"),
        "{}",
        told(&output)
    );
    let output = stage.inspect(&["--id", &stage.sandbox]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("sequence 3 is lost"),
        "{}",
        told(&output)
    );
    let output = stage.inspect(&["--id", &stage.pending]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_segment_that_may_not_be_read_is_said_and_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let app = TestApp::on(&journal, &[("JOURNAL_SEGMENT_BYTES", "64KiB")]).unwrap();
    let all = deliver(&app, &app.simulator(), 0..100);
    app.stop();
    let segments = contents(&journal).into_iter().map(|(path, _)| path);
    let segments =
        segments.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let segments: Vec<_> = segments.collect();
    let base = |path: &Path| {
        path.file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    let (forbidden, after) = (&segments[1], base(&segments[2]));
    allow_all(&journal);
    fs::set_permissions(forbidden, fs::Permissions::from_mode(0o000)).unwrap();
    let Some(output) = as_nobody(&journal, &["inspect", "--json"]) else {
        return;
    };
    assert_eq!(output.status.code(), Some(74), "not all was read");
    let shown = String::from_utf8(output.stdout.clone()).unwrap();
    let shown: Vec<&str> = shown
        .lines()
        .map(|line| line.split('"').nth(5).unwrap())
        .collect();
    let expected: Vec<&str> = all[..base(forbidden) - 1]
        .iter()
        .chain(&all[after - 1..])
        .map(String::as_str)
        .collect();
    assert_eq!(shown, expected);
    let range = format!(
        "the sequences {} to {} cannot be read",
        base(forbidden),
        after - 1
    );
    assert!(told(&output).contains(&range), "{}", told(&output));
    assert!(
        told(&output).contains(forbidden.to_str().unwrap()),
        "{}",
        told(&output)
    );
}

/// So that somebody else may read it.
fn allow_all(dir: &Path) {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    for (path, _) in contents(dir) {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn of_a_held_delivery_whose_record_is_gone_the_copy_is_shown() {
    let stage = Stage::played();
    for (file, _) in contents(&stage.journal()) {
        if file
            .extension()
            .is_some_and(|extension| extension == "log" || extension == "outcomes")
        {
            fs::remove_file(file).unwrap();
        }
    }
    let output = stage.inspect(&["--json"]);
    let [found] = objects(&output).try_into().unwrap();
    assert_eq!(found["id"], stage.held);
    assert_eq!(
        (&found["outcome"], &found["reason"], &found["held_copy"]),
        (&json!("held"), &json!("record_invalid"), &json!(true))
    );
    assert!(
        told(&output).contains("the sequences 1 to 6 are lost"),
        "{}",
        told(&output)
    );
    let text = printed(&stage.inspect(&["--id", &stage.held]));
    assert!(text.contains("this is the copy that is held"), "{text}");
    assert!(!text.contains(EMAIL), "{text}");
}

#[test]
fn a_record_that_this_bridge_cannot_read_is_listed_as_such() {
    let stage = Stage::played();
    let journal = open(&stage.journal());
    let (sender, stored) = std::sync::mpsc::channel();
    let append = Append {
        tag_length: 0,
        bytes: b"\x02of a newer version".to_vec(),
        done: Box::new(move |result| sender.send(result).unwrap()),
    };
    journal.append(append).unwrap();
    assert_eq!(stored.recv().unwrap(), Ok(9));
    journal.close();
    let text = printed(&stage.inspect(&["--last", "1"]));
    assert!(text.contains("(sequence 9: unreadable)"), "{text}");
    let last = objects(&stage.inspect(&["--json"])).pop().unwrap();
    assert_eq!((&last["sequence"], &last["id"]), (&json!(9), &Value::Null));
    let why = last["unreadable"].as_str().unwrap();
    assert!(why.contains("version 2 is newer"), "{why}");
    assert_eq!(
        ids(&stage.inspect(&["--json", "--app", "default"])).len(),
        7
    );
}

#[test]
fn an_empty_folder_is_said_to_be_empty_and_a_missing_one_ends_with_74() {
    let dir = tempfile::tempdir().unwrap();
    let output = inspect(dir.path(), &[]);
    assert_eq!(printed(&output), "");
    assert!(
        told(&output).contains("holds no deliveries"),
        "{}",
        told(&output)
    );
    let output = inspect(
        dir.path(),
        &["--id", "01900000-0000-7000-8000-000000000000"],
    );
    assert_eq!(output.status.code(), Some(1));
    for arguments in [
        [].as_slice(),
        &["--follow"],
        &["--json"],
        &["--id", "01900000-0000-7000-8000-000000000000"],
    ] {
        let missing = dir.path().join("nowhere");
        let output = inspect(&missing, arguments);
        assert_eq!(output.status.code(), Some(74), "{arguments:?}");
        assert!(
            told(&output).contains(missing.to_str().unwrap()),
            "{}",
            told(&output)
        );
    }
    let file = dir.path().join("file");
    fs::write(&file, "no folder").unwrap();
    assert_eq!(inspect(&file, &[]).status.code(), Some(74));
    assert!(contents(dir.path()).len() == 1, "nothing was created");
}

#[test]
fn a_folder_that_may_not_be_read_ends_with_74_and_its_name() {
    let stage = Stage::played();
    let allow =
        |mode| fs::set_permissions(stage.journal(), fs::Permissions::from_mode(mode)).unwrap();
    allow(0o000);
    // Nothing is forbidden to root; to somebody else it is.
    let output = as_nobody(&stage.journal(), &["inspect"]);
    allow(0o700);
    let Some(output) = output else { return };
    assert_eq!(output.status.code(), Some(74), "{}", told(&output));
    assert!(
        told(&output).contains(stage.journal().to_str().unwrap()),
        "{}",
        told(&output)
    );
    assert!(
        told(&output).contains("ermission denied"),
        "{}",
        told(&output)
    );
}

/// Runs it as a user without rights where that can be arranged: as root, with another user's id.
fn as_nobody(journal: &Path, arguments: &[&str]) -> Option<Output> {
    use std::os::unix::process::CommandExt;
    let settings = [("JOURNAL_DIR", journal.to_str().unwrap())];
    // SAFETY: it asks for a number.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        return Some(run(arguments, &settings));
    }
    // The binary itself must be within that user's reach.
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("icr-bridge");
    fs::copy(env!("CARGO_BIN_EXE_icr-bridge"), &binary).ok()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).ok()?;
    fs::set_permissions(journal.parent()?, fs::Permissions::from_mode(0o755)).ok()?;
    let mut command = std::process::Command::new(&binary);
    command
        .args(arguments)
        .env_clear()
        .env("ICR_BRIDGE_JOURNAL_DIR", journal);
    command.uid(65534).gid(65534).output().ok()
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::on(dir.path(), &[]).unwrap();
    deliver(&app, &app.simulator(), 0..300);
    for arguments in [
        ["inspect", "--json"].as_slice(),
        &["inspect"],
        &["inspect", "--follow", "--all"],
    ] {
        let mut child = command(arguments, &[("JOURNAL_DIR", dir.path().to_str().unwrap())])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.next().unwrap().unwrap();
        drop(lines);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(told(&output), "", "{arguments:?}");
    }
}

#[test]
fn wrong_use_ends_with_64_and_says_what_would_be_right() {
    for (arguments, words) in [
        (["--id", "17"].as_slice(), "--id"),
        (
            &["--outcome", "lost"],
            "pending, published, quarantined, held, unknown",
        ),
        (&["--since", "yesterday"], "2026-11-26T08:00:00Z"),
        (
            &["--since", "1h", "--until", "2h"],
            "--since must be earlier than --until",
        ),
        (&["--last", "many"], "--last"),
        (&["--last", "3", "--all"], "cannot be used with"),
        (
            &["--all", "--id", "01900000-0000-7000-8000-000000000000"],
            "cannot be used with",
        ),
        (&["nonsense"], "unexpected argument"),
    ] {
        let output = run(&[&["inspect"], arguments].concat(), &[]);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(
            told(&output).contains(words),
            "{words} in {}",
            told(&output)
        );
    }
}
