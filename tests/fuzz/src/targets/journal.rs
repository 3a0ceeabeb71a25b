//! The journal's reader on files that are not as they were written: it opens, yields no record that is not genuine, loses none of a
//! file that is whole, and takes the next append.
//!
//! Input: a list of edits to the files of a small journal with sealed segments, one that a crash left unsealed, a cursor, outcome logs and
//! a held record; among the edits is putting any bytes in the place of a file.

use super::Choices;
use crate::journal::reader::Next;
use crate::journal::{Append, Journal, Observer, OpenError, Options, Progress, Sequence};
use icr_tests_shared::sim_storage::SimStorage;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const DIR: &str = "/journal";
const SEGMENT: u64 = 16 << 10;
const RECORDS: Sequence = 60;
const PUBLISHED: Sequence = 23;
const HELD: Sequence = 7;
const MAX_EDITS: usize = 8;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The journal as a crash leaves it.
static ORIGINAL: LazyLock<SimStorage> = LazyLock::new(|| {
    let storage = SimStorage::new(7);
    let journal = open(&storage).unwrap();
    for sequence in 1..=RECORDS {
        assert_eq!(append(&journal, sequence), sequence);
    }
    for sequence in 1..=PUBLISHED {
        journal.note_outcome(sequence, format!("outcome {sequence}").as_bytes());
    }
    journal.hold(HELD, b"note", &body(HELD)).unwrap();
    let progress = Progress {
        sequence: PUBLISHED,
        published: PUBLISHED - 1,
        held: 1,
        ..Progress::default()
    };
    journal.save_progress(progress, true).unwrap();
    journal.tend();
    let crashed = storage.fork();
    journal.close();
    crashed
});

struct Silent;
impl Observer for Silent {}

fn open(storage: &SimStorage) -> Result<Journal, OpenError> {
    let options = Options {
        dir: PathBuf::from(DIR),
        segment_bytes: SEGMENT,
        spare_segments: 1,
        queue: 64,
        retention_age: Duration::from_secs(3600),
        retention_bytes: 1 << 30,
        low_water_bytes: 0,
    };
    Journal::open(Arc::new(storage.clone()), options, Arc::new(Silent))
}

/// Between 0 and 700 bytes that depend on the sequence.
fn body(sequence: Sequence) -> Vec<u8> {
    let length = sequence * 211 % 700;
    (0..length)
        .map(|at| (sequence * 31 + at * 7) as u8)
        .collect()
}

fn tag(sequence: Sequence) -> Vec<u8> {
    sequence.to_be_bytes()[..(sequence % 9) as usize].to_vec()
}

fn append(journal: &Journal, number: Sequence) -> Sequence {
    let (tag, body) = (tag(number), body(number));
    let (sender, receiver) = channel();
    let append = Append {
        tag_length: tag.len() as u8,
        bytes: [tag, body].concat(),
        done: Box::new(move |result| sender.send(result).unwrap()),
    };
    journal.append(append).unwrap();
    receiver.recv().unwrap().unwrap()
}

pub fn check(data: &[u8]) {
    let before = ORIGINAL.snapshot();
    let edited = edit(&before, data);
    let storage = SimStorage::new(11);
    edited
        .iter()
        .for_each(|(path, bytes)| storage.put(path, bytes));
    let journal = match open(&storage) {
        Ok(journal) => journal,
        // A header of a later version, whose checksum is right.
        Err(OpenError::NewerVersion { .. }) => return,
        Err(error) => panic!("damage refuses to start: {error}"),
    };
    let read = read_all(&journal);
    for (sequence, tag, body) in &read {
        assert!(
            is_original(*sequence, tag, body) || stands_in(&edited, *sequence, tag, body),
            "record {sequence} was never written"
        );
    }
    // What a cursor says that is not ours decides what is there.
    if edited.get(&path("cursor")) == before.get(&path("cursor")) {
        nothing_whole_is_lost(&before, &edited, &read);
    }
    let next = append(&journal, RECORDS + 1);
    let highest = read.last().map_or(0, |(sequence, ..)| *sequence);
    assert!(next > highest, "{next} was given before");
    let again = read_all(&journal);
    assert_eq!(again[..again.len() - 1], read);
    assert_eq!(
        again[again.len() - 1],
        (next, tag(RECORDS + 1), body(RECORDS + 1))
    );
    journal.close();
}

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn is_original(sequence: Sequence, tag_: &[u8], body_: &[u8]) -> bool {
    (1..=RECORDS).contains(&sequence) && tag(sequence) == tag_ && body(sequence) == body_
}

