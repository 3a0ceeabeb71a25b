//! How far publishing is, in a file of two slots.
//!
//! Slots stand at 0 and at 4096, each 128 bytes, little-endian:
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 8 | `icrcurs\n` |
//! | 8 | 4 | format version |
//! | 16 | 8 | generation: the higher of the good slots counts |
//! | 24 | 40 | sequence, published, quarantined, held, written off |
//! | 64 | 8 | floor: retention has deleted the sequences up to here |
//! | 72 | 8 | synced: the records up to here were on stable storage when the slot was written (0: nothing is known) |
//! | 80 | 8 | identity of the journal (0: of a version that gave it none) |
//! | 124 | 4 | CRC-32C of the 124 bytes before |
//!
//! A slot that claims a number out of bounds (`bounds`) is a bad one, whatever its checksum.
//!
//! The slot that was synced last is never written to before the other one is synced too: whatever a power cut does to unsynced
//! bytes, one slot is good. With both bad, publishing starts again at the first record there is: at least once.
//!
//! `synced` is what tells a loss at the journal's end from an end: without it a newest segment that is gone, or cut short, would leave no
//! trace. It is at most a second old while the disk takes syncs, and never ahead of the truth.
use super::bounds::CLAIMED;
use super::bytes::{u32_at, u64_at};
use super::names::is_named;
use super::storage::{Access, Identity, Storage, StorageFile, patiently};
use super::{OpenError, Progress, Sequence};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The version that this code writes, and the newest it reads.
pub const VERSION: u32 = 1;
/// The file's name.
pub(super) const NAME: &str = "cursor";

const MAGIC: &[u8; 8] = b"icrcurs\n";
const SLOT: usize = 128;
/// Slots stand on pages of their own.
const DISTANCE: u64 = 4096;

/// One good slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub generation: u64,
    pub progress: Progress,
    pub floor: Sequence,
    pub synced: Sequence,
    pub identity: u64,
    /// Which of the two it was read from.
    pub place: u64,
}

impl Slot {
    /// Up to here records were on stable storage for sure.
    pub fn vouches(&self) -> Sequence {
        self.progress.sequence.max(self.synced)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SLOT);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&u64::from(VERSION).to_le_bytes());
        for field in [
            self.generation,
            self.progress.sequence,
            self.progress.published,
            self.progress.quarantined,
            self.progress.held,
            self.progress.written_off,
            self.floor,
            self.synced,
            self.identity,
        ] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.resize(SLOT - 4, 0);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// `Err`: the version, if it is newer than ours.
    fn decode(bytes: &[u8], place: u64) -> Option<Result<Self, u32>> {
        if bytes.get(..8)? != MAGIC || u32_at(bytes, 124)? != crc32c::crc32c(bytes.get(..124)?) {
            return None;
        }
        let version = u32_at(bytes, 8)?;
        if version > VERSION {
            return Some(Err(version));
        }
        let numbers = (16..80).step_by(8).map(|at| u64_at(bytes, at));
        if numbers.flatten().any(|number| number > CLAIMED) {
            return None;
        }
        Some(Ok(Self {
            generation: u64_at(bytes, 16)?,
            progress: Progress {
                sequence: u64_at(bytes, 24)?,
                published: u64_at(bytes, 32)?,
                quarantined: u64_at(bytes, 40)?,
                held: u64_at(bytes, 48)?,
                written_off: u64_at(bytes, 56)?,
            },
            floor: u64_at(bytes, 64)?,
            synced: u64_at(bytes, 72)?,
            identity: u64_at(bytes, 80)?,
            place,
        }))
    }
}

/// What the cursor file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Read {
    /// The slot that counts.
    pub best: Option<Slot>,
    /// Slots that hold something which is no slot.
    pub bad: usize,
    /// Whether there is a file.
    pub exists: bool,
}

/// Reads the cursor without changing it.
pub(super) fn read(storage: &dyn Storage, dir: &Path) -> Result<Read, OpenError> {
    let path = dir.join(NAME);
    let file = match patiently(|| storage.open(&path, Access::Read)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::default()),
        // No right to open it, say: it is lost until it can be, and no reason to keep the door shut.
        Err(_) => {
            return Ok(Read {
                exists: true,
                bad: 2,
                best: None,
            });
        }
    };
    let mut found = Read {
        exists: true,
        ..Read::default()
    };
    for place in 0..2 {
        let mut bytes = [0; SLOT];
        // A slot that lastingly cannot be read is a bad slot.
        let read = patiently(|| file.read_at(&mut bytes, place * DISTANCE)).unwrap_or(0);
        match Slot::decode(&bytes, place) {
            Some(Ok(slot)) => {
                let best = found.best.filter(|best| best.generation > slot.generation);
                found.best = best.or(Some(slot));
            }
            Some(Err(version)) => return Err(OpenError::NewerVersion { path, version }),
            None if read == 0 || !bytes.iter().all(|byte| *byte == 0) => found.bad += 1,
            None => {}
        }
    }
    Ok(found)
}

