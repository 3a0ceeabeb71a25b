//! A segment's file is empty, or nothing but zeros.

use crate::harness::damage::{self, Alarm, Damage};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "damage-empty",
    title: "a segment's file has no bytes, or only zeros",
    excuse: Excuse::Nothing,
    run: |stage| {
        damage::play(stage, |stage, round, segments| {
            let segment = &segments[stage.random(segments.len() as u64) as usize];
            segment.edit(|bytes| match round % 4 < 2 {
                true => bytes.clear(),
                false => bytes.fill(0),
            });
            Damage {
                files: vec![segment.name()],
                victims: segment.ids(),
                alarm: Alarm::AtStart,
            }
        });
    },
};
