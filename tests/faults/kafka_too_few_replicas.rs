//! The topic wants two replicas in sync, and one of the two brokers is gone: the other takes nothing, until it is back.

use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kafka-too-few-replicas",
    title: "one of two brokers is stopped, and the topic wants both",
    excuse: Excuse::Nothing,
    run: |stage| {
        let Some(second) = stage.own_cluster() else {
            return stage.skip("brokers in containers do not see each other");
        };
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 5) {
            stage.accept(200);
            stage.without_kafka(|stage| {
                second.stop();
                stage.publishing_fails("not_enough_replicas");
                stage.accept(200);
            });
            second.restart();
            stage.settle_below(500);
        }
    },
};
