//! Kafka takes a second for each answer, and sends it in pieces: less than comes in is published, and more and more waits.

use crate::harness::{Excuse, Fault};
use std::time::Duration;

pub const FAULT: Fault = Fault {
    name: "kafka-slow",
    title: "Kafka takes a second for each answer, and sends it piece by piece",
    excuse: Excuse::Nothing,
    run: |stage| {
        let proxy = stage.proxy();
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 3) {
            stage.accept(300);
            let seconds = if stage.is_long() { 60 } else { 3 };
            stage.without_kafka(|stage| {
                proxy.slow(Duration::from_secs(1));
                stage.accept_for(Duration::from_secs(seconds));
            });
            let waiting = stage.bridge().metrics();
            let waiting = waiting.value("journal_pending_deliveries");
            assert!(waiting > 300.0, "only {waiting} wait: it was not slow");
            proxy.slow(Duration::ZERO);
            stage.settle_below(500);
        }
    },
};
