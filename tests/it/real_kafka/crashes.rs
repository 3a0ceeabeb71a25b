//! The bridge itself is killed or told to leave while it publishes.

use super::{
    PATIENCE, accept_transactions, assert_complete_and_in_order, serve,
    wait_until_nothing_is_pending,
};
use crate::support::kafka::RealKafka;

#[test]
fn kill_9_while_publishing_loses_nothing_and_repeats_at_most_one_window_with_the_same_ids() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let topic = kafka.new_topic("crash", 3);
    let mut ids = Vec::new();
    let rounds = 5;
    let window = 50;
    for round in 0..rounds {
        let settings = [
            ("PUBLISH_WINDOW", "50"),
            ("JOURNAL_SEGMENT_BYTES", "256KiB"),
        ];
        let bridge = serve(dir.path(), &kafka.bootstrap, &topic, &settings);
        ids.extend(accept_transactions(&bridge, round * 200..(round + 1) * 200));
        bridge.kill();
    }
    let bridge = serve(dir.path(), &kafka.bootstrap, &topic, &[]);
    wait_until_nothing_is_pending(&bridge);
    let records = kafka.read_now(&[&topic]);
    assert_complete_and_in_order(&records, &ids);
    let repeated = records.len() - ids.len();
    assert!(
        repeated <= rounds as usize * window,
        "{repeated} repeated in {rounds} crashes with a window of {window}"
    );
}

#[test]
fn sigterm_flushes_what_kafka_takes_and_says_so_in_the_ledger() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let topic = kafka.new_topic("leave", 3);
    let bridge = serve(dir.path(), &kafka.bootstrap, &topic, &[]);
    let first = accept_transactions(&bridge, 0..1);
    wait_until_nothing_is_pending(&bridge);
    let mut ids = accept_transactions(&bridge, 1..100);
    assert_eq!(bridge.terminate().code(), Some(0));
    ids.extend(first);
    let records = kafka.read_all(&[&topic], 100, PATIENCE);
    assert_eq!(
        records.len(),
        100,
        "each once: the cursor was saved behind the last one"
    );
    assert_complete_and_in_order(&records, &ids);
}
