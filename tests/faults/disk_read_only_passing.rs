//! Every change fails with EROFS for a while, and then succeeds again: the bridge goes on by itself. (A filesystem that is used cannot be remounted
//! read-only and back again, so the shim plays it.)

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;

pub const FAULT: Fault = Fault {
    name: "disk-read-only-passing",
    title: "every change to the journal's folder fails with EROFS for a while",
    excuse: Excuse::Refusals(
        &["storage_error"],
        "nothing can be written anywhere in the journal's folder",
    ),
    run: |stage| {
        stage.start();
        stage.load_on();
        for _ in stage.rounds(2, 20) {
            stage.accept(200);
            let changes = [
                Call::Write,
                Call::Reserve,
                Call::Truncate,
                Call::Rename,
                Call::Unlink,
            ];
            let rules = changes.map(|call| {
                stage
                    .shim
                    .arm(Rule::on(call, "*/journal/*").fails(libc::EROFS))
            });
            stage.refuse(50);
            eventually("the bridge is not ready", || {
                (!stage.bridge().is_ready()).then_some(())
            });
            for rule in rules {
                stage.shim.lift(rule);
            }
            stage.mended();
            stage.accept(100);
            eventually("the bridge is ready", || {
                stage.bridge().is_ready().then_some(())
            });
        }
    },
};
