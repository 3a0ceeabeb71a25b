//! The broker is frozen: its connections stay, and it answers nothing. In the long form for longer than any request may take.

use crate::harness::{Excuse, Fault};
use std::time::Duration;

pub const FAULT: Fault = Fault {
    name: "kafka-frozen",
    title: "the broker is frozen (SIGSTOP), and goes on a while later",
    excuse: Excuse::Nothing,
    run: |stage| {
        let broker = stage.own_broker();
        // So that a long backlog is not long in following.
        stage.set("PUBLISH_WINDOW", "2000");
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 3) {
            stage.accept(500);
            let seconds = if stage.is_long() { 75 } else { 3 };
            stage.without_kafka(|stage| {
                broker.pause();
                stage.accept_for(Duration::from_secs(seconds));
            });
            broker.resume();
            stage.settle_below(500);
        }
    },
};
