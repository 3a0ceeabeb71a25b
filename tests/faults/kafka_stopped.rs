//! Kafka is stopped in order, and started again: for a minute in the long form.

use crate::harness::{Excuse, Fault};
use std::time::Duration;

pub const FAULT: Fault = Fault {
    name: "kafka-stopped",
    title: "Kafka is stopped, and started again a minute later",
    excuse: Excuse::Nothing,
    run: |stage| {
        let broker = stage.own_broker();
        // So that a long backlog is not long in following.
        stage.set("PUBLISH_WINDOW", "2000");
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 3) {
            stage.accept(500);
            let seconds = if stage.is_long() { 60 } else { 2 };
            stage.without_kafka(|stage| {
                broker.stop();
                stage.accept_for(Duration::from_secs(seconds));
            });
            broker.restart();
            stage.settle_below(500);
        }
    },
};
