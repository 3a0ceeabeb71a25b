//! The file in which rejected deliveries are kept: `ring-1`.
//!
//! **On-disk format**, little-endian. The file is a row of blocks of 512 bytes; it holds at most as many as the setting
//! `REJECTED_RING_BYTES` has room for, grows block by block, and has no head: the number in its name is the version, and a later format
//! will have another name. An entry takes as many blocks as it needs, anywhere in the file:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | CRC-32C of the rest of the block |
//! | 4 | 4 | place of the block within its entry, from 0 |
//! | 8 | 4 | number of blocks of the entry |
//! | 12 | 8 | number of the entry |
//! | 20 | 492 | the entry's bytes, the last block filled with zeros |
//!
//! The entry's bytes are their length (u32, itself not counted), the peer (16), and the record of
//! [`Delivery`](crate::domain::delivery::Delivery) with a nil id, the time of arrival as time of acceptance, and 0 as position.
//!
//! Numbers count on from one that is drawn when the file is opened, so that none is ever given twice: blocks of two entries are never
//! taken for one, also where a crash brings back what stood there before.
//!
//! An entry is there if all of its blocks are, whole. Anything else is free space: a block that was never written, one of an entry that
//! was torn by a crash, and one of an entry of which a part was overwritten since. So nothing need be written in any order, and no
//! crash leaves more behind than what was not synced. An entry is removed by zeros over its first block.

use crate::journal::storage::{Access, Storage, StorageFile, restore};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const NAME: &str = "ring-1";

/// Bytes of a block: a sector, so that a small delivery takes little and an index of 32 bits reaches 2 TiB.
pub const BLOCK: usize = 512;

const HEAD: usize = 20;
const CONTENT: usize = BLOCK - HEAD;

/// The file is read in pieces of this many blocks.
const PIECE: usize = 2048;

/// The largest file that the setting allows, 4 GiB, in blocks.
const MOST: Position = ((4 << 30) / BLOCK as u64) as Position;

/// Where a block stands in the file, counted in blocks.
pub(super) type Position = u32;

/// Every entry that is complete: its number, and its blocks in their order.
pub(super) type Found = Vec<(u64, Vec<Position>)>;

/// The file, and which of its blocks are free.
pub(super) struct Blocks {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    file: Option<Arc<dyn StorageFile>>,
    /// Blocks that the file has.
    end: Position,
    /// And may have.
    limit: Position,
    /// Used from the back.
    free: VecDeque<Position>,
    /// Written and not synced.
    unsynced: bool,
}

/// How many blocks an entry of so many bytes takes.
pub(super) fn blocks_for(bytes: usize) -> Option<u32> {
    u32::try_from((4 + bytes).div_ceil(CONTENT)).ok()
}

