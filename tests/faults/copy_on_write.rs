//! btrfs writes elsewhere what replaces zeros, so that a spare filled with zeros holds no room; the journal's files are exempted from that. Others fill the
//! disk while Kafka is away: what is reserved still takes deliveries.

use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;

pub const FAULT: Fault = Fault {
    name: "copy-on-write",
    title: "others fill a filesystem that copies on write, while Kafka is away",
    excuse: Excuse::Nothing,
    run: |stage| {
        let volume = match stage.volume_of("btrfs", &["-q", "-f"], 256) {
            Ok(volume) => volume,
            Err(why) => return stage.skip(why),
        };
        // Spares are filled with zeros only where there is room enough.
        stage.set("JOURNAL_LOW_WATER_BYTES", "1MiB");
        stage.start();
        stage.load_on();
        stage.accept(200);
        stage.kafka_away();
        eventually("what was taken is reserved anew", || {
            let spares = std::fs::read_dir(stage.journal()).unwrap();
            let names = spares.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            (names.filter(|name| name.starts_with("spare-")).count() >= 2).then_some(())
        });
        // Filled with zeros, which takes a round of housekeeping each, and is where copying on write shows.
        eventually("the spares are filled", || {
            let zeroed = std::fs::read_dir(stage.journal()).unwrap();
            let spares = zeroed.map(|entry| entry.unwrap().path());
            let mut spares = spares.filter(|path| path.to_str().unwrap().contains("spare-"));
            spares.all(|path| is_written(&path)).then_some(())
        });
        volume.fill();
        // The spares alone hold more.
        stage.accept(150);
        stage.load_off();
        volume.empty();
        stage.load_on();
        stage.accept(200);
        stage.kafka_back();
    },
};

/// Whether no part of a file is space that was merely reserved.
fn is_written(path: &std::path::Path) -> bool {
    let listed = std::process::Command::new("filefrag")
        .arg("-v")
        .arg(path)
        .output();
    let listed = listed.expect("filefrag, of e2fsprogs");
    !String::from_utf8_lossy(&listed.stdout).contains("unwritten")
}
