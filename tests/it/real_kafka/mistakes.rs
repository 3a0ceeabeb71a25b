//! What operators of Kafka do to topics by mistake: compaction, and rights to one topic but not to the other.

use super::{
    PATIENCE, accept, accept_transactions, assert_complete_and_in_order, logged, serve, simulator,
    wait_until_nothing_is_pending,
};
use crate::support::eventually::within;
use crate::support::kafka::{RealKafka, skip, unique};

#[test]
fn a_compacted_topic_is_told_at_the_start_and_when_it_becomes_one() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let compacted = unique("compacted");
    kafka.create_topic(&compacted, 1, &[("cleanup.policy", "compact,delete")]);
    let fine = kafka.new_topic("fine", 1);
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at_start = serve(one.path(), &kafka.bootstrap, &compacted, &[]);
    let later = serve(other.path(), &kafka.bootstrap, &fine, &[]);
    // Published all the same: what is there can be replayed.
    let ids = accept_transactions(&at_start, 0..5);
    wait_until_nothing_is_pending(&at_start);
    assert_complete_and_in_order(&kafka.read_all(&[&compacted], 5, PATIENCE), &ids);
    within(PATIENCE, "the log says so", || {
        logged(
            &at_start,
            &[&compacted, "compaction", "cleanup.policy=delete"],
        )
        .then_some(())
    });
    accept_transactions(&later, 0..5);
    wait_until_nothing_is_pending(&later);
    assert!(!logged(&later, &["compact"]));
    kafka.configure_topic(&fine, "cleanup.policy", "compact");
    within(PATIENCE, "the log says so while it runs", || {
        logged(&later, &[&fine, "compaction", "cleanup.policy=delete"]).then_some(())
    });
    kafka.configure_topic(&fine, "cleanup.policy", "delete");
    within(PATIENCE, "the log says that it is over", || {
        logged(&later, &[&fine, "no longer compacted"]).then_some(())
    });
}

/// The properties of the user whom ACLs are about.
fn properties(kafka: &RealKafka) -> String {
    let properties = kafka.sasl_properties();
    let properties = properties
        .iter()
        .filter(|(name, _)| *name != "bootstrap.servers");
    let properties: Vec<_> = properties
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    properties.join(",")
}

#[test]
fn a_quarantine_topic_that_is_forbidden_holds_its_records_and_stops_no_event() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let Some(bootstrap) = kafka.sasl_bootstrap.clone() else {
        return skip("KAFKA_SASL_BOOTSTRAP is not set: the broker is not one of ours");
    };
    let topic = kafka.new_topic("allowed", 3);
    let quarantine = format!("{topic}.quarantine");
    kafka.create_topic(&quarantine, 1, &[]);
    kafka.deny(&quarantine);
    let dir = tempfile::tempdir().unwrap();
    let properties = properties(&kafka);
    let settings = [("KAFKA_PROPERTIES", properties.as_str())];
    let bridge = serve(dir.path(), &bootstrap, &topic, &settings);
    let mut ids = accept_transactions(&bridge, 0..10);
    let odd = accept(&bridge, &simulator().unintelligible(1));
    ids.extend(accept_transactions(&bridge, 10..20));
    // It is held, and the events behind it are published; some twice, since what was under way is sent again.
    within(PATIENCE, "it is held, and the log names the topic", || {
        let held = bridge.metrics().value("deliveries_held") == 1.0;
        (held && logged(&bridge, &[&quarantine, "unauthorized"])).then_some(())
    });
    wait_until_nothing_is_pending(&bridge);
    assert_complete_and_in_order(&kafka.read_all(&[&topic], 20, PATIENCE), &ids);
    kafka.grant(&quarantine);
    let records = kafka.read_all(&[&quarantine], 1, PATIENCE);
    assert_eq!(records[0].header("ce_id"), Some(odd.as_str()));
    within(PATIENCE, "nothing is held", || {
        (bridge.metrics().value("deliveries_held") == 0.0).then_some(())
    });
}

#[test]
fn an_event_topic_that_is_forbidden_sends_no_event_to_quarantine() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let Some(bootstrap) = kafka.sasl_bootstrap.clone() else {
        return skip("KAFKA_SASL_BOOTSTRAP is not set: the broker is not one of ours");
    };
    let topic = kafka.new_topic("denied", 3);
    let quarantine = format!("{topic}.quarantine");
    kafka.create_topic(&quarantine, 1, &[]);
    kafka.deny(&topic);
    let dir = tempfile::tempdir().unwrap();
    let properties = properties(&kafka);
    let settings = [("KAFKA_PROPERTIES", properties.as_str())];
    let bridge = serve(dir.path(), &bootstrap, &topic, &settings);
    let odd = accept(&bridge, &simulator().unintelligible(1));
    let ids = accept_transactions(&bridge, 0..10);
    within(
        PATIENCE,
        "the log names the topic, and the odd one is in quarantine",
        || {
            let told = logged(&bridge, &[&topic, "unauthorized"]);
            (told && kafka.count(&quarantine) == 1).then_some(())
        },
    );
    assert_eq!(bridge.metrics().value("deliveries_held"), 0.0);
    kafka.grant(&topic);
    wait_until_nothing_is_pending(&bridge);
    assert_complete_and_in_order(&kafka.read_all(&[&topic], 10, PATIENCE), &ids);
    let records = kafka.read_now(&[&quarantine]);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].header("ce_id"), Some(odd.as_str()));
}
