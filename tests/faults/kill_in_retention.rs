//! `kill -9` while published segments are deleted: the floor is saved, the segment goes, its outcomes go.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kill-in-retention",
    title: "kill -9 at each step of deleting published segments",
    excuse: Excuse::NoProcess("nobody listens between the kill and the restart"),
    run: |stage| {
        // Every published segment is one too many.
        stage.set("JOURNAL_RETENTION_BYTES", "1");
        stage.start();
        stage.load_on();
        for round in stage.rounds(5, 50) {
            let by_keeper = |call, path| Rule::on(call, path).by("journal-keeper").once();
            stage.kill_at(match round % 5 {
                0 => by_keeper(Call::Write, "*/cursor").kills_after(),
                1 => by_keeper(Call::Unlink, "*.log").kills_before(),
                2 => by_keeper(Call::Unlink, "*.log").kills_after(),
                3 => by_keeper(Call::Unlink, "*.outcomes").kills_after(),
                _ => by_keeper(Call::Sync, "*/journal").kills_before(),
            });
            stage.start();
            stage.accept(20);
        }
        stage.accept(100);
    },
};
