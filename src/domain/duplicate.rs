//! The window in which a repeated delivery is recognised.
//!
//! **Rules.** A known transaction event is a repeat if its fingerprint is in the window. A known lifecycle event is one only if
//! it equals its installation's latest delivery that is no transaction event: suspended → unsuspended → suspended is three
//! events, though the first and last bytes are the same. Everything else is new. Apps don't see each other's deliveries.
//!
//! **Form.** One ring over all apps, oldest out first, and two maps that point into it: fingerprint → newest transaction event,
//! installation → latest other delivery. An entry links to the one that it displaced from its map, so that forgetting it (its
//! append failed) uncovers that one again. About 100 bytes a delivery at the most, maps included; nothing while it is empty.

use super::event::EventKind;
use super::tag::{ShortFingerprint, Tag};
use std::collections::{HashMap, VecDeque};
use uuid::Uuid;

/// What the window says of a delivery that has just come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// Not seen: store it.
    New,
    /// Seen: this was the first one's id, provided that the payload is intelligible (the caller checks, it is costly).
    Seen {
        /// The id of the first occurrence.
        first: Uuid,
        /// Whether that first one is not on stable storage yet.
        pending: bool,
    },
}

/// A bounded memory of fingerprints, oldest out first.
pub struct DuplicateWindow {
    capacity: usize,
    ring: VecDeque<Entry>,
    /// The number of the ring's first entry; numbers count up by one.
    base: u64,
    /// Entries that are not forgotten.
    live: usize,
    transactions: HashMap<ShortFingerprint, u64>,
    latest: HashMap<u64, u64>,
}

/// What [`DuplicateWindow::insert`] hands out, to settle or forget the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryId(pub u64);

/// 48 bytes.
#[derive(Clone, Copy)]
struct Entry {
    /// The fingerprint, made specific to the app.
    fingerprint: ShortFingerprint,
    id: Uuid,
    /// The installation, made specific to the app; for [`Place::Latest`] only.
    installation: u64,
    /// How many entries back the one stands that this one displaced from its map; 0 for none.
    displaced: u32,
    place: Place,
    state: State,
}

/// Which map may point to an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Transactions,
    Latest,
    Nowhere,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Settled,
    Forgotten,
}

