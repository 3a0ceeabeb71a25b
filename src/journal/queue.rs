//! Where appends wait for the writer: bounded, and cheap to enter.
use super::{Append, AppendError};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// A batch of so many, and the next one is gathered for.
const MANY: usize = 16;

/// How long it is gathered for, at most: some syncs of a fast disk, and less than one of a slow one.
const GATHER: Duration = Duration::from_micros(300);

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
    /// How many were taken last.
    last: usize,
    /// The writer sleeps.
    idle: bool,
    /// The writer gathers, and is to be woken when so many wait.
    wanted: Option<usize>,
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
        let waiting = state.waiting.len();
        let enough = state.wanted.take_if(|wanted| waiting >= *wanted).is_some();
        if std::mem::take(&mut state.idle) || enough {
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
                self.gather(&mut state);
                std::mem::swap(&mut state.waiting, batch);
                state.taken = batch.len();
                state.last = batch.len();
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

    /// Under load, waits a little for more: a sync costs the same for many, and so does the waking of those who wait for it.
    fn gather(&self, state: &mut MutexGuard<'_, State>) {
        state.wanted = wanted(state.last, state.waiting.len());
        if state.wanted.is_some() && !state.closed {
            self.filled.wait_for(state, GATHER);
        }
        state.wanted = None;
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

/// How many are worth waiting for, when `last` were taken last and fewer than that wait now: somewhat more, so that batches grow for as
/// long as there are more to come. Nothing where few come: they would wait for nobody.
fn wanted(last: usize, waiting: usize) -> Option<usize> {
    let wanted = last + last / 4;
    (last >= MANY && waiting < wanted).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append() -> Append {
        Append {
            bytes: Vec::new(),
            tag_length: 0,
            done: Box::new(|_| {}),
        }
    }

    #[test]
    fn nobody_waits_for_others_where_few_come() {
        for last in 0..MANY {
            for waiting in 1..=last.max(1) {
                assert_eq!(wanted(last, waiting), None, "{last} {waiting}");
            }
        }
    }

    #[test]
    fn under_load_a_batch_is_gathered_until_it_is_larger_than_the_last_one() {
        assert_eq!(wanted(MANY, 1), Some(20));
        assert_eq!(wanted(MANY, 19), Some(20));
        assert_eq!(wanted(MANY, 20), None);
        assert_eq!(wanted(100, 124), Some(125));
    }

    #[test]
    fn gathering_ends_though_nobody_comes() {
        let (queue, mut batch) = (Queue::new(100), Vec::new());
        (0..MANY).for_each(|_| queue.push(append()).unwrap());
        assert_eq!(queue.take(&mut batch), Wake::Appends);
        assert_eq!(batch.len(), MANY);
        batch.clear();
        queue.left(0);
        queue.push(append()).unwrap();
        assert_eq!(queue.take(&mut batch), Wake::Appends);
        assert_eq!(batch.len(), 1);
    }
}
