//! The window of deliveries between the cursor and the newest one read: from outcomes in any order to a cursor that moves in
//! order. Pure.
//!
//! Guarantees: the cursor passes a delivery only when it, and everything before it, has an outcome. The window is bounded in
//! records, counted from the **durable** cursor, so that a crash repeats at most one window; and in bytes. Going back forgets
//! nothing that was acknowledged: those are skipped on the way forward, which repeats less and keeps the order, since what was
//! acknowledged on a partition precedes all of it that was not.
use crate::domain::delivery::Millis;
use crate::domain::event::EventKind;
use crate::domain::reasons::QuarantineReason;
use crate::journal::{Progress, Sequence};
use std::collections::VecDeque;

/// What is remembered of a delivery while it is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// When it was accepted.
    pub accepted_at: Millis,
    pub timestamp: Millis,
    /// The kind of event of a main record.
    pub kind: Option<EventKind>,
    /// Why it goes to quarantine, if it does.
    pub quarantined: Option<QuarantineReason>,
    /// Which topic it was sent to: a number of the publisher's own table.
    pub topic: usize,
    /// What it takes of the producer's memory.
    pub bytes: usize,
    /// An earlier producer had it too.
    pub again: bool,
}

/// How a delivery is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Acknowledged on its main topic.
    Published,
    /// Acknowledged on the quarantine topic.
    Quarantined,
    Held,
    /// Lost to damage; `true` where a repair has written it off.
    Missing(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Never seen here.
    New,
    /// Sent once to a producer that has been discarded since.
    Unsent,
    /// With the present producer.
    Sent,
    /// It has its outcome.
    Done,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Unsent(Entry),
    Sent(Entry),
    Done(Done),
}

/// One delivery, or a run of missing ones.
#[derive(Debug, Clone, Copy)]
struct Slot {
    first: Sequence,
    last: Sequence,
    state: State,
}

#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Deliveries above the durable cursor.
    pub records: u64,
    /// Bytes handed to the producer and not acknowledged.
    pub bytes: usize,
}

#[derive(Debug)]
pub struct InFlight {
    slots: VecDeque<Slot>,
    progress: Progress,
    durable: Sequence,
    bounds: Bounds,
    sent: usize,
    bytes: usize,
}

impl InFlight {
    /// An empty window above `progress`, of which everything up to `durable` is on stable storage.
    pub fn new(progress: Progress, durable: Sequence, bounds: Bounds) -> Self {
        Self {
            slots: VecDeque::new(),
            progress,
            durable,
            bounds,
            sent: 0,
            bytes: 0,
        }
    }

    /// Everything up to `progress().sequence` has an outcome.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The cursor is on stable storage up to here.
    pub fn saved(&mut self, durable: Sequence) {
        self.durable = self.durable.max(durable);
    }

    /// How far the cursor is ahead of what is known to be durable.
    pub fn unsaved(&self) -> u64 {
        self.progress.sequence.saturating_sub(self.durable)
    }

    /// Whether `sequence` may be read and sent now.
    pub fn has_room(&self, sequence: Sequence) -> bool {
        // Whatever the bounds, one delivery must be able to pass.
        let records = sequence.saturating_sub(self.durable) <= self.bounds.records.max(1);
        let bytes = self.bytes < self.bounds.bytes || self.sent == 0;
        records && bytes
    }

    /// How many are with the producer.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// The last delivery that is with the producer, and what all that are weigh.
    pub fn extent(&self) -> (Sequence, usize) {
        let sent = |slot: &&Slot| matches!(slot.state, State::Sent(_));
        let last = self.slots.iter().rev().find(sent);
        (
            last.map_or(self.progress.sequence, |slot| slot.last),
            self.bytes,
        )
    }

    /// Whether nothing above the cursor is known.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// When the oldest delivery without outcome was accepted.
    pub fn oldest(&self) -> Option<Millis> {
        self.slots.iter().find_map(|slot| match slot.state {
            State::Unsent(entry) | State::Sent(entry) => Some(entry.accepted_at),
            State::Done(_) => None,
        })
    }

