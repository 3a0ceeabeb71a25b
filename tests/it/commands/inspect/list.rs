//! The list: what is in it, in which order, and how it is narrowed.

use super::*;

#[test]
fn every_delivery_stands_in_a_line_of_its_own_with_what_became_of_it() {
    let stage = Stage::played();
    let text = printed(&stage.inspect(&[]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 9, "{text}");
    for title in ["ACCEPTED", "ID", "APP", "EVENT", "ORGANIZATION", "OUTCOME"] {
        assert!(lines[0].contains(title), "{text}");
    }
    let expected = [
        ("default", "installed", "org1", "published icr.webhooks["),
        (
            "default",
            "organizationTransaction",
            "org2",
            "published icr.webhooks[",
        ),
        ("sandbox", "installed", "org1", "published icr.webhooks["),
        (
            "default",
            "projectValidated",
            "org3",
            "published icr.webhooks[",
        ),
        (
            "default",
            "-",
            "-",
            "quarantined payload_not_json icr.webhooks.quarantine[0]@0",
        ),
        (
            "default",
            "-",
            "org1",
            "quarantined event_missing icr.webhooks.quarantine[0]@1",
        ),
        ("default", "suspended", "org1", "held record_invalid"),
        ("default", "unsuspended", "org2", "pending"),
    ];
    for ((line, id), (app, event, organization, outcome)) in
        lines[1..].iter().zip(stage.ids()).zip(expected)
    {
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(cells[1..5], [id, app, event, organization], "{text}");
        assert!(
            cells[0].starts_with("20") && cells[0].ends_with('Z'),
            "{text}"
        );
        let shown = cells[5..].join(" ");
        assert!(shown.starts_with(outcome), "{shown} instead of {outcome}");
    }
    assert!(!text.contains('\u{1b}'), "plain when piped");
}

#[test]
fn texts_of_any_length_are_shown_and_those_beside_them_stay_in_their_columns() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let app = TestApp::on(&journal, &[]).unwrap();
    let long = "o".repeat(70_000);
    let payloads = [
        payload("installed", &long),
        payload(&"e".repeat(66_000), &long),
        payload("installed", "short"),
    ];
    for payload in payloads {
        let text = serde_json::to_vec(&payload).unwrap();
        accepted(
            &app,
            "/webhook",
            &app.simulator().sign_text(&text, json!({})),
        );
    }
    app.stop();
    for arguments in [["inspect"].as_slice(), &["inspect", "--json"]] {
        let output = run(arguments, &[("JOURNAL_DIR", journal.to_str().unwrap())]);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains(&long), "{arguments:?}");
        let short = shown.lines().find(|line| line.contains("short")).unwrap();
        assert!(short.len() < 1000, "{short}");
    }
}

#[test]
fn the_columns_stand_under_each_other() {
    let stage = Stage::played();
    let text = printed(&stage.inspect(&[]));
    let titles = text.lines().next().unwrap();
    for (title, cells) in [
        ("ORGANIZATION", ["org1", "org2", "org3", "-   "].as_slice()),
        ("OUTCOME", &["publ", "quar", "held", "pend"]),
        ("APP", &["defa", "sand"]),
    ] {
        let at = titles.find(title).unwrap();
        for line in text.lines().skip(1) {
            assert!(cells.contains(&&line[at..at + 4]), "{title} in\n{text}");
        }
    }
}

#[test]
fn each_criterion_narrows_the_list_and_all_of_them_together() {
    let stage = Stage::played();
    let check = |arguments: &[&str], expected: &[&String]| {
        let found = ids(&stage.inspect(&[arguments, &["--json"]].concat()));
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{arguments:?}");
    };
    let everything = stage.ids();
    assert_eq!(ids(&stage.inspect(&["--json"])), everything);
    check(
        &["--event", "installed"],
        &[&stage.installed, &stage.sandbox],
    );
    check(&["--event", "projectValidated"], &[&stage.unknown_event]);
    check(
        &["--event", "suspended,unsuspended"],
        &[&stage.held, &stage.pending],
    );
    check(
        &["--organization", "org2"],
        &[&stage.transaction, &stage.pending],
    );
    check(&["--app", "sandbox"], &[&stage.sandbox]);
    check(
        &["--outcome", "quarantined"],
        &[&stage.no_json, &stage.no_event],
    );
    check(&["--outcome", "held"], &[&stage.held]);
    check(&["--outcome", "pending"], &[&stage.pending]);
    check(&["--outcome", "unknown"], &[]);
    check(
        &["--outcome", "held", "--outcome", "pending"],
        &[&stage.held, &stage.pending],
    );
    check(
        &[
            "--event",
            "installed",
            "--organization",
            "org1",
            "--app",
            "default",
            "--outcome",
            "published",
            "--since",
            "1h",
        ],
        &[&stage.installed],
    );
    check(&["--event", "installed", "--outcome", "held"], &[]);
    check(&["--until", "1h"], &[]);
    check(&["--since", "2999-01-01"], &[]);
    check(&["--event", "Installed"], &[]);
}

