//! A filesystem has free space and no inodes: no file can be made, and the segment at hand grows.

use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "no-inodes",
    title: "the filesystem has free space and no inodes left, while Kafka is away",
    excuse: Excuse::Nothing,
    run: |stage| {
        let arguments = ["-q", "-F", "-m", "0", "-N", "128"];
        let volume = match stage.volume_of("ext4", &arguments, 48) {
            Ok(volume) => volume,
            Err(why) => return stage.skip(why),
        };
        stage.start();
        stage.load_on();
        stage.accept(100);
        stage.kafka_away();
        volume.use_up_inodes();
        // Three segments and two spares hold some 500.
        stage.accept(1500);
        stage.load_off();
        stage.kill();
        // A start makes one file: without an inode for that, and without a spare, there is no room.
        volume.free_inodes();
        stage.start();
        stage.kafka_back();
        stage.load_on();
        stage.accept(200);
    },
};
