//! `kill -9` around the moment at which the writer goes on in a fresh segment.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kill-after-roll",
    title: "kill -9 right before, at and after the roll to the next segment",
    excuse: Excuse::NoProcess("nobody listens between the kill and the restart"),
    run: |stage| {
        stage.start();
        stage.load_on();
        for round in stage.rounds(4, 40) {
            let roll = Rule::on(Call::Rename, "*.log").by("journal-writer");
            // The folder's sync makes the new segment's name durable.
            let named = Rule::on(Call::Sync, "*/journal").by("journal-writer");
            let first = Rule::on(Call::Write, "*.log").by("journal-writer");
            let moment = stage.random(3);
            stage.kill_at(match round % 4 {
                0 => roll.after(moment).once().kills_before(),
                1 => roll.after(moment).once().kills_after(),
                2 => named.after(moment).once().kills_after(),
                // The first group of the segment that the start opens.
                _ => first.once().tears_and_kills(),
            });
            stage.start();
            stage.accept(20);
        }
        stage.accept(100);
    },
};
