//! `kill -9` at random moments, under load; every other time while Kafka is away.

use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kill-random",
    title: "kill -9 at a random moment, and started again",
    excuse: Excuse::NoProcess("nobody listens between the kill and the restart"),
    run: |stage| {
        stage.start();
        stage.load_on();
        for round in stage.rounds(4, 50) {
            if round % 2 == 0 {
                stage.kafka_away();
            }
            let moment = 20 + stage.random(400);
            stage.accept(moment);
            stage.kill();
            stage.start();
            stage.accept(20);
            stage.kafka_back();
        }
        stage.accept(100);
    },
};
