//! Where deliveries wait for the ring's thread: bounded in bytes, entered without waiting.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What may wait, in bytes: some thousands of ordinary size, for the moment in which a rotation brings many at once.
const MOST: usize = 8 << 20;

/// What of it may be strangers, so that a flood of them does not keep the others out.
const MOST_STRANGERS: usize = MOST / 2;

/// What a waiting delivery takes beside its body.
const OVERHEAD: usize = 512;

/// The queue between the ingress and the ring's thread.
pub(super) struct Queue<T> {
    /// Bytes of what waits, is about to be added, or was taken and is not dealt with yet.
    bytes: AtomicUsize,
    state: Mutex<State<T>>,
    filled: Condvar,
    dealt_with: Condvar,
}

struct State<T> {
    waiting: VecDeque<(T, usize)>,
    /// How many were ever added, and how many of them are dealt with. The ring's opening counts as the first.
    added: u64,
    done: u64,
    idle: bool,
    closed: bool,
    /// Nothing can be dealt with at present: nobody is to wait for it.
    stuck: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                added: 1,
                done: 0,
                idle: false,
                closed: false,
                stuck: false,
            }),
            filled: Condvar::new(),
            dealt_with: Condvar::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Adds what `make` makes, of about so many bytes; false, and nothing made, where there is no room.
    pub(super) fn add(&self, bytes: usize, familiar: bool, make: impl FnOnce() -> T) -> bool {
        let bytes = bytes.saturating_add(OVERHEAD);
        let most = if familiar { MOST } else { MOST_STRANGERS };
        let room = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= most);
        let reserved = self
            .bytes
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, room);
        if reserved.is_err() {
            return false;
        }
        let item = make();
        let mut state = self.state.lock();
        if state.closed {
            self.bytes.fetch_sub(bytes, Ordering::AcqRel);
            return false;
        }
        state.added += 1;
        state.waiting.push_back((item, bytes));
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.filled.notify_one();
        }
        true
    }

    /// Takes up to `most`, waiting for the first at most so long; false once the queue is closed and empty.
    pub(super) fn take(&self, batch: &mut Vec<(T, usize)>, most: usize, wait: Duration) -> bool {
        let mut state = self.state.lock();
        if state.waiting.is_empty() && !state.closed {
            state.idle = true;
            self.filled.wait_for(&mut state, wait);
            state.idle = false;
        }
        let count = state.waiting.len().min(most);
        batch.extend(state.waiting.drain(..count));
        !(batch.is_empty() && state.closed)
    }

    /// Waits so long, or until it is closed; whether it is.
    pub(super) fn wait_closed(&self, wait: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.closed {
            self.filled.wait_for(&mut state, wait);
        }
        state.closed
    }

    /// So many that were taken, of so many bytes, are dealt with.
    pub(super) fn done(&self, count: usize, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        let mut state = self.state.lock();
        state.done += count as u64;
        self.dealt_with.notify_all();
    }

    /// Whether nothing can be dealt with for the time being.
    pub(super) fn set_stuck(&self, stuck: bool) {
        self.state.lock().stuck = stuck;
        self.dealt_with.notify_all();
    }

    /// Waits until the ring is open and all that was added so far is dealt with; false where that is not to be expected.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.state.lock();
        let target = state.added;
        while state.done < target {
            if state.stuck {
                return false;
            }
            self.dealt_with.wait(&mut state);
        }
        true
    }

    /// Takes no more; what waits is still dealt with.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_fill_half_of_it_and_nothing_is_made_for_those_that_find_no_room() {
        let queue = Queue::default();
        let bytes = MOST / 8 - OVERHEAD;
        let add = |familiar| queue.add(bytes, familiar, || ());
        assert_eq!((0..8).filter(|_| add(false)).count(), 4);
        assert_eq!((0..8).filter(|_| add(true)).count(), 4);
        assert!(!queue.add(bytes, true, || unreachable!("there is no room")));
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch, 3, Duration::ZERO));
        assert!(!add(true), "taken, and not dealt with");
        queue.done(3, batch.iter().map(|(_, bytes)| bytes).sum());
        assert!(add(true));
    }

    #[test]
    fn closed_it_takes_no_more_and_gives_out_what_waits() {
        let queue = Queue::default();
        assert!(queue.add(1, true, || 7));
        queue.close();
        assert!(!queue.add(1, true, || 8));
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch, 10, Duration::ZERO));
        assert_eq!(batch.first().map(|(item, _)| *item), Some(7));
        assert!(!queue.take(&mut Vec::new(), 10, Duration::ZERO));
    }

    #[test]
    fn a_flush_waits_for_what_was_added_unless_the_thread_is_stuck() {
        let queue = Queue::default();
        queue.set_stuck(true);
        assert!(!queue.flush(), "it is not open");
        queue.done(1, 0);
        assert!(queue.flush(), "nothing was added");
        queue.add(1, true, || ());
        assert!(!queue.flush());
        queue.set_stuck(false);
        std::thread::scope(|scope| {
            let flush = scope.spawn(|| queue.flush());
            let mut batch = Vec::new();
            queue.take(&mut batch, 1, Duration::ZERO);
            queue.done(1, 1 + OVERHEAD);
            assert!(flush.join().unwrap());
        });
    }
}
