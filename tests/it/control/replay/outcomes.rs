//! What a replay makes of deliveries that were quarantined or held, and of the ledger.

use super::*;
use icr_bridge::mock_kafka::MockTopic;
use rdkafka::types::RDKafkaApiKey::Produce;
use rdkafka::types::RDKafkaRespErr as E;

/// The broker refuses this many requests with a verdict on the record.
fn refuse(kafka: &MockKafka, times: usize) {
    let refusals = vec![E::RD_KAFKA_RESP_ERR_INVALID_RECORD; times];
    kafka.with(move |cluster| cluster.request_errors(Produce, &refusals));
}

fn replay(journal: &Path, outcome: &str) -> (i32, Value) {
    let output = on(journal, &["replay", "--outcome", outcome, "--json"]);
    (output.status.code().unwrap(), json(&output))
}

fn selected(journal: &Path, outcome: &str) -> Value {
    let output = on(
        journal,
        &["replay", "--outcome", outcome, "--json", "--dry-run"],
    );
    json(&output)["selected"].clone()
}

#[test]
fn what_was_quarantined_and_is_taken_today_is_published_and_the_ledger_stays() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    // In its batch, and alone.
    refuse(&kafka, 2);
    let id = accept_transactions(&bridge, 0..1);
    until_published(&bridge);
    assert_eq!(ledger(dir.path()), [1, 0, 1, 0, 0]);
    let (code, summary) = replay(dir.path(), "quarantined");
    assert_eq!((code, &summary["published"]), (0, &1.into()), "{summary}");
    let records = read(&kafka, MAIN, 1);
    assert_eq!(ids(&records), id);
    assert!(records[0].header("ce_replay").is_some());
    assert_eq!(ledger(dir.path()), [1, 0, 1, 0, 0], "first outcomes count");
    // It stands in its topic now: another replay has nothing to repair.
    assert_eq!(selected(dir.path(), "quarantined"), 0);
    assert_eq!(selected(dir.path(), "published"), 1);
    bridge.terminate();
    assert_eq!(ledger(dir.path()), [1, 0, 1, 0, 0]);
}

#[test]
fn what_was_held_and_is_taken_by_its_topic_is_released_and_counts_as_published() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    // In its batch, alone, and in quarantine.
    refuse(&kafka, 3);
    let id = accept_transactions(&bridge, 0..1);
    until_published(&bridge);
    assert_eq!(ledger(dir.path()), [1, 0, 0, 1, 0]);
    assert_eq!(
        said(&on(dir.path(), &["drain"])).0,
        1,
        "held on this disk alone"
    );
    let (code, summary) = replay(dir.path(), "held");
    assert_eq!(code, 0, "{summary}");
    assert_eq!(
        (&summary["published"], &summary["released"]),
        (&1.into(), &1.into())
    );
    assert_eq!(ids(&read(&kafka, MAIN, 1)), id);
    assert_eq!(ledger(dir.path()), [1, 1, 0, 0, 0]);
    assert_eq!(selected(dir.path(), "held"), 0);
    let metrics = bridge.metrics();
    assert_eq!(
        metrics.sum("records_published_total"),
        1.0,
        "no topic had it before"
    );
    assert_eq!(metrics.value("records_replayed_total"), 1.0);
    assert_eq!(metrics.value("deliveries_held"), 0.0);
    assert_eq!(said(&on(dir.path(), &["drain"])).0, 0);
    bridge.terminate();
    assert_eq!(ledger(dir.path()), [1, 1, 0, 0, 0]);
}

