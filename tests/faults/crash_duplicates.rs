//! What may come twice: at most one publish window for each crash, with the same ids. Killed where most is acknowledged and not yet saved.

use crate::harness::load::Plan;
use crate::harness::shim::{Call, Rule};
use crate::harness::stage::WINDOW;
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "crash-duplicates",
    title: "kill -9 when a window is acknowledged and the cursor is not saved",
    excuse: Excuse::NoProcess("nobody listens between the kill and the restart"),
    run: |stage| {
        stage.start();
        for round in stage.rounds(3, 30) {
            stage.kafka_away();
            stage.load_on_with(Plan {
                rate: 2000,
                connections: 16,
            });
            // More than a window waits: then all of it goes at once.
            stage.accept(3 * WINDOW);
            stage.load_off();
            let cursor = Rule::on(Call::Write, "*/cursor").by("publisher").once();
            let moment = stage.random(6);
            let rule = match round % 3 {
                0 => cursor.kills_before(),
                1 => cursor.after(moment).kills_before(),
                _ => cursor.after(moment).kills_after(),
            };
            let armed = stage.shim.arm(rule);
            stage.kafka_back();
            stage.wait_until_killed();
            stage.shim.lift(armed);
            stage.start();
        }
        stage.load_on();
        stage.accept(100);
    },
};
