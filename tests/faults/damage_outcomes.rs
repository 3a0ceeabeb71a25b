//! The logs of outcomes are gone, or hold something else: that costs knowledge, and nothing more.

use crate::harness::damage::{self, Damage};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "damage-outcomes",
    title: "the logs of outcomes are gone, or hold something else",
    excuse: Excuse::Nothing,
    run: |stage| {
        damage::play(stage, |stage, round, _| {
            for entry in std::fs::read_dir(stage.journal()).unwrap() {
                let path = entry.unwrap().path();
                if path
                    .extension()
                    .is_none_or(|extension| extension != "outcomes")
                {
                    continue;
                }
                match round % 4 {
                    0 | 1 => std::fs::remove_file(path).unwrap(),
                    2 => std::fs::write(path, b"no outcomes").unwrap(),
                    _ => std::fs::write(path, b"").unwrap(),
                }
            }
            Damage::default()
        });
    },
};
