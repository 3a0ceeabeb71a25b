//! `--follow`: over rollover, retention, restarts, and until it is told to end.

use super::*;
use crate::support::eventually::within;
use crate::support::process::command;
use icr_bridge::domain::outcome::Outcome;
use icr_bridge::domain::reasons::QuarantineReason;
use icr_bridge::journal::Taker;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// `inspect --follow` at work; killed when dropped.
struct Following {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Following {
    fn start(journal: &Path, arguments: &[&str]) -> Self {
        let arguments = [&["inspect", "--follow"], arguments].concat();
        let mut child = command(&arguments, &[("JOURNAL_DIR", journal.to_str().unwrap())])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let read = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn({
            let lines = Arc::clone(&lines);
            move || {
                let lines = &lines;
                read.map_while(Result::ok)
                    .for_each(|line| lines.lock().unwrap().push(line));
            }
        });
        Self { child, lines }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The outcomes shown for each id, in their order.
    fn outcomes(&self) -> BTreeMap<String, Vec<String>> {
        let mut outcomes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in self.lines() {
            let object: Value = serde_json::from_str(&line).unwrap();
            let text = |name: &str| object[name].as_str().unwrap().to_owned();
            outcomes
                .entry(text("id"))
                .or_default()
                .push(text("outcome"));
        }
        outcomes
    }

    /// Waits until each of `ids` was last shown with this outcome, and says what was shown of each.
    fn until_all(&self, ids: &[String], outcome: &str) -> BTreeMap<String, Vec<String>> {
        within(Duration::from_secs(60), "all are shown", || {
            let outcomes = self.outcomes();
            let shown = |id: &String| outcomes.get(id)?.last().map(|last| last == outcome);
            ids.iter()
                .all(|id| shown(id) == Some(true))
                .then_some(outcomes)
        })
    }

    /// Ctrl-C; what it printed, and its exit code.
    fn interrupt(mut self) -> (Vec<String>, Option<i32>) {
        // SAFETY: a signal to a child that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) };
        let status = eventually("it ends", || self.child.try_wait().unwrap());
        (self.lines(), status.code())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn new_deliveries_are_shown_as_they_come_and_again_when_they_are_published() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::on(dir.path(), &[]).unwrap();
    let simulator = app.simulator();
    let before = deliver(&app, &simulator, 0..15);
    let following = Following::start(dir.path(), &["--json"]);
    following.until_all(&before[5..], "pending");
    assert_eq!(following.lines().len(), 10, "as tail -f");
    let after = deliver(&app, &simulator, 15..20);
    following.until_all(&after, "pending");
    app.stop();
    let kafka = kafka();
    let app = TestApp::on(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]).unwrap();
    // Also of those that were too old to be shown at first.
    let shown = following.until_all(&[before.clone(), after].concat(), "published");
    for (id, outcomes) in &shown {
        let first = !before[..5].contains(id);
        assert_eq!(outcomes.len(), 1 + usize::from(first), "{id}: {outcomes:?}");
    }
    let live = deliver(&app, &simulator, 20..25);
    let shown = following.until_all(&live, "published");
    for id in &live {
        assert!(
            shown[id].len() <= 2 && shown[id].ends_with(&["published".to_owned()]),
            "{shown:?}"
        );
    }
    let (lines, code) = following.interrupt();
    assert_eq!(code, Some(0));
    assert!(
        lines
            .iter()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
}

#[test]
fn it_goes_on_over_rollover_retention_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let kafka = kafka();
    let settings = [
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
        ("JOURNAL_SEGMENT_BYTES", "64KiB"),
        ("JOURNAL_RETENTION_BYTES", "1MiB"),
    ];
    let following = Following::start(dir.path(), &["--json", "--last", "0"]);
    let mut all = Vec::new();
    for round in 0..3 {
        let app = TestApp::on(dir.path(), &settings).unwrap();
        for step in 0..3 {
            let first = round * 300 + step * 100;
            let delivered = deliver(&app, &app.simulator(), first..first + 100);
            following.until_all(&delivered, "published");
            all.extend(delivered);
        }
        app.stop();
    }
    let on_disk = ids(&inspect(dir.path(), &["--json"]));
    assert!(on_disk.len() < 900, "retention was at work");
    let shown = following.until_all(&all, "published");
    assert_eq!(shown.len(), 900);
    assert!(
        shown.values().all(|outcomes| outcomes.len() <= 2),
        "none more often"
    );
    let (lines, _) = following.interrupt();
    let mut first_shown: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for line in lines {
        let object: Value = serde_json::from_str(&line).unwrap();
        let id = object["id"].as_str().unwrap().to_owned();
        if seen.insert(id.clone()) {
            first_shown.push(id);
        }
    }
    assert_eq!(first_shown, all, "in the order of acceptance");
}

#[test]
fn a_selection_by_outcome_shows_a_delivery_when_it_gets_there() {
    let dir = tempfile::tempdir().unwrap();
    let kafka = kafka();
    let app = TestApp::on(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]).unwrap();
    let following = Following::start(dir.path(), &["--json", "--outcome", "quarantined"]);
    let simulator = app.simulator();
    deliver(&app, &simulator, 0..5);
    let odd = accepted(&app, "/webhook", &simulator.unintelligible(1));
    deliver(&app, &simulator, 5..10);
    let odder = accepted(&app, "/webhook", &simulator.unintelligible(2));
    let shown = following.until_all(&[odd, odder], "quarantined");
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(
        shown.values().all(|outcomes| outcomes.len() == 1),
        "{shown:?}"
    );
}

#[test]
fn a_held_delivery_is_shown_again_when_a_topic_takes_it() {
    let stage = Stage::played();
    let following = Following::start(&stage.journal(), &["--json", "--all"]);
    following.until_all(std::slice::from_ref(&stage.held), "held");
    let journal = open(&stage.journal());
    assert!(journal.release(7, Taker::Quarantine).unwrap());
    let mut outcome = Vec::new();
    Outcome::Quarantined {
        reason: QuarantineReason::RecordInvalid,
        topic: QUARANTINE.into(),
        partition: 0,
        offset: 2,
    }
    .encode(&mut outcome);
    journal.note_outcome(7, &outcome);
    let shown = following.until_all(std::slice::from_ref(&stage.held), "quarantined");
    assert_eq!(shown[&stage.held], ["held", "quarantined"]);
    journal.close();
}

#[test]
fn what_was_shown_with_its_outcome_is_not_shown_again() {
    let dir = tempfile::tempdir().unwrap();
    let kafka = kafka();
    let settings = [("KAFKA_BROKERS", kafka.bootstrap_servers())];
    let app = TestApp::on(dir.path(), &settings).unwrap();
    let noted = deliver(&app, &app.simulator(), 0..20);
    until_settled(&app);
    app.stop();
    // Outcomes above the cursor, as of a bridge that was killed before it could save that.
    std::fs::remove_file(dir.path().join("cursor")).unwrap();
    let following = Following::start(dir.path(), &["--json", "--last", "5"]);
    following.until_all(&noted[15..], "published");
    let app = TestApp::on(dir.path(), &settings).unwrap();
    let last = deliver(&app, &app.simulator(), 20..21);
    let shown = following.until_all(&last, "published");
    assert_eq!(shown.len(), 6, "{shown:?}");
    for id in &noted[15..] {
        assert_eq!(shown[id], ["published"]);
    }
}

#[test]
fn a_table_is_followed_too_masked_and_one_that_waits_notices_that_nobody_reads() {
    let stage = Stage::played();
    let mut following = Following::start(&stage.journal(), &["--all"]);
    let lines = eventually("all are shown", || {
        let lines = following.lines();
        (lines.len() == 9).then_some(lines)
    });
    assert!(lines[0].starts_with("ACCEPTED"));
    assert!(!lines.concat().contains(EMAIL) && !lines.concat().contains(NAME));
    assert!(following.child.try_wait().unwrap().is_none(), "it goes on");

    let arguments = ["inspect", "--follow", "--json"];
    let journal = stage.journal();
    let mut child = command(&arguments, &[("JOURNAL_DIR", journal.to_str().unwrap())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    drop(lines);
    let status = eventually("it ends though nothing comes", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn another_journal_in_its_place_is_followed_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let app = TestApp::on(&journal, &[]).unwrap();
    let first = deliver(&app, &app.simulator(), 0..20);
    let following = Following::start(&journal, &["--json", "--all"]);
    following.until_all(&first, "pending");
    app.stop();
    std::fs::remove_dir_all(&journal).unwrap();
    let app = TestApp::on(&journal, &[]).unwrap();
    let second = deliver(&app, &app.simulator(), 20..23);
    following.until_all(&second, "pending");
    let shown = following.outcomes();
    assert_eq!(shown.len(), 23);
}
