//! Reads of the journal fail now and then, while a backlog is published and while the bridge starts: they are tried again, and cost nothing.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "read-error",
    title: "single reads of the journal fail, also at the start",
    excuse: Excuse::NoProcess("nobody listens between the kill and the restart"),
    run: |stage| {
        stage.start();
        stage.load_on();
        let mut struck = 0;
        for _ in stage.rounds(2, 20) {
            stage.kafka_away();
            stage.accept(300);
            stage.kill();
            // Two in a row: fewer than make a place count as damaged.
            for path in ["*.log", "*.log", "*/cursor"] {
                let moment = stage.random(4);
                let read = Rule::on(Call::Read, path).after(moment).times(2);
                let rule = stage.shim.arm(read.fails(libc::EIO));
                stage.kafka_back();
                match stage.is_running() {
                    false => stage.start(),
                    true => stage.accept(100),
                }
                struck += stage.shim.lift(rule);
            }
            stage.settle_below(100);
        }
        assert!(struck > 0, "no read failed");
        stage.note(format!("{struck} reads failed"));
        let damaged = stage.bridge().metrics().value("journal_damaged_segments");
        assert_eq!(damaged, 0.0, "a passing fault is no damage");
    },
};
