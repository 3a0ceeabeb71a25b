//! `kill -9` between a write, its sync, and the answer: stored and not answered is no loss, answered and not stored would be one. Kafka is
//! away meanwhile, so that the disk alone has to tell.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kill-before-answer",
    title: "kill -9 within a write, before and after its sync, and before the answer",
    excuse: Excuse::NoProcess("nobody listens between the kill and the restart"),
    run: |stage| {
        stage.start();
        stage.load_on();
        for round in stage.rounds(4, 40) {
            stage.kafka_away();
            let of = |call| Rule::on(call, "*.log").by("journal-writer").once();
            let answer = Rule::on(Call::Send, "socket:*").by("actix*").once();
            let moment = stage.random(200);
            stage.kill_at(match round % 4 {
                0 => of(Call::Write).after(moment).tears_and_kills(),
                1 => of(Call::Sync).after(moment).kills_before(),
                2 => of(Call::Sync).after(moment).kills_after(),
                _ => answer.after(moment).kills_before(),
            });
            stage.kafka_back();
            stage.start();
            stage.accept(20);
        }
        stage.accept(100);
    },
};
