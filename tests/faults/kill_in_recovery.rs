//! `kill -9` while the bridge recovers from `kill -9`, again and again.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kill-in-recovery",
    title: "kill -9 at any call that recovery makes, several times in a row",
    excuse: Excuse::NoProcess("nobody listens between the kill and the end of the recovery"),
    run: |stage| {
        stage.start();
        stage.load_on();
        // How many calls a recovery makes: looked at first, and then whenever one comes to its end.
        let mut calls = 0;
        let mut killed = 0;
        for _ in stage.rounds(3, 40) {
            let moment = 20 + stage.random(200);
            stage.accept(moment);
            stage.kill();
            for _ in 0..4 {
                let moment = if calls == 0 {
                    u64::MAX
                } else {
                    stage.random(calls)
                };
                let aim = Rule::on(Call::Any, "*/journal*").by("icr-bridge");
                let rule = stage.shim.arm(aim.after(moment).once().kills_before());
                let started = stage.try_start();
                let seen = stage.shim.seen(&rule);
                match (started, stage.shim.lift(rule)) {
                    (Err(_), 1) => killed += 1,
                    (Ok(()), 0) => {
                        calls = seen;
                        stage.kill();
                    }
                    (started, hits) => panic!("{hits} hits and {:?}", started.err()),
                }
            }
            stage.start();
        }
        stage.accept(100);
        stage.note(format!(
            "killed {killed} times in a recovery of some {calls} calls"
        ));
        assert!(killed > 0, "no recovery was hit");
    },
};
