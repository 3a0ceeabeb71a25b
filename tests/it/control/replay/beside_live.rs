//! A replay beside live traffic, and beside retention.

use super::*;
use crate::support::eventually::within;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Per key, the first occurrences are in the order of acceptance.
fn assert_in_order(records: &[ConsumedRecord]) {
    let mut last: HashMap<&[u8], u64> = HashMap::new();
    for record in records {
        let sequence = record
            .header("ce_journalsequence")
            .unwrap()
            .parse()
            .unwrap();
        let key = record.key.as_deref().unwrap_or_default();
        if let Some(before) = last.insert(key, sequence) {
            assert!(before < sequence, "{sequence} came after {before}");
        }
    }
}

#[test]
fn live_deliveries_are_accepted_and_keep_their_order_beside_a_replay_of_thousands() {
    const OLD: u64 = 2000;
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    let (over, all) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
    std::thread::scope(|scope| {
        // The broker forgets what is older than some megabytes: read along.
        let records = scope.spawn(|| {
            let mut reader = TopicReader::open(kafka.bootstrap_servers(), &[MAIN]).unwrap();
            let mut records = Vec::new();
            within(Duration::from_secs(120), "all records have come", || {
                records.extend(reader.next(Duration::from_millis(200)).unwrap());
                (records.len() as u64 >= all.load(Ordering::Relaxed)).then_some(())
            });
            records
        });
        let old = accept_transactions(&bridge, 0..OLD);
        until_published(&bridge);
        let live = scope.spawn(|| {
            let mut number = OLD;
            while !over.load(Ordering::Relaxed) {
                // Each is a 202, or this panics.
                accept_transactions(&bridge, number..number + 1);
                number += 1;
            }
            number - OLD
        });
        let output = on(dir.path(), &["replay", "--until", "0s", "--json"]);
        over.store(true, Ordering::Relaxed);
        let live = live.join().unwrap();
        let summary = json(&output);
        assert_eq!(output.status.code(), Some(0), "{summary}");
        let published = summary["published"].as_u64().unwrap();
        assert!(published >= OLD && live > 20, "{summary} beside {live}");
        all.store(OLD + live + published, Ordering::Relaxed);
        let (replayed, first) = split(records.join().unwrap());
        assert_eq!(
            (replayed.len() as u64, first.len() as u64),
            (published, OLD + live)
        );
        assert_in_order(&first);
        assert_in_order(&replayed);
        let replayed: BTreeSet<_> = replayed.iter().map(id).collect();
        assert!(old.iter().all(|id| replayed.contains(id)));
        until_published(&bridge);
        let ledger = ledger(dir.path());
        assert_eq!((ledger[0], ledger[1]), (OLD + live, OLD + live));
    });
}

#[test]
fn a_replay_stands_still_while_deliveries_wait_to_be_published() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    accept_transactions(&bridge, 0..10);
    until_published(&bridge);
    bridge.terminate();
    // The publisher is stuck, Kafka is not: these go first, whatever they wait for.
    let stuck = [
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
        ("KAFKA_TOPIC", "comes-later"),
        ("KAFKA_QUARANTINE_TOPIC", QUARANTINE),
    ];
    let bridge = Serving::start(dir.path(), &stuck);
    accept_transactions(&bridge, 10..120);
    let mut replay = start(dir.path(), &["--all"]);
    let stderr = replay.stderr.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stderr));
    assert!(lines.any(|line| line.unwrap().contains("come first")));
    assert_eq!(bridge.metrics().value("records_replayed_total"), 0.0);
    kafka
        .with(|cluster| cluster.create_topic("comes-later", 1, 1))
        .unwrap()
        .unwrap();
    let output = finish(replay);
    assert_eq!(json(&output)["published"], 10);
    let records = read(&kafka, "comes-later", 120);
    assert!(
        records[..110]
            .iter()
            .all(|record| record.header("ce_replay").is_none())
    );
    assert!(
        records[110..]
            .iter()
            .all(|record| record.header("ce_replay").is_some())
    );
}

#[test]
fn retention_waits_for_a_replay_to_have_read_what_it_wants_to_delete() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let small = [
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
        ("JOURNAL_SEGMENT_BYTES", "64KiB"),
        ("JOURNAL_SPARE_SEGMENTS", "1"),
        ("JOURNAL_RETENTION_BYTES", "1400KiB"),
    ];
    let bridge = Serving::start(dir.path(), &small);
    let old = accept_transactions(&bridge, 0..400);
    until_published(&bridge);
    kafka
        .with(|cluster| cluster.broker_down(1))
        .unwrap()
        .unwrap();
    let mut replay = start(dir.path(), &["--until", "0s"]);
    let stderr = replay.stderr.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stderr));
    assert!(lines.any(|line| line.unwrap().contains("no broker answers")));
    let large = |number: u64| {
        let filler = "x".repeat(30_000);
        let payload =
            serde_json::json!({ "event": "something", "number": number, "filler": filler });
        accept(&bridge, &simulator().sign(&payload));
    };
    // Twice what may be kept; and then more, so that a whole round of retention has seen that.
    let size = || bridge.metrics().value("journal_bytes");
    (0..60).for_each(large);
    let before = eventually("the journal is too large", || {
        let size = size();
        (size > 2_000_000.0).then_some(size)
    });
    (60..70).for_each(large);
    eventually("it has grown", || (size() > before).then_some(()));
    let first = dir.path().join(format!("{:020}.log", 1));
    assert!(first.exists(), "still to be read");
    kafka.with(|cluster| cluster.broker_up(1)).unwrap().unwrap();
    let output = finish(replay);
    let summary = json(&output);
    let published = (&summary["published"], &summary["given_up"]);
    assert_eq!(
        (output.status.code(), published),
        (Some(0), (&400.into(), &0.into())),
        "{summary}"
    );
    let (replayed, _) = split(super::read(&kafka, MAIN, 400 + 400 + 70));
    assert_eq!(ids(&replayed), sorted(old));
    eventually("retention takes it afterwards", || {
        (!first.exists()).then_some(())
    });
}
