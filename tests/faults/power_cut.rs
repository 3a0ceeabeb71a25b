//! Power cuts: the journal on a filesystem that really loses what was not synced.
//!
//! The bridge is frozen, part of what was written and not synced is put on the disk in an order of its own (as a disk or the kernel might
//! have), the filesystem is cut off, and the bridge never wakes up. Half of the cuts fall between a write and its sync; half come while Kafka is
//! away, so that nothing but the disk holds what was accepted.

mod model;

use crate::harness::load::Plan;
use crate::harness::shim::{Call, Rule};
use crate::harness::stage::Stage;
use crate::harness::volume::Volume;
use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;
use std::fs::File;
use std::os::fd::AsRawFd;

pub const FAULT: Fault = Fault {
    name: "power-cut",
    title: "the power goes, at any moment and between a write and its sync",
    excuse: Excuse::NoProcess("nobody listens between the power cut and the restart"),
    run: |stage| {
        let volume = match stage.volume(256, "data=ordered") {
            Ok(volume) => volume,
            Err(why) => return model::run(stage, &why),
        };
        stage.note("on ext4 over a loop device, cut off by EXT4_IOC_SHUTDOWN without log flush");
        stage.start();
        // Many at a time: groups of many pages.
        stage.load_on_with(Plan {
            rate: 1000,
            connections: 32,
        });
        for round in stage.rounds(4, 40) {
            if round % 4 < 2 {
                stage.kafka_away();
            }
            let moment = 50 + stage.random(500);
            stage.accept(moment);
            if round % 2 == 0 {
                cut(stage, &volume);
            } else {
                let sync = Rule::on(Call::Sync, "*.log").by("journal-writer");
                let rule = stage.shim.arm(sync.once().delays(30_000));
                eventually("the writer is about to sync", || {
                    (stage.shim.hits(&rule) == 1).then_some(())
                });
                cut(stage, &volume);
                stage.shim.lift(rule);
            }
            stage.start();
            stage.accept(20);
            stage.kafka_back();
        }
        stage.accept(100);
    },
};

/// Cuts the power, and mounts what is left.
pub fn cut(stage: &mut Stage, volume: &Volume) {
    stage.freeze();
    write_some_of_it_back(stage);
    volume.cut_power();
    stage.kill_frozen();
    volume.remount();
}

/// Some pages of the journal's files reach the disk, without any promise: a sync of the filesystem is no part of it.
fn write_some_of_it_back(stage: &mut Stage) {
    let entries = std::fs::read_dir(stage.journal()).unwrap();
    let files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    for path in files.iter().filter(|path| path.is_file()) {
        let file = File::open(path).unwrap();
        let pages = file.metadata().unwrap().len() / 4096;
        for page in (0..pages)
            .filter(|_| stage.random(2) == 0)
            .collect::<Vec<_>>()
        {
            let flags = libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
            // SAFETY: a plain system call on a descriptor that `file` keeps open.
            let done = unsafe {
                libc::sync_file_range(file.as_raw_fd(), (page * 4096) as i64, 4096, flags)
            };
            assert_eq!(done, 0);
        }
    }
}
