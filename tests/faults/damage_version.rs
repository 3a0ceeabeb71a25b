//! A segment, or the cursor, of a newer format: nothing is changed, and the start says what to do. Where only one of two copies of a header says so,
//! it is the copy that is damaged.

use crate::harness::{Excuse, Fault};
use crate::support::process;
use std::path::{Path, PathBuf};

/// Where the version stands in a segment's header, in both copies of it; and how many bytes the checksum behind them covers.
const COPIES: [usize; 2] = [0, 4096];

pub const FAULT: Fault = Fault {
    name: "damage-version",
    title: "a segment or the cursor claims a newer format",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.start();
        stage.load_on();
        stage.accept(500);
        for round in stage.rounds(3, 12) {
            stage.load_off();
            stage.terminate();
            let segment = oldest(stage.journal());
            let cursor = stage.journal().join("cursor");
            let (path, covered, copies) = match round % 3 {
                0 => (segment, 44, &COPIES[..]),
                1 => (segment, 44, &COPIES[1..]),
                _ => (cursor, 124, &COPIES[..]),
            };
            let good = std::fs::read(&path).unwrap();
            let mut newer = good.clone();
            copies
                .iter()
                .for_each(|at| claim_newer(&mut newer, *at, covered));
            std::fs::write(&path, &newer).unwrap();
            if copies.len() == 1 {
                stage.start();
                stage.load_on();
                stage.accept(50);
                continue;
            }
            let ended = stage.try_start().expect_err("a newer format is left alone");
            assert_eq!(ended.status.code(), Some(1), "{ended}");
            let told = ended.log.iter().any(|line| line.contains("newer"));
            assert!(told, "{ended}");
            assert_eq!(std::fs::read(&path).unwrap(), newer, "nothing was changed");
            for command in ["verify", "repair"] {
                let settings = [("JOURNAL_DIR", stage.journal().to_str().unwrap())];
                let output = process::run(&["journal", command], &settings);
                assert_eq!(output.status.code(), Some(1), "{output:?}");
                assert!(
                    String::from_utf8_lossy(&output.stderr).contains("newer"),
                    "{output:?}"
                );
            }
            assert_eq!(std::fs::read(&path).unwrap(), newer, "nothing was changed");
            std::fs::write(&path, good).unwrap();
            stage.start();
            stage.load_on();
            stage.accept(50);
        }
    },
};

fn oldest(journal: &Path) -> PathBuf {
    let entries = std::fs::read_dir(journal).unwrap();
    let segments = entries.map(|entry| entry.unwrap().path());
    let segments =
        segments.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.min().expect("a segment")
}

fn claim_newer(bytes: &mut [u8], at: usize, covered: usize) {
    if let Some(version) = bytes.get_mut(at + 8..at + 12) {
        version.copy_from_slice(&99u32.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[at..at + covered]);
        bytes[at + covered..at + covered + 4].copy_from_slice(&checksum.to_le_bytes());
    }
}
