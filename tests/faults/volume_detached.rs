//! The journal's volume is detached while Kafka is away, and there is a folder of the journal's name below it. The bridge refuses until the volume is
//! mounted again, and writes nothing on the disk below.

use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;

pub const FAULT: Fault = Fault {
    name: "volume-detached",
    title: "the journal's volume is unmounted under the bridge; a folder of the journal's name is below it; later it is mounted again",
    excuse: Excuse::Refusals(
        &["storage_error"],
        "what is stored on a volume that is mounted nowhere is found by nobody",
    ),
    run: |stage| {
        let volume = match stage.volume(48, "data=ordered") {
            Ok(volume) => volume,
            Err(why) => return stage.skip(why),
        };
        stage.start();
        let below = stage.journal().to_owned();
        for round in stage.rounds(2, 12) {
            stage.load_on();
            stage.kafka_away();
            stage.accept(300);
            volume.detach();
            if !below.exists() {
                std::fs::create_dir(&below).unwrap();
            }
            stage.refuse(100);
            eventually("the bridge is not ready", || {
                (!stage.bridge().is_ready()).then_some(())
            });
            if round % 2 == 0 {
                stage.kafka_back();
                stage.settle();
            }
            let found = std::fs::read_dir(&below).unwrap().count();
            assert_eq!(found, 0, "nothing is written below");
            volume.attach();
            stage.mended();
            // By itself.
            stage.accept(100);
            stage.kafka_back();
            stage.load_off();
            stage.kill();
            stage.start();
        }
        stage.load_on();
        stage.accept(100);
    },
};
