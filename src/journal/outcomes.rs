//! What became of each record, beside its segment: `<base, 20 digits>.outcomes`.
//!
//! The file is `icroutc\n`, a version (u32), four zeros, then entries: CRC-32C of what follows (u32), length of the outcome (u32),
//! sequence (u64), outcome. The last entry of a sequence counts. Entries wait in memory for up to a second and are never synced: a
//! crash loses the newest, which costs knowledge, never data. What follows a bad entry is not read, and is overwritten. An outcome has
//! `MOST` bytes at the most: what claims more is no entry.
use super::Sequence;
use super::bytes::{u32_at, u64_at};
use super::catalog::Shelf;
use super::names::is_named;
use super::storage::{Access, Storage, StorageFile, Wanted, is_absent};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"icroutc\n";
const VERSION: u32 = 1;
const HEADER: u64 = 16;
const ENTRY: usize = 16;
/// No outcome is longer.
const MOST: usize = 1 << 20;
/// Files are read by this much at a time.
const PIECE: usize = 256 << 10;
/// A buffer this large is flushed before its second is over.
pub(super) const FLUSH: usize = 1 << 20;
/// Beyond this entries are dropped: the disk does not take them, and memory is bounded.
const LIMIT: usize = 16 << 20;

/// The name of a segment's outcome log.
pub(super) fn name(base: Sequence) -> String {
    format!("{base:020}.outcomes")
}

/// Entries that wait to be written, encoded.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    dropped: u64,
}

impl Buffer {
    /// Adds an entry; whether it is time to flush.
    pub fn note(&mut self, sequence: Sequence, outcome: &[u8]) -> bool {
        if self.bytes.len() >= LIMIT || outcome.len() > MOST {
            self.dropped += 1;
            return false;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        let length = outcome.len() as u32;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&sequence.to_le_bytes());
        self.bytes.extend_from_slice(outcome);
        let crc = crc32c::crc32c(self.bytes.get(start + 4..).unwrap_or_default());
        if let Some(place) = self.bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        start < FLUSH && self.bytes.len() >= FLUSH
    }

    /// Takes what waits, and how many were dropped.
    pub fn take(&mut self) -> (Vec<u8>, u64) {
        let bytes = std::mem::take(&mut self.bytes);
        (bytes, std::mem::take(&mut self.dropped))
    }
}

/// Writes entries to the logs of their segments.
#[derive(Default)]
pub(super) struct Logs {
    /// The log written last, its base, and its end.
    open: Option<(Sequence, Arc<dyn StorageFile>, u64)>,
}

impl Logs {
    /// Writes encoded entries, in runs that go to the same log.
    pub fn write(&mut self, shelf: &Shelf, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while let Some((sequence, _, _)) = split(rest) {
            let (base, limit) = {
                let catalog = shelf.catalog.lock();
                let base = catalog
                    .locate(sequence)
                    .map_or(sequence, |segment| segment.header.base);
                let next = catalog.after(base).map(|segment| segment.header.base);
                (base, next.unwrap_or(Sequence::MAX))
            };
            let mut run = 0;
            while let Some((sequence, _, after)) = rest.get(run..).and_then(split) {
                if run > 0 && !(base..limit).contains(&sequence) {
                    break;
                }
                run = rest.len() - after.len();
            }
            let (entries, after) = rest.split_at_checked(run).unwrap_or((rest, &[]));
            rest = after;
            self.append(shelf, base, entries)?;
        }
        Ok(())
    }

    fn append(&mut self, shelf: &Shelf, base: Sequence, entries: &[u8]) -> io::Result<()> {
        let is_there = |file: &Arc<dyn StorageFile>| {
            let identity = file.identity();
            identity.is_ok_and(|own| is_named(&*shelf.storage, &shelf.dir.join(name(base)), own))
        };
        let (file, end) = match self.open.take() {
            Some((open, file, end)) if open == base && is_there(&file) => (file, end),
            _ => open(shelf, base)?,
        };
        file.write_at(entries, end)?;
        self.open = Some((base, file, end + entries.len() as u64));
        Ok(())
    }
}

/// Opens a log where its good entries end, creating it where it is missing.
fn open(shelf: &Shelf, base: Sequence) -> io::Result<(Arc<dyn StorageFile>, u64)> {
    let storage = &*shelf.storage;
    let path = shelf.dir.join(name(base));
    match storage.open(&path, Access::Write) {
        Ok(file) => {
            let (bytes, _) = contents(&*file)?;
            if let Some(entries) = entries(&bytes) {
                let end = HEADER + entries.map(|(_, _, length)| length).sum::<u64>();
                file.set_length(end)?;
                return Ok((file, end));
            }
        }
        Err(error) if is_absent(&error) => {
            shelf.make_way(&name(base), Wanted::File);
        }
        Err(error) => return Err(error),
    }
    let file = storage.create(&path, 0)?;
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    file.write_at(&header, 0)?;
    Ok((file, HEADER))
}

