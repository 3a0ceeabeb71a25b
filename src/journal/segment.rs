//! A segment: a file of frames, named by the first sequence it may hold (20 digits, `.log`).
//!
//! **Header**, 8 KiB: the same 48 bytes at 0 and again at 4096, on another page, so that no single fault costs the segment:
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 8 | `icrjrnl\n` |
//! | 8 | 4 | format version |
//! | 12 | 4 | salt: random, never the same twice; every frame's checksums start from it |
//! | 16 | 8 | base: the first sequence that the segment may hold |
//! | 24 | 8 | identity of the journal: random, the same in all its segments and in its cursor (in version 1: in no two) |
//! | 32 | 8 | capacity: bytes that were reserved for the file |
//! | 40 | 4 | zero |
//! | 44 | 4 | CRC-32C of the 44 bytes before |
//!
//! Magic, version and checksum stay where they are in every future version. The rest of the header is zero.
//!
//! **Frames** follow from 8192 on (see `frame`), their sequences rising. Those at or above the base of the next segment do not
//! count: they were never acknowledged, and the next segment repeats them.
//!
//! **Footer**: a sealed segment ends in one frame of kind 2. Its payload has an entry for every record: sequence (u64), position
//! (u64), length of the tag (u8), length of the head (u8), tag, head (the body's first bytes, at most 32: enough for a caller to find
//! an id in without reading bodies). Sequences written off have none.
//!
//! **Trailer**: the last 64 bytes of a sealed file. It is written, and the file cut, only once the footer is durable: a genuine trailer
//! proves that frames and footer were whole, and a file shorter than its capacity without a good footer has been truncated.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 8 | `icrseal\n` |
//! | 8 | 8 | position of the footer frame |
//! | 16 | 8 | first sequence (0: none) |
//! | 24 | 8 | last sequence |
//! | 32 | 8 | number of records |
//! | 40 | 8 | time of sealing, milliseconds since 1970 |
//! | 48 | 8 | bytes of the file |
//! | 56 | 4 | zero |
//! | 60 | 4 | CRC-32C of the 60 bytes before, starting from the salt |
//!
//! A segment without a trailer is scanned at the next start, cut at its torn tail if it has one, and sealed then.
use super::Sequence;
use super::bounds::HIGHEST;
use super::bytes::{u8_at, u32_at, u64_at};
use super::frame::{self, Kind, Meta};
use super::storage::{Storage, StorageFile, is_unreadable, patiently};
use std::io;

/// The version that this code writes, and the newest it reads.
pub const VERSION: u32 = 2;
/// From this version on all segments of a journal have the same identity.
const IDENTIFIED: u32 = 2;
/// Where the frames begin.
pub(super) const DATA: u64 = 8192;
/// Where the second copy of the header is.
const SECOND_COPY: u64 = 4096;
/// Bytes of one copy of the header.
const HEADER: usize = 48;
/// Bytes of the trailer.
pub(super) const TRAILER: u64 = 64;
/// How much of a body the footer repeats: a version, a UUID and a time fit.
pub(super) const HEAD: usize = 32;
/// An entry of the footer without tag and head.
const ENTRY: usize = 18;

const MAGIC: &[u8; 8] = b"icrjrnl\n";
const SEALED: &[u8; 8] = b"icrseal\n";

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub base: Sequence,
    pub salt: u32,
    pub identity: u64,
    pub capacity: u64,
    pub version: u32,
}

/// What is found where a header should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A header; `copies` of it are good (of two).
    Header { header: Header, copies: u8 },
    /// A genuine header of a later format.
    Newer(u32),
    /// Neither copy is a header.
    Foreign,
}

impl Header {
    pub fn new(storage: &dyn Storage, identity: u64, base: Sequence, capacity: u64) -> Self {
        Self {
            base,
            salt: crc32c::crc32c(&storage.random().to_le_bytes()),
            identity,
            capacity,
            version: VERSION,
        }
    }