impl Blocks {
    /// Opens the file where there is one, and finds the entries in it.
    ///
    /// # Errors
    /// What the storage says, where the file is there and cannot be opened. Blocks that cannot be read are left out.
    pub(super) fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        limit: Position,
    ) -> io::Result<(Self, Found)> {
        let file = match storage.open(&dir.join(NAME), Access::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened?),
        };
        let length = file.as_ref().map_or(Ok(0), |file| file.length())?;
        let mut blocks = Self {
            storage,
            dir: dir.to_owned(),
            file,
            // A length is a claim: no more is looked at than the setting has ever allowed.
            end: Position::try_from(length / BLOCK as u64)
                .unwrap_or(Position::MAX)
                .min(limit.max(MOST)),
            limit,
            free: VecDeque::new(),
            unsynced: false,
        };
        let found = blocks.scan();
        Ok((blocks, found))
    }

    fn scan(&mut self) -> Found {
        let mut entries: HashMap<u64, Vec<(u32, u32, Position)>> = HashMap::new();
        let mut unreadable = Vec::new();
        let mut piece = vec![0; PIECE * BLOCK];
        let mut start = 0;
        while start < self.end {
            let count = (self.end - start).min(PIECE as Position);
            let wanted = piece.get_mut(..count as usize * BLOCK).unwrap_or_default();
            if self.read_at(wanted, start).is_ok() {
                for (block, position) in wanted.chunks_exact(BLOCK).zip(start..) {
                    note(&mut entries, block, position);
                }
            } else {
                // What can be read of it is read, block by block.
                for (block, position) in wanted.chunks_exact_mut(BLOCK).zip(start..) {
                    match self.read_at(block, position) {
                        Ok(()) => note(&mut entries, block, position),
                        Err(_) => unreadable.push(position),
                    }
                }
            }
            start += count;
        }
        let mut taken = vec![false; self.end as usize];
        let mut take = |position: &Position| {
            if let Some(taken) = taken.get_mut(*position as usize) {
                *taken = true;
            }
        };
        unreadable.iter().for_each(&mut take);
        let mut found = Found::new();
        for (number, mut parts) in entries {
            parts.sort_unstable();
            let complete = parts.iter().zip(0..).all(|((place, count, _), wanted)| {
                *place == wanted && *count as usize == parts.len()
            });
            if complete {
                let blocks: Vec<Position> =
                    parts.iter().map(|(_, _, position)| *position).collect();
                blocks.iter().for_each(&mut take);
                found.push((number, blocks));
            }
        }
        let free = (0..self.end).zip(taken).filter(|(_, taken)| !taken);
        // The lowest last: it is used first.
        free.for_each(|(position, _)| self.free.push_front(position));
        found
    }

    /// Blocks that an entry could have without another's giving way. The file grows only where it may.
    pub(super) fn available(&self, may_grow: bool) -> u64 {
        let growth = if may_grow {
            self.limit.saturating_sub(self.end)
        } else {
            0
        };
        self.free.len() as u64 + u64::from(growth)
    }

    /// Blocks that the file may have.
    pub(super) fn limit(&self) -> Position {
        self.limit
    }

    /// Blocks that the file has.
    pub(super) fn end(&self) -> Position {
        self.end
    }

    /// Writes an entry; where there are too few blocks, or the disk does not take it, nothing has happened.
    pub(super) fn write(
        &mut self,
        number: u64,
        bytes: &[u8],
        may_grow: bool,
    ) -> io::Result<Vec<Position>> {
        let count =
            blocks_for(bytes.len()).filter(|count| u64::from(*count) <= self.available(may_grow));
        let count = count.ok_or(io::ErrorKind::StorageFull)?;
        let reused = self
            .free
            .split_off(self.free.len().saturating_sub(count as usize));
        let mut blocks: Vec<Position> = reused.into_iter().rev().collect();
        let before = self.end;
        blocks.extend(before..before + (count - blocks.len() as u32));
        self.end = blocks.last().map_or(before, |last| before.max(last + 1));
        match self.write_to(&blocks, number, bytes) {
            Ok(()) => Ok(blocks),
            Err(error) => {
                self.end = before;
                // Tried last from now on: it may be the place that is bad.
                let inside = blocks.into_iter().filter(|position| *position < before);
                inside.for_each(|position| self.free.push_front(position));
                Err(error)
            }
        }
    }

    fn write_to(&mut self, blocks: &[Position], number: u64, bytes: &[u8]) -> io::Result<()> {
        let image = image(blocks.len(), number, bytes);
        let file = self.file()?;
        self.unsynced = true;
        // Neighbours go in one write.
        let mut rest = image.as_slice();
        for run in blocks.chunk_by(|one, next| *next == one + 1) {
            let (now, later) = rest
                .split_at_checked(run.len() * BLOCK)
                .unwrap_or((rest, &[]));
            let position = run.first().copied().unwrap_or_default();
            file.write_at(now, u64::from(position) * BLOCK as u64)?;
            rest = later;
        }
        Ok(())
    }

    fn file(&mut self) -> io::Result<Arc<dyn StorageFile>> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        self.storage.create_dir(&self.dir)?;
        let file = self.storage.create(&self.dir.join(NAME), 0)?;
        self.file = Some(Arc::clone(&file));
        self.storage.sync_dir(&self.dir)?;
        Ok(file)
    }

    fn read_at(&self, buffer: &mut [u8], position: Position) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let read = file.read_at(buffer, u64::from(position) * BLOCK as u64)?;
        // Shorter than it was: what is missing is no block.
        buffer.get_mut(read..).unwrap_or_default().fill(0);
        Ok(())
    }

    /// Reads an entry's bytes.
    ///
    /// # Errors
    /// `InvalidData` where they are not what was written, else what the storage says.
    pub(super) fn read(&self, number: u64, blocks: &[Position]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(blocks.len() * CONTENT);
        for (position, place) in blocks.iter().zip(0..) {
            let mut block = [0; BLOCK];
            self.read_at(&mut block, *position)?;
            let genuine = head(&block) == Some((place, blocks.len() as u32, number));
            let content = block.get(HEAD..).filter(|_| genuine);
            bytes.extend_from_slice(content.ok_or(io::ErrorKind::InvalidData)?);
        }
        let (length, content) = bytes
            .split_first_chunk()
            .ok_or(io::ErrorKind::InvalidData)?;
        let length = u32::from_le_bytes(*length) as usize;
        Ok(content
            .get(..length)
            .ok_or(io::ErrorKind::InvalidData)?
            .to_vec())
    }

    /// Removes an entry on disk, durably once synced. Its blocks are free after [`Blocks::release`].
    pub(super) fn erase(&mut self, blocks: &[Position]) -> io::Result<()> {
        let (Some(file), Some(first)) = (&self.file, blocks.first()) else {
            return Ok(());
        };
        self.unsynced = true;
        file.write_at(&[0; BLOCK], u64::from(*first) * BLOCK as u64)
    }

    /// Removes on disk what is left of entries whose blocks were given back, unless others have the first of them by now: left whole, they would
    /// be back after a restart. What cannot be erased costs room then, nothing else.
    pub(super) fn erase_free(&mut self, entries: &[Box<[Position]>]) {
        let free: HashSet<Position> = self.free.iter().copied().collect();
        for blocks in entries {
            if blocks.first().is_some_and(|first| free.contains(first)) {
                let _ = self.erase(blocks);
            }
        }
    }

    /// Gives an entry's blocks back: the next entry takes the first of them first, so that the old entry is gone.
    pub(super) fn release(&mut self, blocks: &[Position]) {
        let inside = blocks
            .iter()
            .rev()
            .filter(|position| **position < self.limit.min(self.end));
        self.free.extend(inside);
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match &self.file {
            Some(file) if self.unsynced => {
                file.sync_data()?;
                self.unsynced = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// If the file has lost its name, writes it again under it from the open descriptor; whether it had to. The journal's
    /// folder must be in place.
    pub(super) fn renew(&mut self) -> io::Result<bool> {
        let (Some(file), path) = (&self.file, self.dir.join(NAME)) else {
            return Ok(false);
        };
        if self.storage.named(&path)? == Some(file.identity()?) {
            return Ok(false);
        }
        self.storage.create_dir(&self.dir)?;
        let length = file.length()?;
        self.file = Some(restore(&*self.storage, &**file, &path, length, length)?);
        Ok(true)
    }

    /// From now on no block at or beyond `end` is given out. Those in use can be read until [`Blocks::cut`].
    pub(super) fn retreat(&mut self, end: Position) {
        self.free.retain(|position| *position < end);
        self.end = self.end.min(end);
    }

    /// Gives the space beyond the end back to the file system.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        // What was moved must be safe before its old place goes.
        self.sync()?;
        match &self.file {
            Some(file) => file.set_length(u64::from(self.end) * BLOCK as u64),
            None => Ok(()),
        }
    }
}

/// An entry as it is written: its blocks one after the other.
fn image(count: usize, number: u64, bytes: &[u8]) -> Vec<u8> {
    let content = [&(bytes.len() as u32).to_le_bytes(), bytes].concat();
    let mut image = Vec::with_capacity(count * BLOCK);
    for (content, place) in content.chunks(CONTENT).zip(0u32..) {
        let start = image.len();
        image.extend_from_slice(&[0; 4]);
        image.extend_from_slice(&place.to_le_bytes());
        image.extend_from_slice(&(count as u32).to_le_bytes());
        image.extend_from_slice(&number.to_le_bytes());
        image.extend_from_slice(content);
        image.resize(start + BLOCK, 0);
        let crc = crc32c::crc32c(image.get(start + 4..).unwrap_or_default());
        if let Some(field) = image.get_mut(start..start + 4) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
    }
    image
}

/// Place, number of blocks and entry of a block that is whole.
fn head(block: &[u8]) -> Option<(u32, u32, u64)> {
    let (crc, rest) = block.split_first_chunk()?;
    let (place, fields) = rest.split_first_chunk()?;
    let (count, fields) = fields.split_first_chunk()?;
    let (number, _) = fields.split_first_chunk()?;
    (u32::from_le_bytes(*crc) == crc32c::crc32c(rest)).then_some((
        u32::from_le_bytes(*place),
        u32::from_le_bytes(*count),
        u64::from_le_bytes(*number),
    ))
}

fn note(entries: &mut HashMap<u64, Vec<(u32, u32, Position)>>, block: &[u8], position: Position) {
    if let Some((place, count, number)) = head(block) {
        entries
            .entry(number)
            .or_default()
            .push((place, count, position));
    }
}
