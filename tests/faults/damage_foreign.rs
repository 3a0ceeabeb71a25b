//! Files that are not the journal's: under a segment's name instead of it, or beside the segments.

use crate::harness::damage::{self, Damage};
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "damage-foreign",
    title: "a foreign file stands in a segment's place, or beside the segments",
    excuse: Excuse::Nothing,
    run: |stage| {
        damage::play(stage, |stage, round, segments| {
            let segment = &segments[stage.random(segments.len() as u64) as usize];
            let folder = segment.path.parent().unwrap();
            match round % 6 {
                // Noise, or another segment's copy, in its place.
                0 | 1 => segment.edit(|bytes| {
                    bytes
                        .iter_mut()
                        .for_each(|byte| *byte = stage.random(256) as u8);
                }),
                4 | 5 => {
                    let other = segments.iter().find(|other| other.path != segment.path);
                    std::fs::copy(&other.unwrap().path, &segment.path).unwrap();
                }
                // A file whose name says that it starts within a segment that is whole.
                2 => {
                    let base: u64 = segment
                        .path
                        .file_stem()
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .parse()
                        .unwrap();
                    let stray = folder.join(format!("{:020}.log", base + 5));
                    std::fs::write(&stray, b"not a segment").unwrap();
                    let name = stray.file_name().unwrap().to_str().unwrap().to_owned();
                    return Damage {
                        files: vec![name],
                        victims: Vec::new(),
                        alarm: true,
                    };
                }
                // Whatever people leave lying about.
                _ => {
                    for name in ["notes.txt", "00000000000000000001.log.old", "1.log", "core"] {
                        std::fs::write(folder.join(name), b"not a segment").unwrap();
                    }
                    return Damage::default();
                }
            }
            Damage {
                files: vec![segment.name()],
                victims: segment.ids(),
                alarm: true,
            }
        });
    },
};