    /// The journal that it says it belongs to, if it is of a version that says so.
    pub fn journal(&self) -> Option<u64> {
        (self.version >= IDENTIFIED).then_some(self.identity)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.extend_from_slice(&self.identity.to_le_bytes());
        bytes.extend_from_slice(&self.capacity.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// Writes both copies; the caller syncs.
    pub fn write(&self, file: &dyn StorageFile) -> io::Result<()> {
        let mut area = vec![0; DATA as usize];
        let copy = self.encode();
        for at in [0, SECOND_COPY as usize] {
            if let Some(place) = area.get_mut(at..at + HEADER) {
                place.copy_from_slice(&copy);
            }
        }
        file.write_at(&area, 0)
    }

    /// Reads both copies. One that the medium does not give back is a bad one.
    pub fn read(file: &dyn StorageFile) -> io::Result<Found> {
        let (mut good, mut copies, mut newer) = (None, 0, None);
        for at in [0, SECOND_COPY] {
            let mut bytes = [0; HEADER];
            match patiently(|| file.read_at(&mut bytes, at)) {
                Err(error) if !is_unreadable(&error) => return Err(error),
                Err(_) => bytes.fill(0),
                Ok(_) => {}
            }
            match Self::decode(&bytes) {
                Some(Ok(header)) => {
                    good.get_or_insert(header);
                    copies += 1;
                }
                Some(Err(version)) => newer = Some(version),
                None => {}
            }
        }
        Ok(match (good, newer) {
            (Some(header), _) => Found::Header { header, copies },
            (None, Some(version)) => Found::Newer(version),
            (None, None) => Found::Foreign,
        })
    }

    fn decode(bytes: &[u8]) -> Option<Result<Self, u32>> {
        if bytes.get(..8)? != MAGIC || u32_at(bytes, 44)? != crc32c::crc32c(bytes.get(..44)?) {
            return None;
        }
        let version = u32_at(bytes, 8)?;
        if version > VERSION {
            return Some(Err(version));
        }
        Some(Ok(Self {
            salt: u32_at(bytes, 12)?,
            base: u64_at(bytes, 16)?,
            identity: u64_at(bytes, 24)?,
            capacity: u64_at(bytes, 32)?,
            version,
        }))
    }
}

/// What a sealed segment's trailer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    pub footer: u64,
    pub first: Sequence,
    pub last: Sequence,
    pub count: u64,
    pub sealed_at: u64,
    pub bytes: u64,
}

impl Trailer {
    fn encode(&self, salt: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TRAILER as usize);
        bytes.extend_from_slice(SEALED);
        for field in [
            self.footer,
            self.first,
            self.last,
            self.count,
            self.sealed_at,
            self.bytes,
        ] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&crc32c::crc32c_append(salt, &bytes).to_le_bytes());
        bytes
    }

    /// The trailer of a file of this length, if it has one. One that the medium does not give back is none.
    pub fn read(file: &dyn StorageFile, salt: u32, length: u64) -> io::Result<Option<Self>> {
        let Some(at) = length.checked_sub(TRAILER).filter(|at| *at >= DATA) else {
            return Ok(None);
        };
        let mut bytes = [0; TRAILER as usize];
        match patiently(|| file.read_at(&mut bytes, at)) {
            Err(error) if is_unreadable(&error) => return Ok(None),
            read => read?,
        };
        Ok(Self::decode(&bytes, salt).filter(|trailer| trailer.is_plausible(length)))
    }

    /// Whether a file of this length can end in it.
    fn is_plausible(&self, length: u64) -> bool {
        let footer_end = length.saturating_sub(TRAILER + frame::span(0));
        self.bytes == length
            && (DATA..=footer_end).contains(&self.footer)
            && self.first <= self.last
            && self.last <= HIGHEST
            && self.count <= (self.footer - DATA) / frame::span(0)
    }

    fn decode(bytes: &[u8], salt: u32) -> Option<Self> {
        if bytes.get(..8)? != SEALED
            || u32_at(bytes, 60)? != crc32c::crc32c_append(salt, bytes.get(..60)?)
        {
            return None;
        }
        Some(Self {
            footer: u64_at(bytes, 8)?,
            first: u64_at(bytes, 16)?,
            last: u64_at(bytes, 24)?,
            count: u64_at(bytes, 32)?,
            sealed_at: u64_at(bytes, 40)?,
            bytes: u64_at(bytes, 48)?,
        })
    }
}