    /// The topics of what is with the producer (numbers of the publisher's table), each once.
    pub fn topics(&self) -> Vec<usize> {
        let mut topics: Vec<usize> = self
            .slots
            .iter()
            .filter_map(|slot| match slot.state {
                State::Sent(entry) => Some(entry.topic),
                _ => None,
            })
            .collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    pub fn standing(&self, sequence: Sequence) -> Standing {
        if sequence <= self.progress.sequence {
            return Standing::Done;
        }
        match self.find(sequence).map(|slot| slot.state) {
            None => Standing::New,
            Some(State::Unsent(_)) => Standing::Unsent,
            Some(State::Sent(_)) => Standing::Sent,
            Some(State::Done(_)) => Standing::Done,
        }
    }

    /// A delivery was handed to the producer.
    pub fn send(&mut self, sequence: Sequence, entry: Entry) {
        self.put(sequence, sequence, State::Sent(entry));
        self.sent += 1;
        self.bytes += entry.bytes;
    }

    /// What is with the producer under this sequence.
    pub fn entry(&self, sequence: Sequence) -> Option<Entry> {
        match self.find(sequence)?.state {
            State::Sent(entry) => Some(entry),
            _ => None,
        }
    }

    /// A delivery has its outcome. Repeats, and sequences unknown here, change nothing.
    pub fn settle(&mut self, sequence: Sequence, done: Done) {
        if sequence <= self.progress.sequence {
            return;
        }
        match self.find(sequence).map(|slot| slot.state) {
            Some(State::Sent(entry)) => {
                self.sent = self.sent.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(entry.bytes);
            }
            Some(State::Done(_)) => return,
            Some(State::Unsent(_)) | None => {}
        }
        self.put(sequence, sequence, State::Done(done));
    }

    /// Sequences that are lost: passed without being counted, or counted as written off. Those that have their outcome keep it,
    /// those with the producer will get theirs. How many were not known to be lost before.
    pub fn skip(&mut self, from: Sequence, to: Sequence, written_off: bool) -> u64 {
        let missing = State::Done(Done::Missing(written_off));
        let mut next = from.max(self.progress.sequence + 1);
        let mut passed = 0;
        while next <= to {
            let at = self.position(next);
            let last = match self.slots.get_mut(at) {
                Some(slot) if slot.first <= next => {
                    if matches!(slot.state, State::Unsent(_)) {
                        slot.state = missing;
                        passed += 1;
                    }
                    slot.last
                }
                behind => {
                    let last = behind.map_or(to, |slot| to.min(slot.first - 1));
                    let slot = Slot {
                        first: next,
                        last,
                        state: missing,
                    };
                    self.slots.insert(at, slot);
                    passed += last - next + 1;
                    last
                }
            };
            next = last.saturating_add(1);
        }
        passed
    }

    /// Moves the cursor over what is done with at the front; says whether it moved.
    pub fn advance(&mut self) -> bool {
        let mut moved = false;
        while let Some(Slot {
            last,
            first,
            state: State::Done(done),
        }) = self.slots.front().copied()
        {
            if first != self.progress.sequence + 1 {
                break;
            }
            self.slots.pop_front();
            let count = last - first + 1;
            match done {
                Done::Published => self.progress.published += count,
                Done::Quarantined => self.progress.quarantined += count,
                Done::Held => self.progress.held += count,
                Done::Missing(true) => self.progress.written_off += count,
                Done::Missing(false) => {}
            }
            self.progress.sequence = last;
            moved = true;
        }
        moved
    }

    /// The producer is gone: what it had is to be sent again, in order, by the next.
    pub fn go_back(&mut self) {
        for slot in &mut self.slots {
            if let State::Sent(entry) = slot.state {
                slot.state = State::Unsent(entry);
            }
        }
        self.sent = 0;
        self.bytes = 0;
    }

    /// Of the slot that holds `sequence`, or would come behind it.
    fn position(&self, sequence: Sequence) -> usize {
        if self.slots.back().is_none_or(|slot| slot.last < sequence) {
            return self.slots.len();
        }
        // Where nothing is missing, each slot holds one delivery.
        let base = self.progress.sequence + 1;
        if let Some(index) = sequence.checked_sub(base)
            && let Ok(index) = usize::try_from(index)
            && let Some(slot) = self.slots.get(index)
            && (slot.first, slot.last) == (sequence, sequence)
        {
            return index;
        }
        self.slots.partition_point(|slot| slot.last < sequence)
    }

    fn find(&self, sequence: Sequence) -> Option<&Slot> {
        self.slots
            .get(self.position(sequence))
            .filter(|slot| slot.first <= sequence)
    }

    fn put(&mut self, first: Sequence, last: Sequence, state: State) {
        let at = self.position(first);
        match self.slots.get_mut(at) {
            Some(slot) if slot.first == first && slot.last == last => slot.state = state,
            _ => self.slots.insert(at, Slot { first, last, state }),
        }
    }
}

#[cfg(test)]
mod tests;
