//! Others fill the disk. What was published makes room: preallocated spares first, then the oldest segments, whatever the retention.

use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "disk-full-published",
    title: "others fill the disk to the last byte, again and again; published segments make room",
    excuse: Excuse::Nothing,
    run: |stage| {
        let volume = match stage.volume(48, "data=ordered") {
            Ok(volume) => volume,
            Err(why) => return stage.skip(why),
        };
        stage.start();
        stage.load_on();
        stage.accept(1000);
        for _ in stage.rounds(2, 10) {
            volume.fill();
            // Some seven segments: more than the spares hold.
            stage.accept(1000);
        }
        let gave_way = stage
            .log()
            .iter()
            .any(|line| line.contains("deleted before its time"));
        assert!(gave_way, "the disk was full");
        assert!(stage.bridge().is_ready());
        volume.empty();
        stage.accept(100);
    },
};
