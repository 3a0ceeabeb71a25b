//! `kill -9` while a full segment is sealed: footer, sync, cut, trailer, sync.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kill-in-footer",
    title: "kill -9 at each step of sealing a segment, the footer or the trailer half written",
    excuse: Excuse::NoProcess("nobody listens between the kill and the restart"),
    run: |stage| {
        stage.start();
        stage.load_on();
        for round in stage.rounds(5, 50) {
            let of = |call| Rule::on(call, "*.log").by("journal-keeper");
            // Even ones are of a footer, odd ones of a trailer.
            let moment = stage.random(4);
            stage.kill_at(match round % 5 {
                0 => of(Call::Write).after(moment).once().tears_and_kills(),
                1 => of(Call::Write).after(moment).once().kills_after(),
                2 => of(Call::Sync).after(moment).once().kills_after(),
                3 => of(Call::Truncate).after(moment / 2).once().kills_before(),
                _ => of(Call::Truncate).after(moment / 2).once().kills_after(),
            });
            stage.start();
            stage.accept(20);
        }
        stage.accept(100);
    },
};
