//! Bits turn over in the middle of a record.

use crate::harness::damage::{self, Alarm, Damage};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "damage-bit-flip",
    title: "a bit of a stored record turns over",
    excuse: Excuse::Nothing,
    run: |stage| {
        damage::play(stage, |stage, _, segments| {
            let segment = &segments[stage.random(segments.len() as u64) as usize];
            let Some(record) = segment.any_record(stage) else {
                return Damage::default();
            };
            // In the frame's header, its tag, or its body; not in what fills it up to a multiple of 8.
            let length = (record.end - record.start - 8).min(600);
            let at = record.start + stage.random(length as u64) as usize;
            let bit = stage.random(8);
            segment.edit(|bytes| bytes[at] ^= 1 << bit);
            Damage {
                files: vec![segment.name()],
                victims: vec![record.id],
                alarm: Alarm::WhenRead,
            }
        });
    },
};
