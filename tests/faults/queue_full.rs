//! The disk is so slow that more deliveries wait than `JOURNAL_QUEUE` allows: those beyond it are refused at once, the others stored.

use crate::harness::load::Plan;
use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "queue-full",
    title: "more deliveries wait for a slow disk than the queue may hold",
    excuse: Excuse::Refusals(
        &["queue_full"],
        "memory is bounded: JOURNAL_QUEUE is 8 here, and 64 want in",
    ),
    run: |stage| {
        stage.set("JOURNAL_QUEUE", "8");
        stage.start();
        stage.load_on_with(Plan {
            rate: 500,
            connections: 64,
        });
        stage.accept(20);
        for _ in stage.rounds(1, 5) {
            let rule = stage.shim.arm(Rule::on(Call::Sync, "*.log").delays(200));
            stage.refuse(100);
            stage.accept(50);
            stage.shim.lift(rule);
            stage.mended();
            stage.accept(100);
        }
        let counted = stage.bridge().metrics();
        assert!(counted.value("deliveries_refused_total{reason=\"queue_full\"}") >= 100.0);
    },
};
