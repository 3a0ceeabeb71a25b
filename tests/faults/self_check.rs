//! The suite can see a broken promise: with syncs that do nothing a power cut must lose what was answered 202.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};
use crate::power_cut::cut;

pub const FAULT: Fault = Fault {
    name: "self-check",
    title: "a disk that lies about its syncs, and a power cut: must be seen to lose deliveries",
    excuse: Excuse::NoProcess("nobody listens between the power cut and the restart"),
    run: |stage| {
        let volume = match stage.volume(256, "data=ordered") {
            Ok(volume) => volume,
            Err(why) => return stage.skip(why),
        };
        stage.expect_loss();
        stage.kafka_away();
        stage.start();
        stage.load_on();
        stage.accept(300);
        stage.shim.arm(Rule::on(Call::Sync, "*").lies());
        stage.accept(200);
        cut(stage, &volume);
        stage.start();
        stage.accept(20);
    },
};
