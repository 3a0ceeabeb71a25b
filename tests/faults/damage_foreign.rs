//! Files that are not the journal's: noise, another segment's copy or another journal's segment in the place of one, or anything of that beside
//! the segments.

use crate::harness::damage::{self, Alarm, Damage, Segment};
use crate::harness::stage::Stage;
use crate::harness::{Excuse, Fault};
use crate::support::app::NO_KAFKA;
use crate::support::http;
use crate::support::process::Serving;
use std::path::{Path, PathBuf};

pub const FAULT: Fault = Fault {
    name: "damage-foreign",
    title: "a foreign file stands in a segment's place, or beside the segments",
    excuse: Excuse::Nothing,
    run: |stage| {
        damage::play(stage, |stage, round, segments| {
            let any = stage.random(segments.len() as u64) as usize;
            match round % 7 {
                0 => noise(stage, &segments[any]),
                1 => replaced(&segments[0], &another_journals(stage)[0]),
                2 => stray(stage, &segments[any], b"not a segment"),
                3 => lying_about(&segments[0]),
                4 => beside(segments, &another_journals(stage)[1]),
                5 => replaced(&segments[any], &segments[(any + 1) % segments.len()].path),
                _ => far_beyond(&segments[0]),
            }
        });
    },
};

fn noise(stage: &mut Stage, segment: &Segment) -> Damage {
    segment.edit(|bytes| bytes.fill_with(|| stage.random(256) as u8));
    gone(segment)
}

fn replaced(segment: &Segment, other: &Path) -> Damage {
    std::fs::copy(other, &segment.path).unwrap();
    gone(segment)
}

fn gone(segment: &Segment) -> Damage {
    Damage {
        files: vec![segment.name()],
        victims: segment.ids(),
        alarm: Alarm::AtStart,
    }
}

/// A file whose name says that it starts within a segment that is whole.
fn stray(stage: &mut Stage, segment: &Segment, bytes: &[u8]) -> Damage {
    let within = 1 + stage.random(segment.records.len() as u64 - 1);
    let base: u64 = segment
        .path
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    put(segment, &format!("{:020}.log", base + within), bytes)
}

/// A file whose name says that it starts where no record will be in years.
fn far_beyond(segment: &Segment) -> Damage {
    put(segment, "00000000000012345678.log", b"not a segment")
}

/// A segment of another journal, whose place is within one of ours.
fn beside(segments: &[Segment], other: &Path) -> Damage {
    let name = other.file_name().unwrap().to_str().unwrap();
    assert!(!segments.iter().any(|segment| segment.name() == name));
    put(&segments[0], name, &std::fs::read(other).unwrap())
}

fn put(beside: &Segment, name: &str, bytes: &[u8]) -> Damage {
    std::fs::write(beside.path.with_file_name(name), bytes).unwrap();
    Damage {
        files: vec![name.to_owned()],
        victims: Vec::new(),
        alarm: Alarm::AtStart,
    }
}

/// Whatever people leave in a folder: no business of the journal's.
fn lying_about(segment: &Segment) -> Damage {
    for name in ["notes.txt", "00000000000000000001.log.old", "1.log", "core"] {
        std::fs::write(segment.path.with_file_name(name), b"not a segment").unwrap();
    }
    Damage::default()
}

/// The segments of another bridge's journal. They are smaller than ours, so that they start elsewhere.
fn another_journals(stage: &Stage) -> Vec<PathBuf> {
    let folder = tempfile::tempdir_in(stage.folder()).unwrap().keep();
    let settings = [
        ("KAFKA_BROKERS", NO_KAFKA),
        ("JOURNAL_SEGMENT_BYTES", "128KiB"),
    ];
    let other = Serving::start(&folder, &settings);
    for number in 0..200 {
        let request = stage.deliveries().request(1_000_000 + number);
        let headers = [("x-icr-signature-256", request.signature.as_str())];
        let response = http::post(other.ingress, "/webhook", &headers, &request.body);
        assert_eq!(response.status, 202);
    }
    other.terminate();
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    segments.sort();
    segments
}
