//! Files of the journal are deleted, renamed or replaced while the bridge has them open and Kafka is away: what was answered 202 is written again
//! where the next start finds it.

use crate::harness::stage::Stage;
use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub const FAULT: Fault = Fault {
    name: "segment-deleted",
    title: "the journal's open files are deleted, renamed or replaced; the bridge is killed once they are written again",
    excuse: Excuse::NoProcess("nobody listens between the kill and the restart"),
    run: |stage| {
        stage.start();
        stage.load_on();
        let first = stage.random(4);
        for round in stage.rounds(4, 24) {
            let before = segments(stage);
            stage.kafka_away();
            stage.accept(300);
            let all = segments(stage);
            // The newest of those that were there is written on.
            let pending: Vec<PathBuf> = all
                .iter()
                .filter(|path| !before.contains(*path) || before.last() == Some(path))
                .cloned()
                .collect();
            let active = pending.last().unwrap().clone();
            let lost = match (first + round) % 4 {
                0 => {
                    std::fs::remove_file(&active).unwrap();
                    vec![active]
                }
                1 => {
                    std::fs::rename(&active, stage.folder().join("elsewhere")).unwrap();
                    vec![active]
                }
                2 => {
                    replace(&active);
                    vec![active]
                }
                // All that is open: segments, spares, cursor, lock, memo.
                _ => {
                    let entries = std::fs::read_dir(stage.journal()).unwrap();
                    let files = entries.map(|entry| entry.unwrap().path());
                    files
                        .filter(|path| path.is_file())
                        .filter(|path| !all.contains(path) || pending.contains(path))
                        .for_each(|path| {
                            let _ = std::fs::remove_file(path);
                        });
                    pending
                }
            };
            stage.accept(200);
            eventually("what lost its name is written again", || {
                lost.iter().all(|path| is_segment(path)).then_some(())
            });
            eventually("the lock file is there", || {
                stage.journal().join("lock").exists().then_some(())
            });
            let damaged = stage.bridge().metrics().value("journal_damaged_segments");
            assert_eq!(damaged, 0.0, "nothing is lost");
            stage.kill();
            stage.kafka_back();
            stage.start();
            stage.accept(50);
            stage.settle_below(100);
        }
    },
};

fn segments(stage: &Stage) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(stage.journal()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect()
}

/// Another file under the same name, as an editor or a restored backup leaves it.
fn replace(path: &Path) {
    let other = path.with_extension("other");
    std::fs::write(&other, "something else").unwrap();
    std::fs::rename(other, path).unwrap();
}

fn is_segment(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"icrjrnl\n"))
}
