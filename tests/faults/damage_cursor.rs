//! The cursor is gone, empty, noise, or half damaged: at worst everything that is on disk is published again, with the same ids.

use crate::harness::damage::{self, Alarm, Damage};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "damage-cursor",
    title: "the cursor is lost, or one of its slots",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.forget_ledger();
        stage.expect_everything_again();
        damage::play(stage, |stage, round, _| {
            let path = stage.journal().join("cursor");
            let bytes = std::fs::read(&path).unwrap();
            match round % 4 {
                0 => std::fs::remove_file(&path).unwrap(),
                1 => std::fs::write(&path, vec![0xa5; bytes.len()]).unwrap(),
                2 => std::fs::write(&path, b"").unwrap(),
                _ => {
                    let mut bytes = bytes;
                    let slot = 4096 * stage.random(2) as usize;
                    bytes[slot + 30] ^= 4;
                    std::fs::write(&path, bytes).unwrap();
                }
            }
            Damage {
                files: vec!["cursor".to_owned()],
                victims: Vec::new(),
                alarm: Alarm::Never,
            }
        });
    },
};
