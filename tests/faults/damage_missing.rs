//! A segment's file is gone: the oldest, the newest, or one between them.

use crate::harness::damage::{self, Alarm, Damage};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "damage-missing",
    title: "a segment's file is gone",
    excuse: Excuse::Nothing,
    run: |stage| {
        damage::play(stage, |stage, round, segments| {
            let last = segments.len() - 1;
            let segment = &segments[match round % 3 {
                0 => last,
                1 => 0,
                _ => stage.random(last as u64) as usize,
            }];
            std::fs::remove_file(&segment.path).unwrap();
            Damage {
                files: vec![segment.name()],
                victims: segment.ids(),
                alarm: Alarm::AtStart,
            }
        });
    },
};
