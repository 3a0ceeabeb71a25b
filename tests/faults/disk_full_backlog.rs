//! Kafka is away for so long that the backlog itself fills the disk. When it is back, what is published makes room by itself.

use crate::harness::load::Plan;
use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;

pub const FAULT: Fault = Fault {
    name: "disk-full-backlog",
    title: "the backlog fills the disk while Kafka is away; then Kafka is back",
    excuse: Excuse::Refusals(
        &["disk_full"],
        "the disk is full of deliveries that no topic has yet, and none of them may go",
    ),
    run: |stage| {
        let volume = match stage.volume(12, "data=ordered") {
            Ok(volume) => volume,
            Err(why) => return stage.skip(why),
        };
        stage.start();
        for _ in stage.rounds(1, 5) {
            stage.load_on_with(Plan {
                rate: 2000,
                connections: 16,
            });
            stage.accept(100);
            stage.kafka_away();
            stage.refuse(100);
            assert!(
                volume.free() < 512 << 10,
                "{} bytes are free",
                volume.free()
            );
            stage.kafka_back();
            stage.mended();
            // More than the whole disk holds: published segments give way to new deliveries.
            stage.accept(200);
            eventually("the bridge is ready", || {
                stage.bridge().is_ready().then_some(())
            });
            stage.load_off();
            stage.settle();
        }
    },
};
