//! `replay`, against the real binary and a broker within the process.

mod beside_live;
mod outcomes;
mod refusals;

use super::{NO_KAFKA, accept, accept_transactions, finish, json, kafka, on, said, simulator};
use crate::support::eventually::eventually;
use crate::support::process::{Serving, command, run};
use icr_bridge::domain::event::EventKind;
use icr_bridge::mock_kafka::{ConsumedRecord, MockKafka, TopicReader};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MAIN: &str = "icr.webhooks";
const QUARANTINE: &str = "icr.webhooks.quarantine";

/// Reads topics until so many records have come.
fn read(kafka: &MockKafka, topic: &str, count: usize) -> Vec<ConsumedRecord> {
    let mut reader = TopicReader::open(kafka.bootstrap_servers(), &[topic]).unwrap();
    let mut records = Vec::new();
    eventually("the records stand in the topic", || {
        records.extend(reader.next(Duration::from_millis(200)).unwrap());
        (records.len() >= count).then_some(())
    });
    assert_eq!(reader.next(Duration::from_millis(300)).unwrap(), None);
    records
}

fn id(record: &ConsumedRecord) -> String {
    record.header("ce_id").unwrap().to_owned()
}

/// The replayed among them, and the others.
fn split(records: Vec<ConsumedRecord>) -> (Vec<ConsumedRecord>, Vec<ConsumedRecord>) {
    let replayed = |record: &ConsumedRecord| record.header("ce_replay").is_some();
    records.into_iter().partition(replayed)
}

fn ids(records: &[ConsumedRecord]) -> Vec<String> {
    let mut ids: Vec<_> = records.iter().map(id).collect();
    ids.sort();
    ids
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

fn until_published(bridge: &Serving) {
    eventually("nothing is pending", || {
        (bridge.metrics().value("journal_pending_deliveries") == 0.0).then_some(())
    });
}

fn stats(journal: &Path) -> Value {
    json(&on(journal, &["stats", "--json"]))
}

/// The ledger in short; it must add up.
fn ledger(journal: &Path) -> [u64; 5] {
    let stats = stats(journal);
    assert_eq!(stats["unaccounted"], 0, "{stats}");
    ["accepted", "published", "quarantined", "held", "pending"]
        .map(|name| stats[name].as_u64().unwrap())
}

/// Starts a replay in the background.
fn start(journal: &Path, arguments: &[&str]) -> Child {
    let arguments: Vec<&str> = ["replay", "--json"]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    command(&arguments, &[("JOURNAL_DIR", journal.to_str().unwrap())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn interrupt(child: &Child) {
    // SAFETY: a signal to a child that has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
}

/// One transaction, one lifecycle event, one unknown and one unintelligible delivery of the first organizations; their ids.
fn mixture(bridge: &Serving) -> Vec<String> {
    let simulator = simulator();
    [
        simulator.delivery(EventKind::OrganizationTransaction, 0),
        simulator.delivery(EventKind::Installed, 1),
        simulator.delivery(EventKind::Other, 2),
        simulator.unintelligible(3),
        simulator.delivery(EventKind::OrganizationTransaction, 4),
    ]
    .iter()
    .map(|request| accept(bridge, request))
    .collect()
}

#[test]
fn a_replay_publishes_the_same_again_and_says_that_it_is_one() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    let accepted = mixture(&bridge);
    until_published(&bridge);
    let before = ledger(dir.path());
    assert_eq!(before, [5, 4, 1, 0, 0]);

    let counted = on(dir.path(), &["replay", "--all", "--dry-run", "--json"]);
    assert_eq!(said(&counted).0, 0, "{}", said(&counted).1);
    assert_eq!(json(&counted)["selected"], 5);
    assert_eq!(bridge.metrics().value("records_replayed_total"), 0.0);
    let shown = said(&on(dir.path(), &["replay", "--all", "--dry-run"])).1;
    assert!(
        shown.starts_with("5 deliveries would be published again"),
        "{shown}"
    );
    assert!(
        shown.contains("2  default  organizationTransaction  published"),
        "{shown}"
    );
    assert!(shown.contains("1  default  other  quarantined"), "{shown}");

    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let output = on(dir.path(), &["replay", "--all", "--json"]);
    assert_eq!(said(&output).0, 0, "{}", said(&output).1);
    let summary = json(&output);
    assert_eq!(
        (
            &summary["end"],
            &summary["published"],
            &summary["quarantined"]
        ),
        (&"completed".into(), &4.into(), &1.into())
    );

    let (replayed, first) = split(read(&kafka, MAIN, 8));
    assert_eq!(ids(&replayed), ids(&first));
    let (bad_again, bad) = split(read(&kafka, QUARANTINE, 2));
    assert_eq!(
        sorted([ids(&replayed), ids(&bad_again)].concat()),
        sorted(accepted)
    );
    let originals: BTreeMap<_, _> = first.iter().chain(&bad).map(|r| (id(r), r)).collect();
    for record in replayed.iter().chain(&bad_again) {
        let original = originals[&id(record)];
        assert_eq!(record.value, original.value);
        assert_eq!(
            (&record.key, &record.topic),
            (&original.key, &original.topic)
        );
        if record.key.is_some() {
            assert_eq!(record.partition, original.partition);
        }
        assert!(record.timestamp.unwrap() >= started);
        let replay: jiff::Timestamp = record.header("ce_replay").unwrap().parse().unwrap();
        assert!(replay.as_millisecond() >= started);
        let mut headers = record.headers.clone();
        headers.retain(|(name, _)| name != "ce_replay");
        assert_eq!(headers, original.headers);
    }

    assert_eq!(
        ledger(dir.path()),
        before,
        "the ledger counts first outcomes"
    );
    let metrics = bridge.metrics();
    assert_eq!(metrics.value("records_replayed_total"), 5.0);
    assert_eq!(metrics.sum("records_published_total"), 4.0);
    assert_eq!(metrics.sum("records_quarantined_total"), 1.0);
    assert_eq!(metrics.value("unaccounted_deliveries"), 0.0);
}

#[test]
fn a_replay_takes_what_the_criteria_name_and_as_many_as_the_dry_run_says() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    let accepted = mixture(&bridge);
    until_published(&bridge);
    let of = |numbers: &[usize]| numbers.iter().map(|n| accepted[*n].clone()).collect();
    let two_ids = format!("{},{}", accepted[0], accepted[3]);
    let cases: [(&[&str], Vec<String>); 9] = [
        (&["--event", "organizationTransaction"], of(&[0, 4])),
        (&["--event", "projectValidated,installed"], of(&[1, 2])),
        (&["--organization", "org2"], of(&[1, 4])),
        (
            &["--organization", "org2", "--event", "installed"],
            of(&[1]),
        ),
        (&["--outcome", "quarantined"], of(&[3])),
        (
            &["--app", "default", "--outcome", "published"],
            of(&[0, 1, 2, 4]),
        ),
        (&["--app", "sandbox"], of(&[])),
        (&["--id", &two_ids], of(&[0, 3])),
        (&["--until", "1h"], of(&[])),
    ];
    let mut main = TopicReader::open(kafka.bootstrap_servers(), &[MAIN, QUARANTINE]).unwrap();
    let mut next = |count: usize| {
        let mut records = Vec::new();
        eventually("the records stand there", || {
            records.extend(main.next(Duration::from_millis(100)).unwrap());
            (records.len() >= count).then_some(())
        });
        records
    };
    next(5);
    for (criteria, wanted) in cases {
        let with = |more: &[&str]| {
            let arguments = ["replay", "--json"].iter().chain(criteria).chain(more);
            on(dir.path(), &arguments.copied().collect::<Vec<_>>())
        };
        assert_eq!(
            json(&with(&["--dry-run"]))["selected"],
            wanted.len(),
            "{criteria:?}"
        );
        let output = with(&[]);
        assert_eq!(said(&output).0, 0, "{criteria:?}: {}", said(&output).1);
        assert_eq!(ids(&next(wanted.len())), sorted(wanted), "{criteria:?}");
    }
    let unknown = on(
        dir.path(),
        &["replay", "--id", "00000000-0000-7000-8000-000000000000"],
    );
    let (code, text) = said(&unknown);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("ids are of no delivery"), "{text}");
}

#[test]
fn without_criteria_or_with_too_many_a_replay_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, word) in [
        (["replay"].as_slice(), "--all"),
        (&["replay", "--dry-run"], "--all"),
        (&["replay", "--all", "--event", "installed"], "leave one"),
        (
            &["replay", "--since", "1h", "--until", "2h"],
            "--since must be earlier",
        ),
        (&["replay", "--outcome", "lost"], "quarantined"),
        (&["replay", "--all", "--rate", "0"], "--rate"),
    ] {
        let (code, text) = said(&on(dir.path(), arguments));
        assert_eq!(code, 64, "{arguments:?}: {text}");
        assert!(text.contains(word), "{arguments:?}: {text}");
    }
}

