//! Where appends wait for the writer: bounded, and cheap to enter.
use super::{Append, AppendError};
use parking_lot::{Condvar, Mutex};

/// The queue between callers and the writer thread.
pub(super) struct Queue {
    limit: usize,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Append>,
    /// Taken by the writer, but not yet part of a group.
    taken: usize,
    /// The writer sleeps.
    idle: bool,
    /// The writer should look whether it can open a segment, though nothing waits.
    poked: bool,
    /// The writer should go on in a fresh segment.
    rolled: bool,
    closed: bool,
}

/// What the writer wakes up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    /// Appends were taken.
    Appends,
    /// Nothing waits, but somebody wants to know whether a segment can be opened.
    Poke,
    /// The segment at hand has become old.
    Roll,
    /// The queue is closed and empty.
    Closed,
}

impl Queue {
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            state: Mutex::default(),
            filled: Condvar::new(),
        }
    }

    /// Adds an append, or refuses it at once.
    pub fn push(&self, append: Append) -> Result<(), AppendError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(AppendError::Closed);
        }
        if state.waiting.len() + state.taken >= self.limit {
            return Err(AppendError::QueueFull);
        }
        state.waiting.push(append);
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Moves everything that waits into `batch` (which is empty), sleeping until there is something.
    pub fn take(&self, batch: &mut Vec<Append>) -> Wake {
        let mut state = self.state.lock();
        loop {
            if !state.waiting.is_empty() {
                std::mem::swap(&mut state.waiting, batch);
                state.taken = batch.len();
                return Wake::Appends;
            }
            if state.closed {
                return Wake::Closed;
            }
            if std::mem::take(&mut state.poked) {
                return Wake::Poke;
            }
            if std::mem::take(&mut state.rolled) {
                return Wake::Roll;
            }
            state.idle = true;
            self.filled.wait(&mut state);
        }
    }

    /// How many of those taken still wait for a group.
    pub fn left(&self, taken: usize) {
        self.state.lock().taken = taken;
    }

    /// Wakes the writer for [`Wake::Poke`].
    pub fn poke(&self) {
        self.state.lock().poked = true;
        self.filled.notify_one();
    }

    /// Wakes the writer for [`Wake::Roll`], once nothing waits.
    pub fn roll(&self) {
        self.state.lock().rolled = true;
        self.filled.notify_one();
    }

    /// Takes no more; the writer finishes what waits.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
    }

    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}
