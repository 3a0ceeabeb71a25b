//! Trouble inside: the door stays open as long as anything can be stored, and says so when nothing can.

use crate::support::app::SECRET;
use crate::support::eventually::eventually;
use crate::support::http::{self, Response};
use crate::support::journal;
use crate::support::process::{Serving, run};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::mock_kafka::{MockKafka, MockTopic};
use icr_bridge::simulator::Simulator;
use std::path::{Path, PathBuf};

const SMALL_SEGMENTS: [(&str, &str); 3] = [
    ("KAFKA_BROKERS", "127.0.0.1:1"),
    ("JOURNAL_SEGMENT_BYTES", "64KiB"),
    ("JOURNAL_SPARE_SEGMENTS", "1"),
];

fn deliver(bridge: &Serving, number: u64) -> Response {
    let simulator = Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 1, 1);
    let request = simulator.delivery(EventKind::OrganizationTransaction, number);
    http::post(
        bridge.ingress,
        "/webhook",
        &[("x-icr-signature-256", &request.signature)],
        &request.body,
    )
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut segments: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    segments.sort();
    segments
}

#[test]
fn a_damaged_segment_is_set_aside_told_and_repaired_while_deliveries_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &SMALL_SEGMENTS);
    for number in 0..100 {
        assert_eq!(deliver(&bridge, number).status, 202);
    }
    bridge.terminate();
    let settings = [("JOURNAL_DIR", dir.path().to_str().unwrap())];
    assert_eq!(
        run(&["journal", "verify"], &settings).status.code(),
        Some(0)
    );
    let damaged = &segments(dir.path())[0];
    let mut bytes = std::fs::read(damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(damaged, bytes).unwrap();
    assert_eq!(
        run(&["journal", "verify"], &settings).status.code(),
        Some(65)
    );

    let kafka = MockKafka::start(
        &["icr.webhooks", "icr.webhooks.quarantine"].map(|topic| MockTopic::new(topic, 2)),
    )
    .unwrap();
    let mut with_kafka = SMALL_SEGMENTS;
    with_kafka[0] = ("KAFKA_BROKERS", kafka.bootstrap_servers());
    let bridge = Serving::start(dir.path(), &with_kafka);
    assert!(bridge.is_ready());
    assert_eq!(deliver(&bridge, 100).status, 202);
    let metrics = eventually("everything that can be read has been published", || {
        let metrics = bridge.metrics();
        (metrics.value("journal_pending_deliveries") == 0.0).then_some(metrics)
    });
    assert_eq!(metrics.value("journal_damaged_segments"), 1.0);
    assert_eq!(
        metrics.value("unaccounted_deliveries"),
        1.0,
        "the one whose byte was turned"
    );
    assert_eq!(metrics.sum("records_published_total"), 100.0);
    bridge.terminate();
    let repaired = run(&["journal", "repair"], &settings);
    assert_eq!(repaired.status.code(), Some(0), "{repaired:?}");
    assert_eq!(
        run(&["journal", "verify"], &settings).status.code(),
        Some(0)
    );
}

#[test]
fn what_cannot_be_stored_is_503_with_retry_after_counted_logged_and_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("journal");
    let bridge = Serving::start(&folder, &SMALL_SEGMENTS);
    assert_eq!(deliver(&bridge, 0).status, 202);
    // As if its disk had gone: the open segment can still be written, no further one be opened.
    std::fs::remove_dir_all(&folder).unwrap();
    let mut number = 0;
    let refused = eventually("a delivery is refused", || {
        number += 1;
        let response = deliver(&bridge, number);
        (response.status != 202).then_some(response)
    });
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (503, "storage_error")
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(
        bridge
            .metrics()
            .value("deliveries_refused_total{reason=\"storage_error\"}"),
        1.0
    );
    assert!(!bridge.is_ready());
    (0..50).for_each(|number| assert_eq!(deliver(&bridge, 1_000_000 + number).status, 503));
    for words in ["refused with 503: storage_error", "no new segment"] {
        eventually("the log says so", || {
            let told = |line: &String| line.contains(words);
            bridge.log().iter().any(told).then_some(())
        });
    }
    let lines = bridge
        .log()
        .iter()
        .filter(|line| line.contains("no new segment"))
        .count();
    assert!(lines <= 20, "{lines} lines for 50 refusals");
    // Nothing more is refused: the log must not wait for that to report how many were.
    bridge.signal(libc::SIGTERM);
    eventually("the log's lines add up to all that was refused", || {
        let log = bridge.log();
        let counts = log.iter().filter_map(|line| {
            let (_, rest) = line.split_once("refused with 503: storage_error (")?;
            rest.split(' ').next()?.parse::<u64>().ok()
        });
        (counts.sum::<u64>() == 51).then_some(())
    });
}

#[test]
fn a_lost_cursor_publishes_again_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &SMALL_SEGMENTS);
    for number in 0..20 {
        assert_eq!(deliver(&bridge, number).status, 202);
    }
    bridge.terminate();
    std::fs::remove_file(dir.path().join("cursor")).unwrap();
    let bridge = Serving::start(dir.path(), &SMALL_SEGMENTS);
    assert_eq!(deliver(&bridge, 20).status, 202);
    let metrics = bridge.metrics();
    assert_eq!(metrics.value("journal_pending_deliveries"), 21.0);
    assert_eq!(metrics.value("unaccounted_deliveries"), 0.0);
    bridge.terminate();
    assert_eq!(journal::ids(dir.path()).len(), 21);
}