/// The cursor file, open for writing.
pub(super) struct Cursor {
    /// `None` while it can be neither opened nor created: progress is kept in memory then, and every sync tries again.
    file: Option<Arc<dyn StorageFile>>,
    /// Written last.
    slot: Slot,
    /// What was written last may not be in the file, or the system may have forgotten it.
    unwritten: bool,
    /// Synced last.
    durable: Slot,
    /// What the next slot says.
    synced: Sequence,
    identity: u64,
    dir: PathBuf,
    /// Which file that is.
    identity_of_file: Option<Identity>,
    /// The file's name is known to be durable. Never assumed of a file that was found: its maker's sync may have failed.
    named: bool,
}

impl Cursor {
    /// Opens the file, creating it where it is missing, and makes `slot` durable in it. Failing to is no reason not to start:
    /// deliveries can be stored, and later syncs try again. That failure is the second value.
    pub fn open(
        storage: &dyn Storage,
        dir: &Path,
        found: &Read,
        slot: Slot,
    ) -> (Self, io::Result<()>) {
        // Where no slot is good either may be overwritten; else only the other one.
        let durable = found.best.unwrap_or(Slot { place: 1, ..slot });
        let mut cursor = Self {
            file: None,
            slot: durable,
            unwritten: false,
            durable,
            synced: slot.synced,
            identity: slot.identity,
            dir: dir.to_owned(),
            identity_of_file: None,
            named: false,
        };
        let written = cursor
            .attach(storage)
            .and_then(|()| cursor.save(slot.progress, slot.floor))
            .and_then(|()| cursor.sync(storage));
        (cursor, written)
    }

    /// Gets hold of the file. What stands in it, if anything, is older than what is written next.
    fn attach(&mut self, storage: &dyn Storage) -> io::Result<()> {
        let path = self.dir.join(NAME);
        let opened = storage.open(&path, Access::Write);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                storage.create(&path, DISTANCE + SLOT as u64)?
            }
            opened => opened?,
        };
        if let Some(best) = read(storage, &self.dir).map_err(io::Error::other)?.best {
            self.slot.generation = self.slot.generation.max(best.generation);
            self.durable.place = best.place;
        }
        self.identity_of_file = file.identity().ok();
        self.file = Some(file);
        self.unwritten = true;
        self.named = false;
        Ok(())
    }

    /// If the file has lost its name, makes everything durable again in one that has it; whether it had to.
    pub fn renew(&mut self, storage: &dyn Storage) -> io::Result<bool> {
        let path = self.dir.join(NAME);
        if self
            .identity_of_file
            .is_none_or(|identity| is_named(storage, &path, identity))
        {
            return Ok(false);
        }
        self.file = None;
        self.attach(storage)?;
        self.save(self.slot.progress, self.slot.floor)?;
        self.sync(storage)?;
        Ok(true)
    }

    /// What was saved last, durable or not.
    pub fn progress(&self) -> Progress {
        self.slot.progress
    }

    /// What is known to be on stable storage.
    pub fn durable(&self) -> Progress {
        self.durable.progress
    }

    /// Retention has deleted up to here.
    pub fn floor(&self) -> Sequence {
        self.slot.floor
    }

    /// The records up to here are on stable storage: the slots written from now on say so.
    pub fn saw(&mut self, synced: Sequence) {
        self.synced = self.synced.max(synced);
    }

    /// The same, and a slot is written if the last one says less.
    pub fn tell(&mut self, synced: Sequence) -> io::Result<()> {
        self.saw(synced);
        if self.slot.synced < self.synced {
            self.save(self.slot.progress, self.slot.floor)?;
        }
        Ok(())
    }

    /// Writes the slot that is not the durable one; without a file it is kept for the next sync.
    pub fn save(&mut self, progress: Progress, floor: Sequence) -> io::Result<()> {
        let next = Slot {
            generation: self.slot.generation + 1,
            progress,
            floor,
            synced: self.synced,
            identity: self.identity,
            place: 1 - self.durable.place,
        };
        if let Some(file) = &self.file {
            // A write that fails may have torn what stood there.
            self.unwritten = true;
            file.write_at(&next.encode(), next.place * DISTANCE)?;
            self.unwritten = false;
        }
        self.slot = next;
        Ok(())
    }

    /// Makes the slot written last durable. After a failure it is written anew first: the system may have forgotten the
    /// bytes.
    pub fn sync(&mut self, storage: &dyn Storage) -> io::Result<()> {
        if self.slot.generation == self.durable.generation {
            return Ok(());
        }
        if self.file.is_none() {
            self.attach(storage)?;
        }
        if self.unwritten {
            self.save(self.slot.progress, self.slot.floor)?;
        }
        let Some(file) = &self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Err(error) = file.sync_data() {
            self.unwritten = true;
            return Err(error);
        }
        if !self.named {
            storage.sync_dir(&self.dir)?;
            self.named = true;
        }
        self.durable = self.slot;
        Ok(())
    }
}