impl DuplicateWindow {
    /// A window of at most `capacity` deliveries; 0 switches recognition off.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.min(u32::MAX as usize / 4),
            ring: VecDeque::new(),
            base: 0,
            live: 0,
            transactions: HashMap::new(),
            latest: HashMap::new(),
        }
    }

    /// Whether the delivery with this tag is a repeat by the rules of the design.
    pub fn look(&self, tag: &Tag) -> Sighting {
        let fingerprint = of_app(tag);
        let number = match tag.kind {
            Some(kind) if kind.is_transaction() => self.transactions.get(&fingerprint),
            Some(kind) if kind.is_lifecycle() => {
                installation_of_app(tag).and_then(|installation| self.latest.get(&installation))
            }
            _ => None,
        };
        match number.and_then(|&number| self.entry(number)) {
            Some(entry) if entry.fingerprint == fingerprint => Sighting::Seen {
                first: entry.id,
                pending: entry.state == State::Pending,
            },
            _ => Sighting::New,
        }
    }

    /// Remembers a delivery that is being stored (`pending`) or, at start, is stored.
    ///
    /// An entry id is to be settled or forgotten once at the most. To insert what [`look`](Self::look) has seen (the caller found it
    /// unintelligible after all) is fine: from then on the newer one is seen.
    pub fn insert(&mut self, tag: &Tag, id: Uuid, pending: bool) -> EntryId {
        let number = self.end();
        if self.capacity == 0 {
            return EntryId(number);
        }
        let mut entry = Entry {
            fingerprint: of_app(tag),
            id,
            installation: installation_of_app(tag).unwrap_or_default(),
            displaced: 0,
            place: Place::of(tag),
            state: if pending {
                State::Pending
            } else {
                State::Settled
            },
        };
        if let Some(displaced) = self.point_to(&entry, Some(number)) {
            entry.displaced = u32::try_from(number - displaced).unwrap_or_default();
        }
        self.ring.push_back(entry);
        self.live += 1;
        // Forgotten entries in the middle keep their place, so the ring is bounded by its length as well.
        while self.live > self.capacity || self.ring.len() > self.capacity * 2 {
            self.evict_oldest();
        }
        EntryId(number)
    }

    /// The append succeeded.
    pub fn settle(&mut self, entry: EntryId) {
        if let Some(entry) = self.entry_mut(entry.0)
            && entry.state == State::Pending
        {
            entry.state = State::Settled;
        }
    }

    /// The append failed: as if it had never come; the installation's latest delivery is again the one before.
    pub fn forget(&mut self, entry: EntryId) {
        let number = entry.0;
        let Some(entry) = self
            .entry_mut(number)
            .filter(|e| e.state != State::Forgotten)
        else {
            return;
        };
        entry.state = State::Forgotten;
        self.live -= 1;
        let uncovered = self.displaced_by(number);
        if let Some(entry) = self.entry(number).copied()
            && self.pointed_to(&entry) == Some(number)
        {
            self.point_to(&entry, uncovered);
        }
        while self
            .ring
            .back()
            .is_some_and(|last| last.state == State::Forgotten)
        {
            self.ring.pop_back();
        }
    }

    /// How many deliveries it remembers.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether it remembers none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number that the next entry gets.
    fn end(&self) -> u64 {
        self.base + self.ring.len() as u64
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.ring.get(index)
    }

    fn entry_mut(&mut self, number: u64) -> Option<&mut Entry> {
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.ring.get_mut(index)
    }

    /// The nearest entry that is still remembered among those that `number` displaced, directly or not.
    fn displaced_by(&self, mut number: u64) -> Option<u64> {
        loop {
            let back = self.entry(number)?.displaced;
            if back == 0 {
                return None;
            }
            number = number.checked_sub(u64::from(back))?;
            if self.entry(number)?.state != State::Forgotten {
                return Some(number);
            }
        }
    }

    fn pointed_to(&self, entry: &Entry) -> Option<u64> {
        match entry.place {
            Place::Transactions => self.transactions.get(&entry.fingerprint).copied(),
            Place::Latest => self.latest.get(&entry.installation).copied(),
            Place::Nowhere => None,
        }
    }

    /// Lets the entry's map point to `number`, or to nothing, and returns where it pointed before.
    fn point_to(&mut self, entry: &Entry, number: Option<u64>) -> Option<u64> {
        match (entry.place, number) {
            (Place::Transactions, Some(number)) => {
                self.transactions.insert(entry.fingerprint, number)
            }
            (Place::Transactions, None) => self.transactions.remove(&entry.fingerprint),
            (Place::Latest, Some(number)) => self.latest.insert(entry.installation, number),
            (Place::Latest, None) => self.latest.remove(&entry.installation),
            (Place::Nowhere, _) => None,
        }
    }

    fn evict_oldest(&mut self) {
        let Some(oldest) = self.ring.pop_front() else {
            return;
        };
        if self.pointed_to(&oldest) == Some(self.base) {
            self.point_to(&oldest, None);
        }
        self.base += 1;
        if oldest.state != State::Forgotten {
            self.live -= 1;
        }
    }
}

impl Place {
    fn of(tag: &Tag) -> Self {
        match (tag.kind, tag.installation) {
            (Some(kind), _) if EventKind::is_transaction(kind) => Self::Transactions,
            (_, Some(_)) => Self::Latest,
            (_, None) => Self::Nowhere,
        }
    }
}

/// Folds the app into the fingerprint: two apps' equal deliveries differ, and 128 bits stay 128 bits.
fn of_app(tag: &Tag) -> ShortFingerprint {
    (u128::from_le_bytes(tag.fingerprint) ^ u128::from(tag.app)).to_le_bytes()
}

/// Folds the app into the installation's hash; the odd factor (2⁶⁴ ÷ golden ratio) spreads it over all bits.
fn installation_of_app(tag: &Tag) -> Option<u64> {
    let app = u64::from(tag.app).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    tag.installation.map(|installation| installation ^ app)
}

#[cfg(test)]
mod tests;
