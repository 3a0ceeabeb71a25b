//! Every write of records fails for a while: deliveries are refused, nothing is stored twice or half, and it goes on by itself.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;

pub const FAULT: Fault = Fault {
    name: "write-error-lasting",
    title: "every write to every segment fails for a while",
    excuse: Excuse::Refusals(
        &["storage_error"],
        "no segment can be written, not even a fresh one",
    ),
    run: |stage| {
        stage.start();
        stage.load_on();
        for round in stage.rounds(3, 20) {
            stage.accept(100);
            let write = Rule::on(Call::Write, "*/journal/*");
            let rule = stage.shim.arm(match round % 3 {
                0 => write.fails(libc::EIO),
                1 => write.tears_and_fails(libc::EIO),
                _ => write.fails_after(libc::EIO),
            });
            stage.refuse(50);
            eventually("the bridge is not ready", || {
                (!stage.bridge().is_ready()).then_some(())
            });
            stage.shim.lift(rule);
            stage.mended();
            stage.accept(100);
            eventually("the bridge is ready", || {
                stage.bridge().is_ready().then_some(())
            });
        }
    },
};