#[test]
fn what_was_held_and_is_taken_by_quarantine_is_released_and_counts_there() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    refuse(&kafka, 3);
    accept_transactions(&bridge, 0..1);
    until_published(&bridge);
    // By its topic, in its batch and alone.
    refuse(&kafka, 2);
    let (code, summary) = replay(dir.path(), "held");
    assert_eq!(code, 0, "{summary}");
    assert_eq!(
        (&summary["quarantined"], &summary["released"]),
        (&1.into(), &1.into())
    );
    assert_eq!(ledger(dir.path()), [1, 0, 1, 0, 0]);
    assert_eq!(bridge.metrics().sum("records_quarantined_total"), 1.0);
    let record = &read(&kafka, QUARANTINE, 1)[0];
    assert_eq!(record.header("ce_reason"), Some("record_invalid"));
    assert!(record.header("ce_replay").is_some());
}

#[test]
fn what_neither_topic_takes_stays_held_and_the_replay_says_so() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    refuse(&kafka, 3);
    accept_transactions(&bridge, 0..1);
    until_published(&bridge);
    refuse(&kafka, 3);
    let (code, summary) = replay(dir.path(), "held");
    assert_eq!((code, &summary["refused"]), (1, &1.into()), "{summary}");
    assert_eq!(ledger(dir.path()), [1, 0, 0, 1, 0]);
    assert_eq!(selected(dir.path(), "held"), 1);
}

#[test]
fn what_was_published_and_is_refused_today_is_quarantined_and_the_ledger_stays() {
    let dir = tempfile::tempdir().unwrap();
    let topics = [MAIN, QUARANTINE].map(|topic| MockTopic::new(topic, 1));
    let kafka = MockKafka::start(&topics).unwrap();
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    accept_transactions(&bridge, 0..3);
    until_published(&bridge);
    // The batch of three, then the first of them alone.
    refuse(&kafka, 2);
    let (code, summary) = replay(dir.path(), "published");
    assert_eq!(code, 0, "{summary}");
    assert_eq!(
        (&summary["published"], &summary["quarantined"]),
        (&2.into(), &1.into())
    );
    assert_eq!(ledger(dir.path()), [3, 3, 0, 0, 0]);
    assert_eq!(selected(dir.path(), "quarantined"), 1);
    let (code, _) = replay(dir.path(), "quarantined");
    assert_eq!((code, selected(dir.path(), "published")), (0, 3.into()));
}

#[test]
fn a_held_delivery_whose_segment_is_gone_is_replayed_from_its_copy() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let small = [
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
        ("JOURNAL_SEGMENT_BYTES", "64KiB"),
        ("JOURNAL_RETENTION_BYTES", "0"),
    ];
    let bridge = Serving::start(dir.path(), &small);
    refuse(&kafka, 3);
    let id = accept_transactions(&bridge, 0..1);
    until_published(&bridge);
    accept_transactions(&bridge, 1..100);
    let first = dir.path().join(format!("{:020}.log", 1));
    eventually("retention takes its segment", || {
        (!first.exists()).then_some(())
    });
    until_published(&bridge);
    let (code, summary) = replay(dir.path(), "held");
    assert_eq!((code, &summary["released"]), (0, &1.into()), "{summary}");
    let (replayed, _) = split(read(&kafka, MAIN, 100));
    assert_eq!(ids(&replayed), id);
    assert_eq!(ledger(dir.path()), [100, 100, 0, 0, 0]);
}

#[test]
fn where_the_clock_is_ahead_of_the_brokers_records_are_stamped_earlier_until_they_are_taken() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    let id = accept_transactions(&bridge, 0..1);
    until_published(&bridge);
    let refusals = [E::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP; 2];
    kafka.with(move |cluster| cluster.request_errors(Produce, &refusals));
    let (code, summary) = replay(dir.path(), "published");
    assert_eq!((code, &summary["published"]), (0, &1.into()), "{summary}");
    let (replayed, first) = split(read(&kafka, MAIN, 2));
    assert_eq!(ids(&replayed), id);
    let back = first[0].timestamp.unwrap() - replayed[0].timestamp.unwrap();
    assert!(
        (6_000_000..7_200_000).contains(&back),
        "two hours less what went by: {back}"
    );
}
