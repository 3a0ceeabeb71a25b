//! The broker is restarted again and again, in order and by `kill -9`, and never given the time to take all that waits.

use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kafka-restarts",
    title: "the broker is restarted again and again",
    excuse: Excuse::Nothing,
    run: |stage| {
        let broker = stage.own_broker();
        stage.start();
        stage.load_on();
        for round in stage.rounds(2, 20) {
            stage.accept(100);
            stage.without_kafka(|stage| {
                match round % 2 {
                    0 => broker.stop(),
                    _ => broker.kill(),
                }
                stage.accept(100);
            });
            broker.restart();
        }
    },
};
