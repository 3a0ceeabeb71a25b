//! Every sync takes half a second longer: deliveries wait for it, together, and are accepted.

use crate::harness::load::Plan;
use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "slow-syncs",
    title: "every sync in the journal's folder takes 500 ms longer",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.start();
        stage.load_on_with(Plan {
            rate: 500,
            connections: 64,
        });
        stage.accept(200);
        for _ in stage.rounds(1, 5) {
            let rule = stage
                .shim
                .arm(Rule::on(Call::Sync, "*/journal*").delays(500));
            // Over several segments' worth.
            stage.accept(400);
            stage.shim.lift(rule);
            stage.mended();
            stage.accept(200);
        }
    },
};
