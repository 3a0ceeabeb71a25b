//! Copies of the records that not even the quarantine topic took, kept whatever the retention. In the folder `held`:
//!
//! | name | what |
//! |---|---|
//! | `<sequence, 20 digits>` | a copy: `icrheld2`, a CRC-32C (u32) of what follows, the sequence (u64), the length of the note (u8), the note, the body |
//! | `released` | `icrgone2`, a CRC-32C (u32) of what follows, how many copies were released to quarantine (u64) and to their topic (u64), the sequences (u64 each) whose copies, if they are still there, are to be removed |
//! | | before: `icrgone1`, without the second of the numbers |
//! | `<sequence>.damaged` | a copy that `journal repair` has given up |
//! | `*.tmp` | one of these under construction |
//!
//! Integers are little-endian. Each file is written under another name and renamed, so that it is there whole or not at all.
//!
//! What it guarantees:
//! - A copy is made before the cursor passes its record, and goes only when Kafka has the record: it is released, or, having been left
//!   above the cursor by a crash, superseded by the record that was published this time. Passing it over is no reason.
//! - A copy that is released counts as such in one step, the renaming of `released`. One that vanishes otherwise does not, and shows in
//!   the ledger.
//! - A copy that cannot be removed holds nothing up: it counts no more, and its removal is tried again.
//! - A file is a copy only if it begins as one of its own name: a name alone neither counts nor decides where the journal goes on. One that
//!   does not is taken for a damaged copy where the cursor misses one, and else is none of the journal's.
use super::bounds::{self, CLAIMED};
use super::bytes::{u8_at, u32_at, u64_at};
use super::storage::{Access, Storage, is_foreign, patiently, replace};
use super::{Progress, Sequence, frame};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The folder's name within the journal's.
pub(super) const NAME: &str = "held";

const RELEASED: &str = "released";
const COPY_MAGIC: &[u8; 8] = b"icrheld2";
const RELEASED_MAGIC: &[u8; 8] = b"icrgone2";
const RELEASED_MAGIC_BEFORE: &[u8; 8] = b"icrgone1";
/// Magic and checksum.
const SEAL: usize = 12;
/// No file here is longer: a record with its note and what stands before it.
const MOST: u64 = frame::MAX_PAYLOAD as u64 + 1024;

/// Which topic took a record that was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taker {
    /// The quarantine topic.
    Quarantine,
    /// Its own topic: published again, it was not refused this time.
    Topic,
}

/// How many copies were released since the cursor began to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Released {
    /// To the quarantine topic.
    pub quarantined: u64,
    /// To their own topic.
    pub published: u64,
}

/// The held records.
pub(super) struct Held {
    dir: PathBuf,
    /// Whether the folder could be read. If not, that is tried again before anything is changed in it.
    known: bool,
    copies: BTreeSet<Sequence>,
    /// Files with a copy's name that do not begin as one, or cannot be looked at.
    doubtful: BTreeSet<Sequence>,
    /// Names of 20 digits with a number that is never given.
    unbelievable: Vec<String>,
    released: Released,
    /// Copies that do not count, whose removal is not yet durable.
    gone: BTreeSet<Sequence>,
    /// The sequences that `released` names on disk.
    named: BTreeSet<Sequence>,
}

impl Held {
    /// Reads the folder; a missing one is empty.
    pub fn open(storage: &dyn Storage, journal: &Path) -> io::Result<Self> {
        let mut held = Self::unknown(journal);
        held.load(storage)?;
        Ok(held)
    }

    /// Stands in for a folder that cannot be read at present.
    pub fn unknown(journal: &Path) -> Self {
        Self {
            dir: journal.join(NAME),
            known: false,
            copies: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            unbelievable: Vec::new(),
            released: Released::default(),
            gone: BTreeSet::new(),
            named: BTreeSet::new(),
        }
    }

    fn load(&mut self, storage: &dyn Storage) -> io::Result<()> {
        let entries = match storage.list(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed?,
        };
        let (released, names) = self.read_released(storage)?;
        (self.released, self.named) = (released, names);
        (self.gone, self.copies, self.doubtful) = Default::default();
        self.unbelievable.clear();
        for entry in entries {
            match bounds::sequence(&entry.name).filter(|sequence| *sequence <= CLAIMED) {
                Some(sequence) if self.named.contains(&sequence) => {
                    self.gone.insert(sequence);
                }
                Some(sequence) if self.begins_as_copy(storage, sequence) => {
                    self.copies.insert(sequence);
                }
                Some(sequence) => {
                    self.doubtful.insert(sequence);
                }
                None if bounds::is_numbered(&entry.name) => self.unbelievable.push(entry.name),
                None => {}
            }
        }
        self.known = true;
        Ok(())
    }

    fn begins_as_copy(&self, storage: &dyn Storage, sequence: Sequence) -> bool {
        let mut start = [0; SEAL + 8];
        let opened = patiently(|| storage.open(&self.path(sequence), Access::Read));
        let read = opened.and_then(|file| patiently(|| file.read_at(&mut start, 0)));
        read.is_ok() && start.starts_with(COPY_MAGIC) && u64_at(&start, SEAL) == Some(sequence)
    }

