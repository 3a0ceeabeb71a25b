//! Single writes fail, or are torn and fail: the segment is abandoned, the delivery goes into the next one, and nobody notices.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "write-error",
    title: "single writes fail, or are torn; then the bridge is killed",
    excuse: Excuse::NoProcess("nobody listens between the kill and the restart"),
    run: |stage| {
        stage.start();
        stage.load_on();
        let mut struck = 0;
        for _ in stage.rounds(2, 20) {
            for kind in 0..4 {
                let after = stage.random(40);
                let write = Rule::on(Call::Write, "*.log").after(after).once();
                let rule = stage.shim.arm(match kind {
                    0 => write.fails(libc::EIO),
                    1 => write.tears_and_fails(libc::EIO),
                    2 => write.fails_after(libc::EIO),
                    _ => write.fails(libc::ENOSPC),
                });
                stage.accept(60);
                struck += stage.shim.lift(rule);
            }
            stage.kill();
            stage.start();
        }
        stage.accept(100);
        stage.note(format!("{struck} writes failed"));
    },
};
