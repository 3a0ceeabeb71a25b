//! `kill -9` at random moments, under load.

use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kill-random",
    title: "kill -9 at a random moment, and started again",
    excuse: Excuse::NoProcess("nobody listens between the kill and the restart"),
    run: |stage| {
        stage.start();
        stage.load_on();
        for _ in stage.rounds(3, 50) {
            let moment = 20 + stage.random(400);
            stage.accept(moment);
            stage.kill();
            stage.start();
        }
        stage.accept(100);
    },
};
