//! There is less free space than one segment takes, but room for deliveries.

use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;

pub const FAULT: Fault = Fault {
    name: "little-room",
    title: "less free space than one segment takes",
    excuse: Excuse::Nothing,
    run: |stage| {
        let volume = match stage.volume(48, "data=ordered") {
            Ok(volume) => volume,
            Err(why) => return stage.skip(why),
        };
        stage.set("JOURNAL_SEGMENT_BYTES", "16MiB");
        volume.fill_but(5 << 20);
        stage.start();
        eventually("the bridge is ready", || {
            stage.bridge().is_ready().then_some(())
        });
        stage.load_on();
        stage.accept(200);
        stage.kafka_away();
        stage.accept(300);
        stage.load_off();
        stage.kill();
    },
};
