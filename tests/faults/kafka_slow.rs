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
            let waiting = if stage.is_long() { 10_000.0 } else { 400.0 };
            stage.without_kafka(|stage| {
                proxy.slow(Duration::from_secs(1));
                // Twice the window and more: it is Kafka that holds things up.
                while stage.waiting() < waiting {
                    stage.accept(100);
                }
            });
            proxy.slow(Duration::ZERO);
            stage.settle_below(500);
        }
    },
};
