//! Brokers that are not there, go away, or fall silent: deliveries are accepted all the same, and follow in order.

use super::{
    PATIENCE, accept_transactions, assert_complete_and_in_order, serve,
    wait_until_nothing_is_pending,
};
use crate::support::eventually::eventually;
use crate::support::kafka::{OwnBroker, RealKafka};

#[test]
fn a_bridge_started_without_kafka_accepts_and_delivers_in_order_when_it_comes_up() {
    if RealKafka::from_env().is_none() {
        return;
    }
    let broker = OwnBroker::start();
    let topic = broker.new_topic("late", 3);
    broker.stop();
    let dir = tempfile::tempdir().unwrap();
    let bridge = serve(dir.path(), &broker.bootstrap, &topic, &[]);
    assert!(bridge.is_ready());
    let ids = accept_transactions(&bridge, 0..500);
    let metrics = bridge.metrics();
    assert_eq!(metrics.value("journal_pending_deliveries"), 500.0);
    eventually("the age of the oldest is told", || {
        let oldest = "journal_oldest_pending_timestamp_seconds";
        bridge.metrics().maybe(oldest)
    });
    broker.restart();
    wait_until_nothing_is_pending(&bridge);
    eventually("nothing pending has no age", || {
        let oldest = "journal_oldest_pending_timestamp_seconds";
        bridge.metrics().maybe(oldest).is_none().then_some(())
    });
    assert_eq!(bridge.metrics().sum("records_published_total"), 500.0);
    assert_complete_and_in_order(&broker.read_all(&[&topic], 500, PATIENCE), &ids);
}

#[test]
fn a_broker_killed_and_paused_under_the_bridge_loses_nothing_and_keeps_the_order() {
    if RealKafka::from_env().is_none() {
        return;
    }
    let broker = OwnBroker::start();
    let topic = broker.new_topic("killed", 3);
    let dir = tempfile::tempdir().unwrap();
    let bridge = serve(dir.path(), &broker.bootstrap, &topic, &[]);
    let mut ids = accept_transactions(&bridge, 0..300);
    broker.kill();
    ids.extend(accept_transactions(&bridge, 300..600));
    broker.restart();
    ids.extend(accept_transactions(&bridge, 600..900));
    broker.pause();
    ids.extend(accept_transactions(&bridge, 900..1200));
    broker.resume();
    ids.extend(accept_transactions(&bridge, 1200..1500));
    wait_until_nothing_is_pending(&bridge);
    assert_complete_and_in_order(&broker.read_all(&[&topic], 1500, PATIENCE), &ids);
}

#[test]
fn sigterm_with_kafka_away_leaves_and_a_restart_resumes() {
    if RealKafka::from_env().is_none() {
        return;
    }
    let broker = OwnBroker::start();
    let topic = broker.new_topic("resumed", 3);
    let dir = tempfile::tempdir().unwrap();
    let bridge = serve(dir.path(), &broker.bootstrap, &topic, &[]);
    let mut ids = accept_transactions(&bridge, 0..100);
    wait_until_nothing_is_pending(&bridge);
    broker.stop();
    ids.extend(accept_transactions(&bridge, 100..200));
    assert_eq!(bridge.terminate().code(), Some(0));
    broker.restart();
    let bridge = serve(dir.path(), &broker.bootstrap, &topic, &[]);
    wait_until_nothing_is_pending(&bridge);
    let records = broker.read_all(&[&topic], 200, PATIENCE);
    assert_complete_and_in_order(&records, &ids);
}