#[test]
fn without_a_bridge_a_replay_is_done_by_the_command_itself() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let settings = [("KAFKA_BROKERS", kafka.bootstrap_servers())];
    let bridge = Serving::start(dir.path(), &settings);
    let accepted = accept_transactions(&bridge, 0..40);
    until_published(&bridge);
    bridge.terminate();
    // It is published from here on by somebody else only.
    let bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    accept_transactions(&bridge, 40..43);
    bridge.kill();

    let counted = json(&on(dir.path(), &["replay", "--all", "--dry-run", "--json"]));
    assert_eq!(
        (&counted["selected"], &counted["pending"]),
        (&40.into(), &3.into())
    );
    let (code, text) = said(&on(dir.path(), &["replay", "--all"]));
    assert_eq!(code, 64, "{text}");
    assert!(
        text.contains("no bridge runs") && text.contains("KAFKA_BROKERS"),
        "{text}"
    );

    let journal = dir.path().to_str().unwrap();
    let with_kafka = [("JOURNAL_DIR", journal), settings[0]];
    let output = run(&["replay", "--all", "--json"], &with_kafka);
    assert_eq!(said(&output).0, 0, "{}", said(&output).1);
    let summary = json(&output);
    assert_eq!(
        (&summary["published"], &summary["pending"]),
        (&40.into(), &3.into())
    );
    let (replayed, first) = split(read(&kafka, MAIN, 80));
    assert_eq!(ids(&replayed), sorted(accepted));
    assert_eq!(ids(&first), ids(&replayed));
    assert_eq!(ledger(dir.path()), [43, 40, 0, 0, 3]);
}

#[test]
fn a_replay_while_another_process_holds_the_journal_is_75() {
    let dir = tempfile::tempdir().unwrap();
    let _bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    std::fs::remove_file(dir.path().join("control.sock")).unwrap();
    let (code, text) = said(&on(dir.path(), &["replay", "--all"]));
    assert_eq!(code, 75, "{text}");
    let counted = on(dir.path(), &["replay", "--all", "--dry-run"]);
    assert_eq!(said(&counted).0, 0, "a count needs no lock");
}