#[test]
fn a_time_is_a_bound_to_the_millisecond() {
    let stage = Stage::played();
    let all = objects(&stage.inspect(&["--json"]));
    let third = all[2]["accepted_at"].as_str().unwrap();
    let since = ids(&stage.inspect(&["--json", "--since", third]));
    let until = ids(&stage.inspect(&["--json", "--until", third]));
    assert!(since.contains(&stage.sandbox) && !until.contains(&stage.sandbox));
    assert_eq!([until, since].concat(), stage.ids());
}

#[test]
fn the_newest_are_shown_last_and_it_is_said_how_many_are_left_out() {
    let stage = Stage::played();
    let output = stage.inspect(&["--last", "3", "--json"]);
    assert_eq!(
        ids(&output),
        [&*stage.no_event, &stage.held, &stage.pending]
    );
    assert!(
        told(&output).contains("The newest 3 of 8: 5 older"),
        "{}",
        told(&output)
    );
    let output = stage.inspect(&["--last", "1", "--outcome", "published", "--json"]);
    assert_eq!(ids(&output), [&*stage.unknown_event]);
    assert!(told(&output).contains("1 of 4"), "{}", told(&output));
    for enough in [["--last", "8"].as_slice(), &["--all"], &[]] {
        let output = stage.inspect(&[enough, &["--json"]].concat());
        assert_eq!(ids(&output).len(), 8);
        assert_eq!(told(&output), "");
    }
    let output = stage.inspect(&["--last", "0"]);
    assert_eq!(printed(&output), "");
    assert!(told(&output).contains("0 of 8"));
}

#[test]
fn an_object_says_all_that_is_known_at_a_glance() {
    let stage = Stage::played();
    let all = objects(&stage.inspect(&["--json"]));
    let transaction = &all[1];
    let mut expected = json!({
        "sequence": 2, "id": stage.transaction, "app": "default", "event": "organizationTransaction", "organization": "org2",
        "installation": "installation of org2", "transaction": "t-1", "outcome": "published", "reason": null,
        "topic": MAIN, "held_copy": false,
    });
    for open in ["accepted_at", "partition", "offset"] {
        expected[open] = transaction[open].clone();
    }
    assert!(transaction["partition"].is_u64() && transaction["offset"].is_u64());
    assert!(transaction["accepted_at"].is_string());
    assert_eq!(*transaction, expected);
    assert_eq!(all[4]["reason"], "payload_not_json");
    assert_eq!(
        (&all[4]["topic"], &all[4]["event"]),
        (&json!(QUARANTINE), &Value::Null)
    );
    assert_eq!(
        (&all[6]["reason"], &all[6]["topic"]),
        (&json!("record_invalid"), &Value::Null)
    );
    assert_eq!(
        (&all[7]["outcome"], &all[7]["reason"]),
        (&json!("pending"), &Value::Null)
    );
}

#[test]
fn beside_a_running_bridge_what_was_just_published_is_not_called_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let kafka = kafka();
    let app = TestApp::on(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]).unwrap();
    let simulator = app.simulator();
    for round in 0..3 {
        deliver(&app, &simulator, round * 10..round * 10 + 10);
        until_settled(&app);
        let all = objects(&inspect(dir.path(), &["--json"]));
        assert_eq!(all.len() as u64, (round + 1) * 10);
        assert!(
            all.iter().all(|object| object["outcome"] == "published"),
            "{all:?}"
        );
    }
}

#[test]
fn a_list_of_many_segments_is_whole_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::on(dir.path(), &[("JOURNAL_SEGMENT_BYTES", "64KiB")]).unwrap();
    let simulator = app.simulator();
    let expected = deliver(&app, &simulator, 0..300);
    assert_eq!(ids(&inspect(dir.path(), &["--json"])), expected);
    let output = inspect(
        dir.path(),
        &["--json", "--organization", "org2", "--last", "7"],
    );
    assert!(
        told(&output).contains("The newest 7 of 60"),
        "{}",
        told(&output)
    );
    let found = ids(&output);
    let org2: Vec<&String> = expected.iter().skip(1).step_by(5).collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), org2[53..]);
}
