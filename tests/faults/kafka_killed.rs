//! `kill -9` of the broker in the middle of a batch: it has stored the batch, and the bridge has no answer.

use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kafka-killed",
    title: "kill -9 of the broker between storing a batch and answering",
    excuse: Excuse::Nothing,
    run: |stage| {
        let broker = stage.own_broker();
        let proxy = stage.proxy();
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 10) {
            stage.accept(200);
            stage.without_kafka(|stage| {
                proxy.hold_answers();
                broker.kill();
                proxy.release();
                stage.accept(500);
            });
            broker.restart();
            stage.settle_below(500);
        }
    },
};
