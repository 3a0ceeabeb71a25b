//! Every sync fails for a while: nothing is promised meanwhile, and it goes on by itself.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;

pub const FAULT: Fault = Fault {
    name: "sync-error-lasting",
    title: "every sync in the journal's folder fails for a while",
    excuse: Excuse::Refusals(
        &["storage_error"],
        "no segment can be synced, not even a fresh one",
    ),
    run: |stage| {
        stage.start();
        stage.load_on();
        for _ in stage.rounds(2, 20) {
            stage.accept(100);
            let rule = stage
                .shim
                .arm(Rule::on(Call::Sync, "*/journal*").fails(libc::EIO));
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
