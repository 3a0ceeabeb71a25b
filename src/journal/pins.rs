//! Keeps retention from what somebody has still to read.
//!
//! A pin holds back deletion by age and by size. It does **not** hold back the making of room on a full disk: deliveries that come are
//! promised a place, a reader is not. What a pin had to give up then it knows, so that its owner can say so.
use super::Sequence;
use super::catalog::Segment;
use super::core::Core;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pins of a journal.
#[derive(Default)]
pub(super) struct Pins(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    pins: BTreeMap<u64, Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// The first sequence that is still to be read.
    from: Sequence,
    /// So many from there on were deleted all the same.
    given_up: u64,
}

impl Pins {
    /// The first sequence that is to be kept; `None` where nothing is pinned.
    pub fn first(&self) -> Option<Sequence> {
        let state = self.0.lock();
        state.pins.values().map(|place| place.from).min()
    }

    /// A segment is deleted whoever wants it; whether somebody did.
    pub fn give_up(&self, segment: &Segment) -> bool {
        let mut wanted = false;
        for place in self.0.lock().pins.values_mut() {
            let from = place.from.max(segment.header.base);
            if segment.last >= from {
                place.given_up += segment.last - from + 1;
                wanted = true;
            }
        }
        wanted
    }
}

/// Keeps everything from a sequence on until it is dropped.
pub struct Pin {
    core: Arc<Core>,
    number: u64,
}

impl Pin {
    pub(super) fn new(core: Arc<Core>, from: Sequence) -> Self {
        let number = {
            let mut state = core.pins.0.lock();
            state.next += 1;
            let number = state.next;
            let place = Place { from, given_up: 0 };
            state.pins.insert(number, place);
            number
        };
        Self { core, number }
    }

    /// What comes before `from` is needed no more.
    pub fn advance(&self, from: Sequence) {
        if let Some(place) = self.core.pins.0.lock().pins.get_mut(&self.number) {
            place.from = place.from.max(from);
        }
    }

    /// How many sequences had to be given up on a full disk before they were needed no more: at most so many could not be read.
    pub fn given_up(&self) -> u64 {
        let state = self.core.pins.0.lock();
        state
            .pins
            .get(&self.number)
            .map_or(0, |place| place.given_up)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.core.pins.0.lock().pins.remove(&self.number);
    }
}
