//! What the ring holds: the entries in the file, their shares, and the rules of coming and going. Knows no thread and no clock.
//!
//! In memory stands what is needed to decide who stays, some 200 bytes an entry; the deliveries are on disk alone.

use super::blocks::{self, BLOCK, Blocks, Position};
use super::known::Standing;
use super::peer::Peer;
use super::shares::{Key, Place, Shares};
use crate::domain::delivery::Millis;
use crate::journal::storage::Storage;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Tells one rejected delivery from another: 16 bytes of a SHA-256 over app, `signedData` and signature.
pub type Digest = [u8; 16];

/// A delivery that asks to be kept.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// How much it has in common with proven ones.
    pub standing: Standing,
    /// Where it came from.
    pub peer: Peer,
    /// When it came.
    pub at: Millis,
    /// Of which there is one at the most.
    pub digest: Digest,
    /// What is kept of it.
    pub bytes: Vec<u8>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is kept; so many others gave way, and are gone.
    Kept {
        /// Those that gave way.
        evicted: u64,
    },
    /// It was kept already.
    There,
    /// There is no room for one of its standing and share.
    NoRoom,
    /// The disk did not take it.
    Failed,
}

/// A delivery that is kept, as it is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// To go on from here, or to have it removed.
    pub key: Key,
    /// [`Candidate::bytes`]; `None` where the disk does not give them back.
    pub bytes: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Bytes on disk that entries take.
    pub bytes: u64,
    /// Deliveries that name an app id proven before.
    pub familiar: u64,
    /// The other deliveries.
    pub strangers: u64,
}

pub struct Shelf {
    blocks: Blocks,
    entries: BTreeMap<Key, Entry>,
    digests: HashSet<Digest>,
    shares: Shares,
    /// The number of the next entry on disk.
    number: u64,
    /// How many entries there ever were since the file was opened.
    count: u64,
    amount: Amount,
}

struct Entry {
    place: Place,
    digest: Digest,
    /// How many there were before it.
    count: u64,
    blocks: Box<[Position]>,
}

impl Entry {
    fn size(&self) -> u32 {
        self.blocks.len() as u32
    }
}

