//! Replays against a real Kafka: what its limits, rights and failures make of them.

use super::{
    PATIENCE, accept, accept_transactions, assert_complete_and_in_order, serve, simulator,
    wait_until_nothing_is_pending,
};
use crate::support::eventually::within;
use crate::support::kafka::{OwnBroker, OwnedRecord, RealKafka, skip};
use crate::support::process::{Serving, command, run};
use icr_bridge::domain::event::EventKind;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

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

fn finish(mut child: Child) -> (i32, Value) {
    within(PATIENCE, "the replay ends", || child.try_wait().unwrap());
    told(&child.wait_with_output().unwrap())
}

fn replay(journal: &Path, arguments: &[&str]) -> (i32, Value) {
    finish(start(journal, arguments))
}

fn told(output: &Output) -> (i32, Value) {
    let summary = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), summary)
}

fn ledger(journal: &Path) -> [u64; 4] {
    let settings = [("JOURNAL_DIR", journal.to_str().unwrap())];
    let output = run(&["stats", "--json"], &settings);
    let stats: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(stats["unaccounted"], 0, "{stats}");
    ["accepted", "published", "quarantined", "held"].map(|name| stats[name].as_u64().unwrap())
}

fn is_replay(record: &OwnedRecord) -> bool {
    record.header("ce_replay").is_some()
}

fn id(record: &OwnedRecord) -> &str {
    record.header("ce_id").unwrap()
}

/// A delivery whose record has some 5 KB, compressed too.
fn large(bridge: &Serving, number: u64) -> String {
    let mut seed = number + 1;
    let noise: String = (0..5000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'A' + (seed >> 33) as u8 % 26)
        })
        .collect();
    let mut payload = json!({ "event": "installed", "number": number, "noise": noise });
    payload["installation"] = json!({ "id": "1", "organization": { "id": "org1" } });
    accept(bridge, &simulator().sign(&payload))
}

#[test]
fn what_a_topic_was_too_small_for_is_published_by_a_replay_once_it_is_not() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let topic = kafka.new_topic("replay", 3);
    let quarantine = format!("{topic}.quarantine");
    kafka.create_topic(&quarantine, 1, &[]);
    kafka.configure_topic(&topic, "max.message.bytes", "3000");
    let bridge = serve(dir.path(), &kafka.bootstrap, &topic, &[]);
    let mut small = accept_transactions(&bridge, 0..5);
    let too_large = [large(&bridge, 5), large(&bridge, 6)];
    small.extend(accept_transactions(&bridge, 7..12));
    wait_until_nothing_is_pending(&bridge);
    assert_eq!(ledger(dir.path()), [12, 10, 2, 0]);
    let (code, summary) = replay(dir.path(), &["--outcome", "quarantined"]);
    assert_eq!(
        (code, &summary["quarantined"]),
        (0, &2.into()),
        "still too large: {summary}"
    );

    kafka.configure_topic(&topic, "max.message.bytes", "1000000");
    let (code, summary) = replay(dir.path(), &["--outcome", "quarantined"]);
    assert_eq!((code, &summary["published"]), (0, &2.into()), "{summary}");
    let records = kafka.read_all(&[&topic], 12, PATIENCE);
    let replayed: Vec<&str> = records.iter().filter(|r| is_replay(r)).map(id).collect();
    assert_eq!(replayed, too_large);
    assert_eq!(ledger(dir.path()), [12, 10, 2, 0], "first outcomes count");
    let (_, summary) = replay(dir.path(), &["--outcome", "quarantined", "--dry-run"]);
    assert_eq!(summary["selected"], 0);
}

#[test]
fn a_record_that_has_become_too_large_goes_to_quarantine_alone_and_the_others_in_order() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let topic = kafka.new_topic("replay", 2);
    kafka.create_topic(&format!("{topic}.quarantine"), 1, &[]);
    let bridge = serve(dir.path(), &kafka.bootstrap, &topic, &[]);
    let mut ids = accept_transactions(&bridge, 0..100);
    let too_large = large(&bridge, 100);
    ids.extend(accept_transactions(&bridge, 101..400));
    wait_until_nothing_is_pending(&bridge);
    kafka.configure_topic(&topic, "max.message.bytes", "3000");
    let (code, summary) = replay(dir.path(), &["--all"]);
    assert_eq!(code, 0, "{summary}");
    assert_eq!(
        (&summary["published"], &summary["quarantined"]),
        (&399.into(), &1.into())
    );
    let mut records = kafka.read_all(&[&topic], 400 + 399, PATIENCE);
    records.retain(is_replay);
    assert_complete_and_in_order(&records, &ids);
    let bad = kafka.read_all(&[&format!("{topic}.quarantine")], 1, PATIENCE);
    assert_eq!(
        (id(&bad[0]), bad[0].header("ce_reason")),
        (&*too_large, Some("record_too_large"))
    );
    assert_eq!(ledger(dir.path()), [400, 400, 0, 0]);
}

