//! A journal in a simulated folder.
use crate::sim_storage::SimStorage;
use icr_journal::reader::Next;
use icr_journal::storage::Storage;
use icr_journal::view::View;
use icr_journal::{Append, AppendError, Journal, Observer, OpenError, Options, Progress, Sequence};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const DIR: &str = "/journal";
pub const SEGMENT: u64 = 32 * 1024;
/// Where frames begin; the header's second copy is at half of it.
pub const DATA: usize = 8192;
pub const FRAME_HEADER: usize = 32;

/// What the journal warned of.
#[derive(Default)]
pub struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn warning(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

impl Warnings {
    pub fn mention(&self, text: &str) -> bool {
        self.count(text) > 0
    }

    pub fn count(&self, text: &str) -> usize {
        let told = self.0.lock().unwrap();
        told.iter().filter(|message| message.contains(text)).count()
    }
}

pub fn options() -> Options {
    Options {
        dir: PathBuf::from(DIR),
        segment_bytes: SEGMENT,
        spare_segments: 1,
        queue: 4096,
        retention_age: Duration::from_secs(3600),
        retention_bytes: 1 << 30,
        low_water_bytes: 0,
    }
}

pub fn open_with(
    storage: &SimStorage,
    options: Options,
) -> Result<(Journal, Arc<Warnings>), OpenError> {
    let warnings = Arc::new(Warnings::default());
    let observer: Arc<dyn Observer> = Arc::clone(&warnings) as _;
    let journal = Journal::open(Arc::new(storage.clone()), options, observer)?;
    Ok((journal, warnings))
}

pub fn open(storage: &SimStorage) -> Journal {
    open_with(storage, options()).unwrap().0
}

pub fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

pub fn log(base: Sequence) -> PathBuf {
    path(&format!("{base:020}.log"))
}

pub fn damaged(base: Sequence) -> PathBuf {
    path(&format!("{base:020}.log.damaged"))
}

/// The body of the record that should get this sequence: 900 bytes that depend on it.
pub fn body(sequence: Sequence) -> Vec<u8> {
    (0..900_u64)
        .map(|at| (sequence * 31 + at * 7) as u8)
        .collect()
}

pub fn tag(sequence: Sequence) -> Vec<u8> {
    sequence.to_be_bytes().to_vec()
}

pub type Outcome = Result<Sequence, AppendError>;

/// Queues one record.
pub fn push(journal: &Journal, tag: &[u8], body: &[u8]) -> Result<Receiver<Outcome>, AppendError> {
    let (sender, receiver) = channel();
    journal.append(Append {
        tag_length: tag.len() as u8,
        bytes: [tag, body].concat(),
        done: Box::new(move |result| sender.send(result).unwrap_or_default()),
    })?;
    Ok(receiver)
}

/// Appends one record and waits.
pub fn append_one(journal: &Journal, tag: &[u8], body: &[u8]) -> Outcome {
    push(journal, tag, body)?.recv().unwrap()
}

/// Appends the records `from..=to`, each its own group.
pub fn append(journal: &Journal, from: Sequence, to: Sequence) {
    for sequence in from..=to {
        assert_eq!(
            append_one(journal, &tag(sequence), &body(sequence)),
            Ok(sequence)
        );
    }
}

/// A folder with the records 1 to `last`, closed: sealed segments of 24 records.
pub fn filled(last: Sequence) -> SimStorage {
    let storage = SimStorage::new(7);
    let journal = open(&storage);
    append(&journal, 1, last);
    journal.close();
    storage
}

/// A folder with the records 1 to `last`, whose newest segment a power cut left unsealed.
pub fn cut_off(last: Sequence) -> SimStorage {
    let storage = SimStorage::new(7);
    let journal = open(&storage);
    append(&journal, 1, last);
    journal.tend();
    storage.power_off();
    drop(journal);
    storage.power_on(0);
    storage
}

/// What a reader yields, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Good records, checked byte for byte.
    Records(Sequence, Sequence),
    Missing(Sequence, Sequence),
    WrittenOff(Sequence, Sequence),
}

/// Reads to the end.
pub fn read(mut reader: icr_journal::reader::Reader) -> Vec<Seen> {
    let mut seen = Vec::new();
    loop {
        match reader.next(Duration::ZERO).unwrap() {
            Next::Record(stored) => {
                let sequence = stored.sequence;
                assert_eq!(stored.tag, tag(sequence), "tag of {sequence}");
                assert_eq!(stored.body, body(sequence), "body of {sequence}");
                match seen.last_mut() {
                    Some(Seen::Records(_, to)) if *to + 1 == sequence => *to = sequence,
                    _ => seen.push(Seen::Records(sequence, sequence)),
                }
            }
            Next::Missing {
                from,
                to,
                written_off: true,
            } => seen.push(Seen::WrittenOff(from, to)),
            Next::Missing { from, to, .. } => match seen.last_mut() {
                Some(Seen::Missing(_, last)) if *last + 1 == from => *last = to,
                _ => seen.push(Seen::Missing(from, to)),
            },
            Next::Idle | Next::Closed => return seen,
        }
    }
}

pub fn read_all(journal: &Journal) -> Vec<Seen> {
    read(journal.reader(1))
}

pub fn view(storage: &SimStorage) -> View {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    View::open(storage, Path::new(DIR)).unwrap()
}

/// Everything up to here was published.
pub fn published(sequence: Sequence) -> Progress {
    Progress {
        sequence,
        published: sequence,
        ..Progress::default()
    }
}

/// Has the cursor say that the records up to here were synced; 0 is what a version that did not know says.
pub fn vouch(storage: &SimStorage, synced: Sequence) {
    storage.edit(&path("cursor"), |bytes| {
        for slot in [0, 4096] {
            if bytes.get(slot).is_some_and(|first| *first != 0) {
                bytes[slot + 72..slot + 80].copy_from_slice(&synced.to_le_bytes());
                let sum = crc32c::crc32c(&bytes[slot..slot + 124]);
                bytes[slot + 124..slot + 128].copy_from_slice(&sum.to_le_bytes());
            }
        }
    });
}

pub fn flip(storage: &SimStorage, path: &Path, position: usize) {
    storage.edit(path, |bytes| bytes[position] ^= 0x10);
}

/// Where the frame of the `index`th record of a segment stands (all have the same size).
pub fn frame(index: usize) -> usize {
    DATA + index * (FRAME_HEADER + 8 + 900_usize).next_multiple_of(8)
}
