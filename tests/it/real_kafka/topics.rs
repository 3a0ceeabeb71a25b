//! Topics that are missing, deleted, forbidden or too small: told in log and metric, and over once mended.

use super::{
    PATIENCE, accept, accept_transactions, assert_complete_and_in_order, logged, serve, simulator,
    wait_until_nothing_is_pending,
};
use crate::support::eventually::within;
use crate::support::kafka::{RealKafka, skip, unique};
use icr_bridge::domain::event::EventKind;
use serde_json::json;

#[test]
fn a_missing_topic_is_told_and_publishing_goes_on_once_it_is_there() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let topic = unique("missing");
    let bridge = serve(dir.path(), &kafka.bootstrap, &topic, &[]);
    let ids = accept_transactions(&bridge, 0..20);
    assert!(bridge.is_ready(), "a missing topic refuses nothing");
    within(PATIENCE, "log and metric say so", || {
        let counted = bridge
            .metrics()
            .maybe("publish_failures_total{reason=\"unknown_topic\"}")
            .unwrap_or(0.0)
            > 0.0;
        (counted && logged(&bridge, &[&topic])).then_some(())
    });
    kafka.create_topic(&topic, 3, &[]);
    wait_until_nothing_is_pending(&bridge);
    assert_complete_and_in_order(&kafka.read_all(&[&topic], 20, PATIENCE), &ids);
}

#[test]
fn a_missing_topic_is_created_where_that_is_asked_for() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let topic = unique("created");
    let settings = [
        ("KAFKA_CREATE_TOPICS", "true"),
        ("KAFKA_TOPIC_PARTITIONS", "4"),
    ];
    let bridge = serve(dir.path(), &kafka.bootstrap, &topic, &settings);
    accept(&bridge, &simulator().delivery(EventKind::Installed, 1));
    accept(&bridge, &simulator().unintelligible(2));
    wait_until_nothing_is_pending(&bridge);
    assert_eq!(kafka.topics().get(&topic), Some(&4));
    assert_eq!(
        kafka.topic_setting(&topic, "cleanup.policy").as_deref(),
        Some("delete")
    );
    assert_eq!(kafka.count(&format!("{topic}.quarantine")), 1);
}

#[test]
fn a_topic_deleted_under_the_bridge_is_told_and_publishing_goes_on_once_it_is_back() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let topic = kafka.new_topic("deleted", 3);
    let bridge = serve(dir.path(), &kafka.bootstrap, &topic, &[]);
    accept_transactions(&bridge, 0..20);
    wait_until_nothing_is_pending(&bridge);
    kafka.delete_topic(&topic);
    let ids = accept_transactions(&bridge, 20..40);
    within(PATIENCE, "log and metric say so", || {
        let failures = bridge.metrics().sum("publish_failures_total");
        (failures > 0.0 && logged(&bridge, &[&topic])).then_some(())
    });
    kafka.create_topic(&topic, 3, &[]);
    wait_until_nothing_is_pending(&bridge);
    assert_complete_and_in_order(&kafka.read_all(&[&topic], 20, PATIENCE), &ids);
}

#[test]
fn a_forbidden_topic_is_told_and_publishing_goes_on_once_it_is_granted() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let Some(bootstrap) = kafka.sasl_bootstrap.clone() else {
        return skip("KAFKA_SASL_BOOTSTRAP is not set: the broker is not one of ours");
    };
    let dir = tempfile::tempdir().unwrap();
    let topic = kafka.new_topic("forbidden", 3);
    kafka.deny(&topic);
    let properties = kafka
        .sasl_properties()
        .iter()
        .filter(|(name, _)| *name != "bootstrap.servers")
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(",");
    let bridge = serve(
        dir.path(),
        &bootstrap,
        &topic,
        &[("KAFKA_PROPERTIES", &properties)],
    );
    let ids = accept_transactions(&bridge, 0..20);
    within(PATIENCE, "log and metric say so", || {
        let counted = bridge
            .metrics()
            .maybe("publish_failures_total{reason=\"unauthorized\"}")
            .unwrap_or(0.0)
            > 0.0;
        (counted && logged(&bridge, &[&topic])).then_some(())
    });
    kafka.grant(&topic);
    wait_until_nothing_is_pending(&bridge);
    assert_complete_and_in_order(&kafka.read_all(&[&topic], 20, PATIENCE), &ids);
    assert!(
        !bridge.log().join("\n").contains("bridge-secret"),
        "the password is not logged"
    );
}

#[test]
fn a_small_topic_limit_quarantines_no_ordinary_record_and_only_the_one_that_is_too_large() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let topic = unique("small");
    let quarantine = format!("{topic}.quarantine");
    let bridge = serve(dir.path(), &kafka.bootstrap, &topic, &[]);
    // A backlog, so that batches grow as large as they can.
    let mut ids = accept_transactions(&bridge, 0..1500);
    let large = simulator().sign(&json!({
        "event": "projectValidated", "x": incompressible(150_000),
        "installation": {"id": "1", "organization": {"id": "org1"}},
    }));
    let too_large = accept(&bridge, &large);
    ids.extend(accept_transactions(&bridge, 1500..2000));
    kafka.create_topic(&quarantine, 1, &[]);
    kafka.create_topic(&topic, 1, &[("max.message.bytes", "100000")]);
    wait_until_nothing_is_pending(&bridge);
    assert_eq!(
        bridge
            .metrics()
            .value("records_quarantined_total{reason=\"record_too_large\"}"),
        1.0
    );
    let quarantined = kafka.read_all(&[&quarantine], 1, PATIENCE);
    assert_eq!(quarantined.len(), 1);
    assert_eq!(quarantined[0].header("ce_id"), Some(too_large.as_str()));
    assert_eq!(quarantined[0].value.as_deref(), Some(large.body.as_slice()));
    assert_complete_and_in_order(&kafka.read_all(&[&topic], 2000, PATIENCE), &ids);
}

/// Hexadecimal noise: compression would make a regular text small enough.
fn incompressible(length: usize) -> String {
    use sha2::{Digest, Sha256};
    let blocks = (0..length as u64).map(|number| hex::encode(Sha256::digest(number.to_le_bytes())));
    blocks.take(length / 64 + 1).collect()
}