type Records = Vec<(Sequence, Vec<u8>, Vec<u8>)>;

/// Everything, in order, what is missing told in between.
fn read_all(journal: &Journal) -> Records {
    let mut reader = journal.reader(1);
    let mut records = Records::new();
    let mut next = 1;
    loop {
        match reader.next(Duration::ZERO).unwrap() {
            Next::Record(stored) => {
                assert_eq!(stored.sequence, next, "in order, and gaps are told");
                next += 1;
                records.push((stored.sequence, stored.tag.to_vec(), stored.body.to_vec()));
            }
            Next::Missing { from, to, .. } => {
                assert!(from == next && to >= from, "{from} to {to} after {next}");
                next = to + 1;
            }
            Next::Idle | Next::Closed => return records,
        }
    }
}

/// Of a segment whose file is as it was, every record is read.
fn nothing_whole_is_lost(before: &Files, edited: &Files, read: &Records) {
    let bases: Vec<(Sequence, &PathBuf)> = before
        .keys()
        .filter_map(|path| Some((base(path)?, path)))
        .collect();
    for (index, (base, path)) in bases.iter().enumerate() {
        if edited.get(*path) != before.get(*path) {
            continue;
        }
        let end = bases.get(index + 1).map_or(RECORDS + 1, |(base, _)| *base);
        for sequence in *base..end {
            let found = read.iter().any(|(found, ..)| *found == sequence);
            assert!(found, "record {sequence} of {} is lost", path.display());
        }
    }
}

fn base(path: &Path) -> Option<Sequence> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".log")?.parse().ok()
}

/// Whether a segment holds a frame with this record and both checksums right, as the format is specified: then whoever made these
/// bytes wrote it.
fn stands_in(files: &Files, sequence: Sequence, tag: &[u8], body: &[u8]) -> bool {
    let payload = [tag, body].concat();
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    files
        .values()
        .filter(|bytes| bytes.len() >= 8192)
        .any(|bytes| {
            let salts = [0, 4096].map(|at| bytes.get(at + 12..at + 16).map(number));
            salts.into_iter().flatten().any(|salt| {
                (8192..bytes.len()).step_by(8).any(|at| {
                    let Some(header) = bytes.get(at..at + 32) else {
                        return false;
                    };
                    let position = crc32c::crc32c_append(salt, &(at as u64).to_le_bytes());
                    number(&header[..4]) == crc32c::crc32c_append(position, &header[4..])
                        && number(&header[4..8]) == crc32c::crc32c_append(salt, &payload)
                        && header[16..24] == sequence.to_le_bytes()
                })
            })
        })
}

fn edit(before: &Files, data: &[u8]) -> Files {
    let names: Vec<&PathBuf> = before.keys().collect();
    let mut files = before.clone();
    let mut choices = Choices(data);
    let count = choices.below(MAX_EDITS + 1);
    for _ in 0..count {
        let kind = choices.byte() % 8;
        let name = names[choices.below(names.len())];
        let other = files.get(names[choices.below(names.len())]).cloned();
        let Some(file) = files.get_mut(name) else {
            continue;
        };
        let at = choices.below(file.len() + 1);
        let length = choices.below(2048).min(file.len() - at);
        match kind {
            0 => file[at..]
                .iter_mut()
                .take(1)
                .for_each(|byte| *byte ^= choices.byte().max(1)),
            1 => file[at..at + length].fill(choices.byte()),
            2 => file.truncate(at),
            3 => file.resize(file.len() + length, choices.byte()),
            // Bytes from elsewhere in the same file, or from another.
            4 => {
                let piece = file[at..at + length].to_vec();
                let to = choices.below(file.len() - length + 1);
                file[to..to + length].copy_from_slice(&piece);
            }
            5 => *file = other.unwrap_or_default(),
            6 => {
                files.remove(name);
            }
            _ => {
                *file = std::mem::take(&mut choices.0).to_vec();
                return files;
            }
        }
    }
    files
}