#[test]
fn live_deliveries_keep_their_order_beside_a_replay_of_thousands() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    const OLD: u64 = 4000;
    let dir = tempfile::tempdir().unwrap();
    let topic = kafka.new_topic("replay", 3);
    let bridge = serve(dir.path(), &kafka.bootstrap, &topic, &[]);
    let old = accept_transactions(&bridge, 0..OLD);
    wait_until_nothing_is_pending(&bridge);
    let over = AtomicBool::new(false);
    let (live, summary) = std::thread::scope(|scope| {
        let live = scope.spawn(|| {
            let mut ids = Vec::new();
            let mut number = OLD;
            while !over.load(Ordering::Relaxed) {
                ids.extend(accept_transactions(&bridge, number..number + 1));
                number += 1;
            }
            ids
        });
        let (code, summary) = replay(dir.path(), &["--until", "0s"]);
        over.store(true, Ordering::Relaxed);
        assert_eq!(code, 0, "{summary}");
        (live.join().unwrap(), summary)
    });
    wait_until_nothing_is_pending(&bridge);
    assert!(live.len() > 20, "{} live deliveries beside it", live.len());
    let replayed = summary["published"].as_u64().unwrap();
    assert!(replayed >= OLD, "{summary}");
    let all = OLD as usize + live.len() + replayed as usize;
    let records = kafka.read_all(&[&topic], all, PATIENCE);
    let (again, first): (Vec<_>, Vec<_>) = records.into_iter().partition(is_replay);
    let wanted: Vec<String> = [old.clone(), live].concat();
    assert_eq!(first.len(), wanted.len(), "each once");
    assert_complete_and_in_order(&first, &wanted);
    assert_complete_and_in_order(&again, &old);
}

#[test]
fn a_broker_that_is_killed_under_a_replay_costs_nothing_but_time() {
    if RealKafka::from_env().is_none() {
        return;
    }
    let broker = OwnBroker::start();
    let topic = broker.new_topic("replay", 3);
    let dir = tempfile::tempdir().unwrap();
    let bridge = serve(dir.path(), &broker.bootstrap, &topic, &[]);
    let ids = accept_transactions(&bridge, 0..1500);
    wait_until_nothing_is_pending(&bridge);
    let under_way = start(dir.path(), &["--all", "--rate", "500"]);
    within(PATIENCE, "the replay is under way", || {
        (bridge.metrics().value("records_replayed_total") > 0.0).then_some(())
    });
    broker.kill();
    broker.restart();
    let (code, summary) = finish(under_way);
    assert_eq!(
        (code, &summary["published"]),
        (0, &1500.into()),
        "{summary}"
    );
    let mut records = broker.read_all(&[&topic], 3000, PATIENCE);
    records.retain(is_replay);
    assert_complete_and_in_order(&records, &ids);
    let seen: BTreeSet<_> = records.iter().map(id).collect();
    assert_eq!(seen.len(), 1500);
    assert_eq!(ledger(dir.path()), [1500, 1500, 0, 0]);
}

#[test]
fn a_topic_that_is_forbidden_ends_a_replay_with_a_word_and_does_not_stop_the_bridge() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    if kafka.sasl_bootstrap.is_none() {
        return skip("KAFKA_SASL_BOOTSTRAP is not set: the broker is not one of ours");
    }
    let dir = tempfile::tempdir().unwrap();
    let topic = kafka.new_topic("replay", 1);
    let sasl = kafka.sasl_properties();
    let properties: Vec<String> = sasl[1..]
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let properties = properties.join(",");
    let settings = [("KAFKA_PROPERTIES", properties.as_str())];
    let bridge = serve(dir.path(), &sasl[0].1, &topic, &settings);
    accept_transactions(&bridge, 0..3);
    wait_until_nothing_is_pending(&bridge);
    kafka.deny(&topic);
    let (code, summary) = replay(dir.path(), &["--all"]);
    assert_eq!((code, &summary["end"]), (1, &"failed".into()), "{summary}");
    let why = summary["why"].as_str().unwrap();
    assert!(
        why.contains(&topic) && why.contains("unauthorized"),
        "{why}"
    );
    kafka.grant(&topic);
    let (code, summary) = replay(dir.path(), &["--all"]);
    assert_eq!((code, &summary["published"]), (0, &3.into()), "{summary}");
    accept(&bridge, &simulator().delivery(EventKind::Installed, 9));
    wait_until_nothing_is_pending(&bridge);
}

#[test]
fn without_a_bridge_drain_and_replay_publish_to_kafka_by_themselves() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let topic = kafka.new_topic("replay", 3);
    let bridge = serve(dir.path(), "127.0.0.1:1", &topic, &[]);
    let ids = accept_transactions(&bridge, 0..200);
    bridge.kill();
    let quarantine = format!("{topic}.quarantine");
    let settings = [
        ("JOURNAL_DIR", dir.path().to_str().unwrap()),
        ("KAFKA_BROKERS", &kafka.bootstrap),
        ("KAFKA_TOPIC", &topic),
        ("KAFKA_QUARANTINE_TOPIC", &quarantine),
    ];
    let (code, drained) = told(&run(&["drain", "--json"], &settings));
    assert_eq!((code, &drained["drained"]), (0, &200.into()), "{drained}");
    let (code, summary) = told(&run(&["replay", "--all", "--json"], &settings));
    assert_eq!((code, &summary["published"]), (0, &200.into()), "{summary}");
    let records = kafka.read_all(&[&topic], 400, PATIENCE);
    let mut times: HashMap<&str, u32> = HashMap::new();
    records
        .iter()
        .for_each(|record| *times.entry(id(record)).or_default() += 1);
    assert!(ids.iter().all(|id| times[id.as_str()] == 2));
    let (again, first): (Vec<_>, Vec<_>) = records.into_iter().partition(is_replay);
    assert_complete_and_in_order(&first, &ids);
    assert_complete_and_in_order(&again, &ids);
    assert_eq!(ledger(dir.path()), [200, 200, 0, 0]);
}
