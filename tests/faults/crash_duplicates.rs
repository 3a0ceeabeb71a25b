//! What may come twice: at most one publish window for each crash, with the same ids. Killed where most is acknowledged and not yet saved.

use crate::harness::load::Plan;
use crate::harness::shim::{Call, Rule};
use crate::harness::stage::{Stage, WINDOW};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "crash-duplicates",
    title: "kill -9 when a window is acknowledged and the cursor is not saved",
    excuse: Excuse::NoProcess("nobody listens between the kill and the restart"),
    run: |stage| {
        stage.start();
        let (mut before, mut most) = (0, 0);
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
            stage.settle();
            let repeated = repeated(stage);
            let of_this_crash = repeated - before;
            assert!(
                of_this_crash <= WINDOW,
                "{of_this_crash} repeated after one crash"
            );
            (before, most) = (repeated, most.max(of_this_crash));
        }
        stage.note(format!(
            "at most {most} repeated after one crash, of {WINDOW} that the window allows"
        ));
        stage.load_on();
        stage.accept(100);
    },
};

/// Records in the topics beyond one for each delivery in the journal, with nothing pending.
fn repeated(stage: &Stage) -> u64 {
    let topics = [&stage.topic, &stage.quarantine];
    let records: i64 = topics.iter().map(|topic| stage.kafka.count(topic)).sum();
    records as u64 - stage.stats()["accepted"].as_u64().unwrap()
}
