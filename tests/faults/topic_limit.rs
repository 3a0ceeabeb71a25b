//! A topic that takes 100 kB at a time, and a backlog of small records that would fill batches ten times as large: none goes to quarantine.

use crate::harness::load::Plan;
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "topic-limit",
    title: "a topic limit of 100 kB, and a backlog of 100,000 records of 2 kB",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.topic_with(&[("max.message.bytes", "100000")]);
        // Records of 2 kB and more each; nothing makes their batches smaller than they are.
        stage.deliveries().grow(4000);
        // Gathered for as long as the window takes to fill, however slow the machine: the batches are as large as they can be.
        stage.set("KAFKA_PROPERTIES", "compression.type=none,linger.ms=1000");
        stage.set("PUBLISH_WINDOW", "2000");
        let count = if stage.is_long() { 100_000 } else { 3000 };
        stage.start();
        for _ in stage.rounds(1, 1) {
            stage.load_on_with(Plan {
                rate: 2000,
                connections: 16,
            });
            stage.kafka_away();
            stage.without_kafka(|stage| {
                for _ in 0..count / 1000 {
                    stage.accept(1000);
                }
            });
            stage.load_off();
            stage.kafka_back();
            stage.settle();
        }
        let counted = stage.bridge().metrics();
        let refused = counted.value("publish_failures_total{reason=\"record_refused\"}");
        assert!(refused > 0.0, "no batch was too large");
        let too_large = counted.maybe("records_quarantined_total{reason=\"record_too_large\"}");
        assert_eq!(too_large.unwrap_or_default(), 0.0);
    },
};
