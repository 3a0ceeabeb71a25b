//! Others fill the disk while Kafka is away: nothing may go to make room. Once the spares are used deliveries are refused, and accepted again as soon as
//! there is space.

use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;
use std::path::Path;

/// As many as the bridge keeps by default.
const SPARES: usize = 2;

pub const FAULT: Fault = Fault {
    name: "disk-full-others",
    title: "others fill the disk while Kafka is away; then they make room",
    excuse: Excuse::Refusals(
        &["disk_full"],
        "no space, the spare segments are used up, and nothing published is left to give way",
    ),
    run: |stage| {
        let volume = match stage.volume(48, "data=ordered") {
            Ok(volume) => volume,
            Err(why) => return stage.skip(why),
        };
        // What is published goes at once, so that after many rounds it is still the others who fill the disk.
        stage.set("JOURNAL_RETENTION_BYTES", "2MiB");
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 10) {
            stage.accept(200);
            stage.kafka_away();
            eventually("what was taken is reserved anew", || {
                (spares(stage.journal()) >= SPARES).then_some(())
            });
            volume.fill();
            // What is reserved ahead still takes deliveries: the rest of a segment, and the spares.
            stage.accept(150);
            stage.refuse(50);
            // What happens to be small still fits into the last segment: it is not ready between two of those.
            eventually("the bridge is not ready", || {
                (!stage.bridge().is_ready()).then_some(())
            });
            volume.empty();
            stage.mended();
            stage.accept(200);
            eventually("the bridge is ready", || {
                stage.bridge().is_ready().then_some(())
            });
            stage.kafka_back();
            stage.settle();
        }
    },
};

fn spares(journal: &Path) -> usize {
    let entries = std::fs::read_dir(journal).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_str().is_some_and(|name| name.starts_with("spare-")))
        .count()
}