impl Shelf {
    /// Opens the file in `dir`, where there is one, for at most `capacity` bytes. `judge` makes of an entry's bytes the
    /// [`Candidate`] that it was; `None` for bytes that mean nothing, which are left to be overwritten. If the file holds more than `capacity`, what
    /// gives way first is dropped.
    ///
    /// # Errors
    /// What the storage says, where the file is there and cannot be opened.
    pub fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        capacity: u64,
        judge: impl Fn(Vec<u8>) -> Option<Candidate>,
    ) -> io::Result<Self> {
        let limit = Position::try_from(capacity / BLOCK as u64).unwrap_or(Position::MAX);
        let number = storage.random();
        let (blocks, found) = Blocks::open(storage, dir, limit)?;
        let mut shelf = Self {
            blocks,
            entries: BTreeMap::new(),
            digests: HashSet::new(),
            shares: Shares::default(),
            number,
            count: 0,
            amount: Amount::default(),
        };
        for (number, blocks) in found {
            // What cannot be read at present is left alone.
            let Ok(bytes) = shelf.blocks.read(number, &blocks) else {
                continue;
            };
            let Some(candidate) = judge(bytes) else {
                shelf.blocks.release(&blocks);
                continue;
            };
            if shelf.digests.contains(&candidate.digest) {
                // A second copy, which a crash has left, must not come back after the first was journaled.
                let _ = shelf.blocks.erase(&blocks);
                shelf.blocks.release(&blocks);
            } else {
                shelf.enter(&candidate, number, blocks);
            }
        }
        if shelf.blocks.end() > limit {
            // What cannot be cut off is overwritten, or cut off at the next start.
            let _ = shelf.move_below(limit);
        }
        Ok(shelf)
    }

    /// Keeps a delivery if there is room for it, or if others give way. The file grows only where it may.
    pub fn put(&mut self, candidate: &Candidate, may_grow: bool) -> Put {
        if self.digests.contains(&candidate.digest) {
            return Put::There;
        }
        let size = blocks::blocks_for(candidate.bytes.len());
        let Some(size) = size.filter(|size| *size <= self.blocks.limit()) else {
            return Put::NoRoom;
        };
        let place = Place {
            standing: candidate.standing,
            peer: candidate.peer,
        };
        let key = Key {
            at: candidate.at,
            number: self.number,
        };
        let mut lacking = u64::from(size).saturating_sub(self.blocks.available(may_grow));
        let mut yielded = Vec::new();
        while lacking > 0 {
            let victim = self.shares.yields_to(place, key, size);
            let Some((victim, entry)) = victim.and_then(|key| Some((key, self.take(key)?))) else {
                // Those who would have given way stay: not enough would.
                yielded
                    .into_iter()
                    .for_each(|(key, entry)| self.restore(key, entry));
                return Put::NoRoom;
            };
            lacking = lacking.saturating_sub(u64::from(entry.size()));
            yielded.push((victim, entry));
        }
        yielded
            .iter()
            .for_each(|(_, entry)| self.blocks.release(&entry.blocks));
        self.number = self.number.wrapping_add(1);
        match self.blocks.write(key.number, &candidate.bytes, may_grow) {
            Ok(blocks) => {
                for (_, entry) in &yielded {
                    let first = entry.blocks.first();
                    if first.is_some_and(|first| !blocks.contains(first)) {
                        // Left whole, it would be back after a restart. That costs room, nothing else.
                        let _ = self.blocks.erase(&entry.blocks);
                    }
                }
                self.enter(candidate, key.number, blocks);
                Put::Kept {
                    evicted: yielded.len() as u64,
                }
            }
            Err(_) => Put::Failed,
        }
    }

    fn enter(&mut self, candidate: &Candidate, number: u64, blocks: Vec<Position>) {
        let key = Key {
            at: candidate.at,
            number,
        };
        let entry = Entry {
            place: Place {
                standing: candidate.standing,
                peer: candidate.peer,
            },
            digest: candidate.digest,
            count: self.count,
            blocks: blocks.into(),
        };
        self.count += 1;
        self.restore(key, entry);
    }

    fn restore(&mut self, key: Key, entry: Entry) {
        self.shares.add(entry.place, key, entry.size());
        self.digests.insert(entry.digest);
        self.amount.bytes += entry.blocks.len() as u64 * BLOCK as u64;
        *self.amount.of(entry.place.standing) += 1;
        self.entries.insert(key, entry);
    }

    /// Forgets an entry; its blocks are still its own.
    fn take(&mut self, key: Key) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.shares.remove(entry.place, key, entry.size());
        self.digests.remove(&entry.digest);
        self.amount.bytes -= entry.blocks.len() as u64 * BLOCK as u64;
        *self.amount.of(entry.place.standing) -= 1;
        Some(entry)
    }

    pub fn amount(&self) -> Amount {
        self.amount
    }

    pub fn file_bytes(&self) -> u64 {
        u64::from(self.blocks.end()) * BLOCK as u64
    }

    /// Whether a delivery of ordinary size has room without another's giving way.
    pub fn is_roomy(&self, may_grow: bool) -> bool {
        /// 32 KiB.
        const ORDINARY: u64 = 64;
        self.blocks.available(may_grow) >= ORDINARY
    }

    /// How many deliveries came to be kept since the file was opened.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The next deliveries after `after` in the order of arrival, of the first `count` that came to be kept: up to `most`, and not many more
    /// bytes than `bytes`.
    pub fn after(&self, after: Option<Key>, count: u64, most: usize, bytes: usize) -> Vec<Kept> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let mut left = bytes;
        let mut kept = Vec::new();
        let wanted = self
            .entries
            .range((from, Unbounded))
            .filter(|(_, entry)| entry.count < count);
        for (key, entry) in wanted.take(most) {
            let bytes = self.blocks.read(key.number, &entry.blocks).ok();
            left = left.saturating_sub(bytes.as_ref().map_or(BLOCK, Vec::len));
            kept.push(Kept { key: *key, bytes });
            if left == 0 {
                break;
            }
        }
        kept
    }

    /// Removes deliveries, durably on return. They are gone from here in any case.
    ///
    /// # Errors
    /// What the storage says: after a restart some may be back.
    pub fn remove(&mut self, keys: &[Key]) -> io::Result<()> {
        let mut removed = Ok(());
        for key in keys {
            if let Some(entry) = self.take(*key) {
                removed = removed.and(self.blocks.erase(&entry.blocks));
                self.blocks.release(&entry.blocks);
            }
        }
        removed.and(self.blocks.sync())
    }

    /// Removes up to `most` deliveries that came before `before`, the oldest first; how many, with what they took. Durable with the next
    /// sync.
    pub fn expire(&mut self, before: Millis, most: usize) -> Amount {
        let old = self.entries.keys().take_while(|key| key.at < before);
        let old: Vec<Key> = old.take(most).copied().collect();
        let kept = self.amount;
        for key in old {
            if let Some(entry) = self.take(key) {
                // One that cannot be erased is back after a restart, and goes then.
                let _ = self.blocks.erase(&entry.blocks);
                self.blocks.release(&entry.blocks);
            }
        }
        Amount {
            bytes: kept.bytes - self.amount.bytes,
            familiar: kept.familiar - self.amount.familiar,
            strangers: kept.strangers - self.amount.strangers,
        }
    }

    /// If the file has lost its name, writes it again; whether it had to.
    ///
    /// # Errors
    /// What the storage says; the entries can still be read until a restart.
    pub fn renew(&mut self) -> io::Result<bool> {
        self.blocks.renew()
    }

    /// Makes durable what was kept.
    pub fn sync(&mut self) -> io::Result<()> {
        self.blocks.sync()
    }

    /// The disk is full and the journal needs room: drops what names no app proven before, and gives the space of that and of all that
    /// is free back to the file system. How many were dropped.
    pub fn give_way(&mut self) -> io::Result<u64> {
        let strangers = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.place.standing.is_familiar());
        let strangers: Vec<Key> = strangers.map(|(key, _)| *key).collect();
        let mut gone = Vec::new();
        for key in &strangers {
            if let Some(entry) = self.take(*key) {
                self.blocks.release(&entry.blocks);
                gone.push(entry.blocks);
            }
        }
        let needed = self.amount.bytes / BLOCK as u64;
        let dropped = if needed < u64::from(self.blocks.end()) {
            self.move_below(needed as Position)
        } else {
            Ok(0)
        };
        self.blocks.erase_free(&gone);
        Ok(strangers.len() as u64 + dropped?)
    }

    /// Moves what stands at or beyond `end` into what is free before it, as far as there is room, and cuts the file. How many had to go.
    fn move_below(&mut self, end: Position) -> io::Result<u64> {
        let beyond = |entry: &Entry| entry.blocks.iter().any(|position| *position >= end);
        let moving = self.entries.iter().filter(|(_, entry)| beyond(entry));
        let moving: Vec<Key> = moving.map(|(key, _)| *key).collect();
        let taken = moving.into_iter().map(|key| Some((key, self.take(key)?)));
        let mut moving: Vec<(Key, Entry)> = taken.flatten().collect();
        moving.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.place.standing));
        self.blocks.retreat(end);
        let mut gone = Vec::new();
        let mut dropped = 0;
        for (key, entry) in moving {
            let bytes = self.blocks.read(key.number, &entry.blocks);
            self.blocks.release(&entry.blocks);
            let put = bytes.map(|bytes| {
                let candidate = Candidate {
                    standing: entry.place.standing,
                    peer: entry.place.peer,
                    at: key.at,
                    digest: entry.digest,
                    bytes,
                };
                self.put(&candidate, false)
            });
            dropped += match put {
                Ok(Put::Kept { evicted }) => {
                    if entry.blocks.first().is_some_and(|first| *first >= end) {
                        // Else it would be back, should cutting fail.
                        let _ = self.blocks.erase(&entry.blocks);
                    }
                    evicted
                }
                Ok(Put::There) => 0,
                Ok(Put::NoRoom | Put::Failed) | Err(_) => {
                    gone.push(entry.blocks);
                    1
                }
            };
        }
        self.blocks.erase_free(&gone);
        self.blocks.cut()?;
        Ok(dropped)
    }
}

impl Amount {
    fn of(&mut self, standing: Standing) -> &mut u64 {
        if standing.is_familiar() {
            &mut self.familiar
        } else {
            &mut self.strangers
        }
    }
}