/// The footer of a segment as it grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    /// The footer's payload.
    pub bytes: Vec<u8>,
    pub first: Sequence,
    pub last: Sequence,
    pub count: u64,
}

impl Entries {
    /// Notes a record.
    pub fn record(&mut self, sequence: Sequence, position: u64, tag: &[u8], body: &[u8]) {
        let head = body.get(..HEAD).unwrap_or(body);
        self.bytes.extend_from_slice(&sequence.to_le_bytes());
        self.bytes.extend_from_slice(&position.to_le_bytes());
        let lengths = [tag.len().min(255) as u8, head.len() as u8];
        self.bytes.extend_from_slice(&lengths);
        self.bytes.extend_from_slice(tag);
        self.bytes.extend_from_slice(head);
        self.count += 1;
        self.passed(sequence, sequence);
    }

    /// Notes sequences that the segment accounts for.
    pub fn passed(&mut self, from: Sequence, to: Sequence) {
        if self.first == 0 {
            self.first = from;
        }
        self.last = to;
    }

    /// Bytes that footer and trailer would take, with `records` more whose tags have `tags` bytes in all.
    pub fn room(&self, records: usize, tags: usize) -> u64 {
        frame::span(self.bytes.len() + records * (ENTRY + HEAD) + tags) + TRAILER
    }
}

/// One entry of a footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Indexed<'a> {
    pub sequence: Sequence,
    pub position: u64,
    pub tag: &'a [u8],
    pub head: &'a [u8],
}

/// The entries of a footer's payload, in order.
pub(super) fn entries(payload: &[u8]) -> impl Iterator<Item = Indexed<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (entry, length) = entry(payload, at)?;
        at += length;
        Some(entry)
    })
}

/// The entry that stands at `at` in a footer's payload, and its length.
pub(super) fn entry(payload: &[u8], at: usize) -> Option<(Indexed<'_>, usize)> {
    let payload = payload.get(at..)?;
    let tag_end = ENTRY + usize::from(u8_at(payload, 16)?);
    let head_end = tag_end + usize::from(u8_at(payload, 17)?);
    let entry = Indexed {
        sequence: u64_at(payload, 0)?,
        position: u64_at(payload, 8)?,
        tag: payload.get(ENTRY..tag_end)?,
        head: payload.get(tag_end..head_end)?,
    };
    Some((entry, head_end))
}

/// Seals a segment whose good frames end at `end`: footer, sync; then cut and trailer, sync. A crash in between leaves a segment
/// that the next start seals again.
pub(super) fn seal(
    file: &dyn StorageFile,
    header: Header,
    end: u64,
    entries: &Entries,
    now: u64,
) -> io::Result<Trailer> {
    let meta = Meta {
        kind: Kind::Footer,
        tag_length: 0,
        sequence: entries.last,
        position: end,
        group: end,
    };
    let mut footer = Vec::with_capacity(frame::span(entries.bytes.len()) as usize);
    frame::append(&mut footer, header.salt, meta, &entries.bytes);
    let at = end + footer.len() as u64;
    let trailer = Trailer {
        footer: end,
        first: entries.first,
        last: entries.last,
        count: entries.count,
        sealed_at: now,
        bytes: at + TRAILER,
    };
    file.write_at(&footer, end)?;
    file.sync_data()?;
    file.set_length(trailer.bytes)?;
    file.write_at(&trailer.encode(header.salt), at)?;
    file.sync_data()?;
    Ok(trailer)
}

/// The name of a segment.
pub(super) fn name(base: Sequence) -> String {
    format!("{base:020}.log")
}