/// A log from its beginning to somewhere behind its good entries, and whether that is all of it. Of what is no log of ours no more than a
/// piece is read, whatever its length.
fn contents(file: &dyn StorageFile) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    let mut good = HEADER as usize;
    loop {
        let start = bytes.len();
        bytes.resize(start + PIECE, 0);
        let piece = bytes.get_mut(start..).unwrap_or_default();
        let read = file.read_at(piece, start as u64)?;
        bytes.truncate(start + read);
        if read < PIECE {
            return Ok((bytes, true));
        }
        if !is_log(&bytes) {
            return Ok((bytes, false));
        }
        while let Some((_, _, after)) = bytes.get(good..).and_then(split) {
            good = bytes.len() - after.len();
        }
        let rest = bytes.get(good..).unwrap_or_default();
        let claimed = u32_at(rest, 4).map_or(0, |length| length as usize);
        if claimed > MOST || rest.len() >= ENTRY + claimed {
            return Ok((bytes, false));
        }
    }
}

fn is_log(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) && u32_at(bytes, 8).is_some_and(|version| version <= VERSION)
}

/// The good entries of a log: sequence, outcome, bytes taken. `None` where it is no log of ours.
fn entries(bytes: &[u8]) -> Option<impl Iterator<Item = (Sequence, &[u8], u64)>> {
    if !is_log(bytes) {
        return None;
    }
    let mut rest = bytes.get(HEADER as usize..)?;
    Some(std::iter::from_fn(move || {
        let (sequence, outcome, after) = split(rest)?;
        let length = (rest.len() - after.len()) as u64;
        rest = after;
        Some((sequence, outcome, length))
    }))
}

/// The first entry, and what follows it.
fn split(bytes: &[u8]) -> Option<(Sequence, &[u8], &[u8])> {
    let length = u32_at(bytes, 4)? as usize;
    let end = ENTRY + Some(length).filter(|length| *length <= MOST)?;
    let (entry, after) = bytes.split_at_checked(end)?;
    if u32_at(entry, 0)? != crc32c::crc32c(entry.get(4..)?) {
        return None;
    }
    Some((u64_at(entry, 8)?, entry.get(ENTRY..)?, after))
}

/// The last outcome noted of each of a segment's records: its log in memory.
pub struct Noted {
    span: Range<Sequence>,
    bytes: Vec<u8>,
    /// Where each outcome stands in `bytes`, by sequence.
    index: Vec<(Sequence, Range<usize>)>,
}

impl Noted {
    pub(super) fn nothing(span: Range<Sequence>) -> Self {
        Self {
            span,
            bytes: Vec::new(),
            index: Vec::new(),
        }
    }

    /// Whether it speaks for this sequence.
    pub fn covers(&self, sequence: Sequence) -> bool {
        self.span.contains(&sequence)
    }

    /// What was noted of it, if anything.
    pub fn of(&self, sequence: Sequence) -> Option<&[u8]> {
        let place = self.index.binary_search_by_key(&sequence, |entry| entry.0);
        let (_, place) = self.index.get(place.ok()?)?;
        self.bytes.get(place.clone())
    }

    /// All of it, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Sequence, &[u8])> {
        let outcome = |place: &Range<usize>| self.bytes.get(place.clone()).unwrap_or_default();
        self.index
            .iter()
            .map(move |(sequence, place)| (*sequence, outcome(place)))
    }
}

/// Reads the log of the segment that holds `span`, which starts with its base. One that is missing or foreign has no outcomes.
pub(super) fn load(storage: &dyn Storage, dir: &Path, span: Range<Sequence>) -> io::Result<Noted> {
    let bytes = match storage.open(&dir.join(name(span.start)), Access::Read) {
        Err(error) if is_absent(&error) => Vec::new(),
        opened => contents(&*opened?)?.0,
    };
    let mut index = Vec::new();
    let mut end = HEADER as usize;
    for (sequence, outcome, length) in entries(&bytes).into_iter().flatten() {
        end += length as usize;
        if span.contains(&sequence) {
            index.push((sequence, end - outcome.len()..end));
        }
    }
    // Stable: of several entries the last stays last.
    index.sort_by_key(|entry| entry.0);
    index.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    Ok(Noted { span, bytes, index })
}

/// Where the good entries of a log end, if something else follows them.
pub(super) fn check(storage: &dyn Storage, dir: &Path, base: Sequence) -> io::Result<Option<u64>> {
    let file = storage.open(&dir.join(name(base)), Access::Read)?;
    let (bytes, all) = contents(&*file)?;
    let lengths = entries(&bytes).map(|found| found.map(|(_, _, length)| length));
    let end = lengths.map_or(0, |lengths| HEADER + lengths.sum::<u64>());
    Ok((!all || end < bytes.len() as u64).then_some(end))
}
