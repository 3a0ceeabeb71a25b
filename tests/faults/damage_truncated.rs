//! A segment's file is cut in the middle.

use crate::harness::damage::{self, Alarm, Damage};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "damage-truncated",
    title: "a segment's file is cut short",
    excuse: Excuse::Nothing,
    run: |stage| {
        damage::play(stage, |stage, _, segments| {
            let segment = &segments[stage.random(segments.len() as u64) as usize];
            let Some(record) = segment.any_record(stage) else {
                return Damage::default();
            };
            let cut = record.start + stage.random(600) as usize;
            segment.edit(|bytes| bytes.truncate(cut));
            let lost = segment.records.iter().filter(|record| record.end > cut);
            Damage {
                files: vec![segment.name()],
                victims: lost.map(|record| record.id).collect(),
                alarm: Alarm::AtStart,
            }
        });
    },
};