    /// Decides what doubtful files are: damaged copies, as far as the ledger misses that many, or foreign, and told by the names that are
    /// returned.
    pub fn judge(&mut self, progress: Option<Progress>) -> Vec<String> {
        let progress = progress.unwrap_or_default();
        let released = self
            .released
            .quarantined
            .saturating_add(self.released.published);
        let there = self.count(progress.sequence).saturating_add(released);
        let mut missing = progress.held.saturating_sub(there);
        let mut foreign = std::mem::take(&mut self.unbelievable);
        for sequence in std::mem::take(&mut self.doubtful) {
            if missing > 0 && sequence <= progress.sequence {
                missing -= 1;
                self.copies.insert(sequence);
            } else {
                foreign.push(format!("{sequence:020}"));
            }
        }
        foreign
    }

    /// What `released` says.
    fn read_released(&self, storage: &dyn Storage) -> io::Result<(Released, BTreeSet<Sequence>)> {
        let path = self.dir.join(RELEASED);
        let read = read(storage, &path, RELEASED_MAGIC).or_else(|error| match error.kind() {
            io::ErrorKind::InvalidData => {
                let mut bytes = read(storage, &path, RELEASED_MAGIC_BEFORE)?;
                let none = bytes.len().min(SEAL + 8);
                bytes.splice(none..none, [0; 8]);
                Ok(bytes)
            }
            _ => Err(error),
        });
        let bytes = match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            // Damaged, it counts for nothing: what it explained shows in the ledger as unaccounted.
            Err(error) if error.kind() == io::ErrorKind::InvalidData || is_foreign(&error) => {
                Vec::new()
            }
            read => read?,
        };
        let released = Released {
            quarantined: u64_at(&bytes, SEAL).unwrap_or(0).min(CLAIMED),
            published: u64_at(&bytes, SEAL + 8).unwrap_or(0).min(CLAIMED),
        };
        let names = bytes.get(SEAL + 16..).unwrap_or_default().chunks_exact(8);
        Ok((
            released,
            names.filter_map(|bytes| u64_at(bytes, 0)).collect(),
        ))
    }

    /// Whether the folder could be read.
    pub fn is_known(&self) -> bool {
        self.known
    }

    fn ready(&mut self, storage: &dyn Storage) -> io::Result<()> {
        // Somebody may have taken it away.
        storage.create_dir(&self.dir)?;
        if self.known {
            return Ok(());
        }
        self.load(storage)
    }

    fn path(&self, sequence: Sequence) -> PathBuf {
        self.dir.join(format!("{sequence:020}"))
    }

    /// Removes what work that was cut short has left behind.
    pub fn tidy(&mut self, storage: &dyn Storage) -> io::Result<()> {
        for entry in storage.list(&self.dir)? {
            if entry.name.ends_with(".tmp") && is_wanted(&entry.name) {
                storage.remove(&self.dir.join(&entry.name))?;
            }
        }
        self.sweep(storage)
    }

    /// Keeps a copy; durable on return. The note has at most 255 bytes.
    pub fn hold(
        &mut self,
        storage: &dyn Storage,
        sequence: Sequence,
        note: &[u8],
        body: &[u8],
    ) -> io::Result<()> {
        self.ready(storage)?;
        let length = u8::try_from(note.len()).map_err(io::Error::other)?;
        let sequence_bytes = sequence.to_le_bytes();
        let bytes = sealed(COPY_MAGIC, &[&sequence_bytes, &[length], note, body]);
        if self.gone.contains(&sequence) || self.named.contains(&sequence) {
            // Named there, the new copy would be taken for the old one.
            let mut gone = self.gone.clone();
            gone.remove(&sequence);
            self.write(storage, self.released, gone)?;
        }
        replace(storage, &self.path(sequence), &bytes)?;
        self.copies.insert(sequence);
        Ok(())
    }

    /// The note and the body of a copy. `InvalidData` where it is damaged.
    pub fn read(
        &self,
        storage: &dyn Storage,
        sequence: Sequence,
    ) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let path = self.path(sequence);
        let mut bytes = read(storage, &path, COPY_MAGIC)?;
        let note = SEAL + 9;
        let body = note + usize::from(u8_at(&bytes, SEAL + 8).unwrap_or(0));
        if u64_at(&bytes, SEAL) != Some(sequence) || bytes.len() < body {
            return Err(damaged(&path));
        }
        let body = bytes.split_off(body);
        Ok((bytes.split_off(note), body))
    }

    /// A topic took it: counts it as released, durably, and removes the copy, now or later. `false`: there was none, nothing happened.
    pub fn release(
        &mut self,
        storage: &dyn Storage,
        sequence: Sequence,
        taker: Taker,
    ) -> io::Result<bool> {
        self.ready(storage)?;
        if !self.copies.contains(&sequence) {
            return Ok(false);
        }
        let mut gone = self.gone.clone();
        gone.insert(sequence);
        let mut released = self.released;
        match taker {
            Taker::Quarantine => released.quarantined += 1,
            Taker::Topic => released.published += 1,
        }
        self.write(storage, released, gone)?;
        self.copies.remove(&sequence);
        // Released all the same; tried again by housekeeping.
        let _ = self.sweep(storage);
        Ok(true)
    }

    /// Kafka took the record itself, before the cursor passed it: the copy counts no more. An error: it is still there, and its removal
    /// is tried again.
    pub fn supersede(&mut self, storage: &dyn Storage, sequence: Sequence) -> io::Result<()> {
        if !self.copies.remove(&sequence) {
            return Ok(());
        }
        self.gone.insert(sequence);
        let swept = self.sweep(storage);
        if swept.is_err() {
            // So that a restart knows, if that much can be written.
            let _ = self.write(storage, self.released, self.gone.clone());
        }
        swept
    }

    /// Removes the copies that do not count.
    pub fn sweep(&mut self, storage: &dyn Storage) -> io::Result<()> {
        if self.gone.is_empty() {
            return Ok(());
        }
        for sequence in &self.gone {
            match storage.remove(&self.path(*sequence)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        storage.sync_dir(&self.dir)?;
        self.gone.clear();
        Ok(())
    }

    /// The cursor is lost, and with it what the released ones were part of: they are counted anew.
    pub fn forget_released(&mut self, storage: &dyn Storage) -> io::Result<()> {
        if self.released == Released::default() {
            return Ok(());
        }
        self.write(storage, Released::default(), self.gone.clone())
    }

    fn write(
        &mut self,
        storage: &dyn Storage,
        released: Released,
        gone: BTreeSet<Sequence>,
    ) -> io::Result<()> {
        let names: Vec<u8> = gone.iter().flat_map(|name| name.to_le_bytes()).collect();
        let quarantined = released.quarantined.to_le_bytes();
        let published = released.published.to_le_bytes();
        let bytes = sealed(RELEASED_MAGIC, &[&quarantined, &published, &names]);
        replace(storage, &self.dir.join(RELEASED), &bytes)?;
        self.released = released;
        self.named = gone.clone();
        self.gone = gone;
        Ok(())
    }

    /// Keeps a damaged copy under another name, and counts it no more.
    pub fn set_aside(&mut self, storage: &dyn Storage, sequence: Sequence) -> io::Result<()> {
        let path = self.path(sequence);
        storage.rename(&path, &path.with_extension("damaged"))?;
        self.copies.remove(&sequence);
        storage.sync_dir(&self.dir)
    }

    /// The copies at or below the cursor.
    pub fn up_to(&self, cursor: Sequence) -> Vec<Sequence> {
        self.copies.range(..=cursor).copied().collect()
    }

    /// How many these are.
    pub fn count(&self, cursor: Sequence) -> u64 {
        self.copies.range(..=cursor).count() as u64
    }

    /// The copies above the cursor: made before a crash, or a moment ago.
    pub fn above(&self, cursor: Sequence) -> Vec<Sequence> {
        let above = self.copies.range(cursor.saturating_add(1)..);
        above.copied().collect()
    }

    /// The highest sequence above this one of which there is a whole copy; 0 without any. It must not be given to another record.
    pub fn highest_above(&self, storage: &dyn Storage, sequence: Sequence) -> Sequence {
        let above = self.copies.range(sequence.saturating_add(1)..).rev();
        let mut whole = above.filter(|copy| self.read(storage, **copy).is_ok());
        whole.next().copied().unwrap_or(0)
    }

    /// How many were released since the cursor began to count.
    pub fn released(&self) -> Released {
        self.released
    }
}

/// Whether a file here may want this name.
pub(super) fn is_wanted(name: &str) -> bool {
    let stem = name.strip_suffix(".tmp").unwrap_or(name);
    stem == RELEASED || bounds::sequence(stem).is_some()
}

/// A file's bytes: magic, checksum, and the parts.
fn sealed(magic: &[u8; 8], parts: &[&[u8]]) -> Vec<u8> {
    let rest = parts.concat();
    let crc = crc32c::crc32c(&rest).to_le_bytes();
    [magic.as_slice(), &crc, &rest].concat()
}

/// A file whose magic and checksum are good, from its beginning.
fn read(storage: &dyn Storage, path: &Path, magic: &[u8; 8]) -> io::Result<Vec<u8>> {
    let file = storage.open(path, Access::Read)?;
    // A length is believed only of a file that begins as one of ours.
    let mut start = [0; 8];
    file.read_at(&mut start, 0)?;
    let length = file.length()?;
    if start != *magic || length > MOST {
        return Err(damaged(path));
    }
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    let good = bytes.starts_with(magic)
        && u32_at(&bytes, magic.len()) == bytes.get(SEAL..).map(crc32c::crc32c);
    if good { Ok(bytes) } else { Err(damaged(path)) }
}

fn damaged(path: &Path) -> io::Error {
    let what = format!("{}: the held record is damaged", path.display());
    io::Error::new(io::ErrorKind::InvalidData, what)
}
