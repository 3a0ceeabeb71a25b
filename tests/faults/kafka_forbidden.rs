//! The right to write to the topic is taken away, and granted again.

use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kafka-forbidden",
    title: "the right to write to the topic is taken away, and granted again",
    excuse: Excuse::Nothing,
    run: |stage| {
        let Some(brokers) = stage.kafka.sasl_bootstrap.clone() else {
            return stage.skip("the broker is none of ours: KAFKA_SASL_BOOTSTRAP is not set");
        };
        let properties = stage.kafka.sasl_properties();
        let properties: Vec<_> = properties[1..]
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        stage.set("KAFKA_BROKERS", &brokers);
        stage.set("KAFKA_PROPERTIES", &properties.join(","));
        stage.start();
        stage.load_on();
        let topic = stage.topic.clone();
        for _ in stage.rounds(1, 5) {
            stage.accept(200);
            stage.without_kafka(|stage| {
                stage.kafka.deny(&topic);
                stage.publishing_fails("unauthorized");
                stage.accept(200);
            });
            stage.kafka.grant(&topic);
            stage.settle_below(500);
        }
    },
};
