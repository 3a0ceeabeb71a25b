//! A cluster that changes under the bridge: leaders that move, partitions that are added.

use super::{
    PATIENCE, accept_transactions, assert_complete_and_in_order, serve,
    wait_until_nothing_is_pending,
};
use crate::support::eventually::within;
use crate::support::kafka::{OwnBroker, RealKafka};
use std::collections::BTreeSet;

#[test]
fn a_rolling_restart_of_three_brokers_under_load_loses_and_quarantines_nothing() {
    if RealKafka::from_env().is_none() {
        return;
    }
    let first = OwnBroker::start();
    let (Some(second), Some(third)) = (first.join_as(2, &[]), first.join_as(3, &[])) else {
        return crate::support::kafka::skip("brokers in containers do not see each other");
    };
    let topic = crate::support::kafka::unique("rolling");
    first.create_replicated_topic(&topic, 6, 3, &[("min.insync.replicas", "2")]);
    let quarantine = format!("{topic}.quarantine");
    first.create_replicated_topic(&quarantine, 1, 3, &[]);
    let bootstrap = [&first, &second, &third]
        .map(|broker| broker.bootstrap.as_str())
        .join(",");
    let dir = tempfile::tempdir().unwrap();
    let bridge = serve(dir.path(), &bootstrap, &topic, &[]);

    let (done, rolled) = std::sync::mpsc::channel::<()>();
    let ids = std::thread::scope(|scope| {
        let accepting = &bridge;
        let load = scope.spawn(move || {
            let (mut ids, mut next) = (Vec::new(), 0);
            while matches!(rolled.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty)) {
                ids.extend(accept_transactions(accepting, next..next + 10));
                next += 10;
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            ids
        });
        let mut seen = BTreeSet::new();
        // The controller last: no leader changes while it is away.
        for broker in [&second, &third, &first] {
            seen.insert(first.leaders(&topic));
            broker.roll();
            let what =
                "every partition has a leader and publishing has caught up with what was accepted";
            within(PATIENCE, what, || {
                first
                    .leaders(&topic)
                    .iter()
                    .all(|leader| *leader > 0)
                    .then_some(())
            });
        }
        assert!(seen.len() > 1, "leaders have moved: {seen:?}");
        drop(done);
        load.join().unwrap()
    });
    wait_until_nothing_is_pending(&bridge);
    let records = first.read_all(&[&topic], ids.len(), PATIENCE);
    assert_complete_and_in_order(&records, &ids);
    assert_eq!(bridge.metrics().sum("records_quarantined_total"), 0.0);
    assert_eq!(first.count(&quarantine), 0);
}

#[test]
fn partitions_that_are_added_are_used_and_nothing_is_lost() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let topic = kafka.new_topic("grown", 1);
    let dir = tempfile::tempdir().unwrap();
    // librdkafka looks for new partitions every five minutes otherwise.
    let settings = [("KAFKA_PROPERTIES", "topic.metadata.refresh.interval.ms=500")];
    let bridge = serve(dir.path(), &kafka.bootstrap, &topic, &settings);
    let mut ids = accept_transactions(&bridge, 0..20);
    wait_until_nothing_is_pending(&bridge);
    kafka.add_partitions(&topic, 6);
    let mut next = 20;
    within(PATIENCE, "a record stands in a new partition", || {
        ids.extend(accept_transactions(&bridge, next..next + 10));
        next += 10;
        let ends = kafka.high_watermarks(&topic);
        (ends.len() == 6 && ends.iter().skip(1).any(|end| *end > 0)).then_some(())
    });
    wait_until_nothing_is_pending(&bridge);
    let records = kafka.read_all(&[&topic], ids.len(), PATIENCE);
    let found: BTreeSet<_> = records
        .iter()
        .filter_map(|record| record.header("ce_id"))
        .collect();
    assert!(ids.iter().all(|id| found.contains(id.as_str())));
    // A key moves once; on either side of that the order holds.
    for partition in 0..6 {
        let of_it: Vec<_> = records
            .iter()
            .filter(|record| record.partition == partition)
            .cloned()
            .collect();
        assert_complete_and_in_order(&of_it, &[]);
    }
}
