//! The journal's folder is renamed while Kafka is away, and something else or nothing is in its place. The bridge refuses until it is back,
//! publishes what it had accepted, and writes nothing into the other folder.

use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;
use std::process::Command;

pub const FAULT: Fault = Fault {
    name: "folder-replaced",
    title: "the journal's folder is renamed and replaced by an empty one, by a copy, or by nothing; later it is moved back",
    excuse: Excuse::Refusals(
        &["storage_error"],
        "the journal's folder is not where the next start would look for it",
    ),
    run: |stage| {
        stage.start();
        stage.load_on();
        let away = stage.folder().join("away");
        let journal = stage.journal().to_owned();
        let first = stage.random(3);
        for round in stage.rounds(3, 18) {
            stage.kafka_away();
            stage.accept(300);
            std::fs::rename(&journal, &away).unwrap();
            match (first + round) % 3 {
                0 => std::fs::create_dir(&journal).unwrap(),
                1 => {
                    let mut copy = Command::new("cp");
                    let copied = copy.arg("-a").arg(&away).arg(&journal).status();
                    assert!(copied.unwrap().success());
                }
                _ => {}
            }
            let before = contents(&journal);
            stage.refuse(100);
            eventually("the bridge is not ready, and the alarm is up", || {
                let alarmed = stage.bridge().metrics().value("journal_damaged_segments") > 0.0;
                (!stage.bridge().is_ready() && alarmed).then_some(())
            });
            if round % 2 == 0 {
                // Published from what is open.
                stage.kafka_back();
                stage.settle();
            }
            assert_eq!(contents(&journal), before, "nothing is written there");
            if journal.exists() {
                std::fs::remove_dir_all(&journal).unwrap();
            }
            std::fs::rename(&away, &journal).unwrap();
            stage.mended();
            // By itself.
            stage.accept(100);
            stage.kafka_back();
            assert!(stage.bridge().is_ready());
            stage.load_off();
            stage.kill();
            stage.start();
            stage.load_on();
            stage.accept(50);
        }
    },
};

/// Names and lengths, if there is a folder.
fn contents(dir: &std::path::Path) -> Option<Vec<(std::ffi::OsString, u64)>> {
    let entries = std::fs::read_dir(dir).ok()?.map(Result::unwrap);
    let mut names: Vec<_> = entries
        .map(|entry| (entry.file_name(), entry.metadata().unwrap().len()))
        .collect();
    names.sort();
    Some(names)
}
