//! The log cannot be written, since its disk is full or whoever reads it is stuck: every part of the bridge has something to say meanwhile, and none of
//! them waits or ends for it.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};

/// Longer than all that happens meanwhile.
const STUCK_MILLIS: i32 = 120_000;

pub const FAULT: Fault = Fault {
    name: "log-unwritable",
    title: "the log's disk is full; then nobody reads it any more",
    excuse: Excuse::NoProcess("nobody listens between stop and start"),
    run: |stage| {
        stage.start();
        stage.load_on();
        for round in stage.rounds(2, 10) {
            let full = round % 2 == 0;
            stage.accept(100);
            let line = Rule::on(Call::Write, &standard_error(stage.bridge().pid()));
            let log = stage.shim.arm(match full {
                true => line.fails(libc::ENOSPC),
                false => line.delays(STUCK_MILLIS),
            });
            stage.kafka_away();
            let write = Rule::on(Call::Write, "*.log").after(20).once();
            let disk = stage.shim.arm(write.fails(libc::EIO));
            stage.accept(300);
            assert_eq!(stage.shim.lift(disk), 1, "the writer had something to say");
            stage.kafka_back();
            stage.settle_below(500);
            let hits = stage.shim.lift(log);
            assert!(hits > 0, "somebody has logged");
            if !full {
                assert_eq!(hits, 1, "the first line is still stuck");
                let status = stage.terminate();
                assert_eq!(status.code(), Some(0), "it leaves in order all the same");
                stage.start();
            }
        }
        stage.accept(100);
    },
};

/// The pattern of the pipe that takes it, and no other: librdkafka has some of its own.
fn standard_error(pid: u32) -> String {
    let pipe = std::fs::read_link(format!("/proc/{pid}/fd/2")).unwrap();
    pipe.to_str().unwrap().replace('[', "\\[")
}
