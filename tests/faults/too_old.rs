//! Kafka was away for longer than its topics take records for: they are published all the same, with the present as their timestamp, and
//! fresh ones do not wait behind.

use crate::harness::{Excuse, Fault};
use std::time::Duration;

/// Of both topics.
const LIMIT: (&str, &str) = ("message.timestamp.before.max.ms", "5000");

pub const FAULT: Fault = Fault {
    name: "too-old",
    title: "a backlog that is older than both topics take (5 s)",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.topic_with(&[LIMIT]);
        stage.quarantine_with(&[LIMIT]);
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 5) {
            stage.accept(200);
            stage.kafka_away();
            stage.accept(600);
            stage.wait_until_old(Duration::from_secs(12));
            stage.kafka_back();
            stage.settle_below(200);
        }
        stage.load_off();
        stage.settle();
        // Where several of a batch are too old, librdkafka calls them invalid: no reason to send less at once.
        let log = stage.bridge().log().join("\n");
        assert!(!log.contains("records go one by one from now on"), "{log}");
        assert!(!log.contains("batches are limited to"), "{log}");
        let counted = stage.bridge().metrics();
        let refused = counted.maybe("publish_failures_total{reason=\"record_refused\"}");
        assert!(refused.unwrap_or_default() > 0.0, "no record was too old");
        for reason in ["record_invalid", "record_too_large"] {
            let series = format!("records_quarantined_total{{reason=\"{reason}\"}}");
            assert_eq!(counted.maybe(&series).unwrap_or_default(), 0.0);
        }
    },
};
