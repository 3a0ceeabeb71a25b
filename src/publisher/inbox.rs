//! Where delivery reports land, and where the publisher's thread sleeps.
//!
//! The thread waits for two things at once: records from the journal and reports from Kafka. It sleeps either here (it may not
//! read on) or in the journal's reader (it has nothing to read); whoever brings news wakes it where it sleeps. News that comes
//! while it is awake costs one uncontended lock and no wake.
use super::code::Code;
use crate::domain::delivery::Millis;
use crate::journal::Sequence;
use crate::journal::reader::Waker;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What Kafka said of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Which producer had it; reports of a producer that is gone are of no interest.
    pub epoch: u64,
    /// The delivery.
    pub sequence: Sequence,
    /// When the report came.
    pub at: Millis,
    /// Partition and offset, or why not.
    pub result: Result<(i32, i64), Code>,
    /// The broker that was asked; negative where none was.
    pub broker: i32,
}

enum Asleep {
    No,
    Here,
    InReader(Waker),
}

struct State {
    reports: Vec<Report>,
    asleep: Asleep,
    nudged: bool,
}

/// The inbox; shared by the publisher's thread and librdkafka's.
pub struct Inbox {
    state: Mutex<State>,
    arrived: Condvar,
    /// Whether `state` holds news: lets the hot path look without locking.
    news: AtomicBool,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                reports: Vec::new(),
                asleep: Asleep::No,
                nudged: false,
            }),
            arrived: Condvar::new(),
            news: AtomicBool::new(false),
        }
    }
}

impl Inbox {
    pub fn report(&self, report: Report) {
        self.tell(|state| state.reports.push(report));
    }

    /// Wakes the thread without a report: to stop, or to look at something else.
    pub fn nudge(&self) {
        self.tell(|state| state.nudged = true);
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        self.news.store(true, Ordering::Release);
        match std::mem::replace(&mut state.asleep, Asleep::No) {
            Asleep::No => {}
            Asleep::Here => {
                self.arrived.notify_one();
            }
            Asleep::InReader(waker) => {
                drop(state);
                waker.wake();
            }
        }
    }

    /// Moves all reports to `into`, in the order of their arrival.
    pub fn take(&self, into: &mut Vec<Report>) {
        if self.news.load(Ordering::Acquire) {
            let mut state = self.state.lock();
            into.append(&mut state.reports);
            state.nudged = false;
            self.news.store(false, Ordering::Release);
        }
    }

    /// Sleeps until there is news, at most `limit`.
    pub fn wait(&self, limit: Duration) {
        let mut state = self.state.lock();
        if state.reports.is_empty() && !state.nudged {
            state.asleep = Asleep::Here;
            self.arrived.wait_for(&mut state, limit);
        }
        state.asleep = Asleep::No;
    }

    /// The thread is about to sleep in the reader that `waker` wakes. `false`: there is news already, do not sleep.
    pub fn sleep_in_reader(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if !state.reports.is_empty() || state.nudged {
            return false;
        }
        state.asleep = Asleep::InReader(waker.clone());
        true
    }

    /// The thread is awake again.
    pub fn awake(&self) {
        self.state.lock().asleep = Asleep::No;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn a_report_ends_the_wait_and_none_is_lost() {
        let inbox = Arc::new(Inbox::default());
        let other = Arc::clone(&inbox);
        let thread = std::thread::spawn(move || {
            for sequence in 1..=1000 {
                other.report(Report {
                    epoch: 1,
                    sequence,
                    at: Millis(0),
                    result: Ok((0, 0)),
                    broker: 0,
                });
            }
        });
        let mut reports = Vec::new();
        let started = Instant::now();
        while reports.len() < 1000 && started.elapsed() < Duration::from_secs(20) {
            inbox.wait(Duration::from_secs(10));
            inbox.take(&mut reports);
        }
        thread.join().unwrap();
        assert!(reports.iter().map(|r| r.sequence).eq(1..=1000));
    }

    #[test]
    fn a_nudge_before_the_wait_is_not_slept_through() {
        let inbox = Inbox::default();
        inbox.nudge();
        let started = Instant::now();
        inbox.wait(Duration::from_secs(20));
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
