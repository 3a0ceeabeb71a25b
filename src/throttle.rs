//! Keeps many events of one kind from flooding the log.
//!
//! **Guarantee.** The lines of a kind add up to its events: each event is counted in exactly one line. The first event is logged at once.
//! Those that follow within the interval are counted, and one line reports them when the interval is over: a timer writes it, so the end of
//! a burst does not wait for the next burst. What is still unreported when the throttle is flushed or dropped is reported then.
//!
//! An event that is not logged costs two atomic operations. The timer is a thread that lives only while an interval is open, so an idle
//! process has none. Where it cannot be started, the lines come with the next event of any kind, and at the end.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The interval between two lines about the same.
pub const EVERY: Duration = Duration::from_secs(10);

/// How many kinds that are known by a text are remembered. Beyond that the memory starts anew; what is unreported is reported all the same.
const TEXTS: usize = 1000;

/// Writes throttled lines. Dropped, it reports what it has held back.
pub struct Throttle {
    shared: Arc<Shared>,
    texts: Mutex<HashMap<String, Line>>,
}

/// A kind of event, and the line about it. Clones are handles to the same.
#[derive(Clone)]
pub struct Line {
    kind: Arc<Kind>,
    shared: Arc<Shared>,
}

struct Kind {
    /// Events that no line has reported.
    count: AtomicU64,
    /// Whether an interval is open: its end reports what comes until then.
    open: AtomicBool,
    say: Box<dyn Fn(u64) + Send + Sync>,
}

struct Shared {
    every: Duration,
    timer: Mutex<Timer>,
    closing: Condvar,
}

#[derive(Default)]
struct Timer {
    /// Open intervals with their ends, the earliest first.
    intervals: VecDeque<(Instant, Arc<Kind>)>,
    runs: bool,
    closed: bool,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new(EVERY)
    }
}

impl Throttle {
    /// At most one line of each kind in `every`.
    pub fn new(every: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                every,
                timer: Mutex::default(),
                closing: Condvar::new(),
            }),
            texts: Mutex::default(),
        }
    }

    /// A kind of event: `say` writes the line, and is told how many events it reports.
    pub fn line(&self, say: impl Fn(u64) + Send + Sync + 'static) -> Line {
        Line {
            kind: Arc::new(Kind {
                count: AtomicU64::new(0),
                open: AtomicBool::new(false),
                say: Box::new(say),
            }),
            shared: Arc::clone(&self.shared),
        }
    }

    /// An event whose kind is its text. `say` writes the line.
    pub fn text(&self, text: &str, say: fn(text: &str, count: u64)) {
        let mut texts = self.texts.lock();
        if texts.len() >= TEXTS && !texts.contains_key(text) {
            texts.clear();
        }
        let line = texts.entry(text.to_owned()).or_insert_with(|| {
            let text = text.to_owned();
            self.line(move |count| say(&text, count))
        });
        let line = line.clone();
        drop(texts);
        line.event();
    }

    /// Reports what was held back so far.
    pub fn flush(&self) {
        let open: Vec<_> = {
            let timer = self.shared.timer.lock();
            let kinds = timer.intervals.iter().map(|(_, kind)| Arc::clone(kind));
            kinds.collect()
        };
        for kind in open {
            kind.report();
        }
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        let intervals = {
            let mut timer = self.shared.timer.lock();
            timer.closed = true;
            std::mem::take(&mut timer.intervals)
        };
        self.shared.closing.notify_all();
        intervals.iter().for_each(|(_, kind)| kind.close());
    }
}

impl Line {
    /// An event of this kind has happened.
    pub fn event(&self) {
        let kind = &self.kind;
        kind.count.fetch_add(1, Ordering::SeqCst);
        if kind.open.load(Ordering::SeqCst) || kind.open.swap(true, Ordering::SeqCst) {
            return;
        }
        kind.report();
        Shared::open(&self.shared, kind);
    }
}

impl Kind {
    /// Writes a line where there is something to report.
    fn report(&self) -> bool {
        let count = self.count.swap(0, Ordering::SeqCst);
        if count > 0 {
            (self.say)(count);
        }
        count > 0
    }

    /// No interval begins any more: from now on every event has a line of its own.
    fn close(&self) {
        self.open.store(false, Ordering::SeqCst);
        self.report();
    }

    /// At the end of an interval: whether another one begins.
    fn end(&self) -> bool {
        if self.report() {
            return true;
        }
        self.open.store(false, Ordering::SeqCst);
        // An event in between has seen an open interval and relies on this.
        self.count.load(Ordering::SeqCst) > 0 && !self.open.swap(true, Ordering::SeqCst) && {
            self.report();
            true
        }
    }
}

impl Shared {
    fn open(shared: &Arc<Self>, kind: &Arc<Kind>) {
        let mut timer = shared.timer.lock();
        if timer.closed {
            drop(timer);
            return kind.close();
        }
        let end = Instant::now() + shared.every;
        timer.intervals.push_back((end, Arc::clone(kind)));
        if !timer.runs {
            let thread = std::thread::Builder::new().name("log-throttle".to_owned());
            let shared = Arc::clone(shared);
            timer.runs = thread.spawn(move || shared.run()).is_ok();
        }
    }

    fn run(&self) {
        let mut timer = self.timer.lock();
        while !timer.closed {
            let Some((end, _)) = timer.intervals.front() else {
                break;
            };
            let end = *end;
            if Instant::now() < end {
                self.closing.wait_until(&mut timer, end);
                continue;
            }
            let Some((_, kind)) = timer.intervals.pop_front() else {
                break;
            };
            if !MutexGuard::unlocked(&mut timer, || kind.end()) {
                continue;
            }
            if timer.closed {
                kind.close();
            } else {
                timer.intervals.push_back((end + self.every, kind));
            }
        }
        timer.runs = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    const LONG: Duration = Duration::from_secs(3600);

    fn watched(throttle: &Throttle) -> (Line, Receiver<u64>) {
        let (send, said) = channel();
        let line = throttle.line(move |count| {
            let _ = send.send(count);
        });
        (line, said)
    }

    #[test]
    fn of_many_alike_only_the_first_is_logged_at_once_and_another_kind_is_not_held_back() {
        let throttle = Throttle::new(LONG);
        let (line, said) = watched(&throttle);
        let (other, said_other) = watched(&throttle);
        (0..100).for_each(|_| line.event());
        other.event();
        assert_eq!(said.try_iter().collect::<Vec<_>>(), [1]);
        assert_eq!(said_other.try_iter().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn the_end_of_a_burst_is_reported_without_another_event() {
        let throttle = Throttle::new(Duration::from_millis(20));
        let (line, said) = watched(&throttle);
        (0..456).for_each(|_| line.event());
        let mut sum = 0;
        while sum < 456 {
            // However busy the machine is.
            sum += said.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        assert_eq!(sum, 456);
    }

    #[test]
    fn what_is_held_back_is_reported_by_a_flush_and_at_the_end() {
        let throttle = Throttle::new(LONG);
        let (line, said) = watched(&throttle);
        (0..10).for_each(|_| line.event());
        throttle.flush();
        (0..5).for_each(|_| line.event());
        drop(throttle);
        line.event();
        assert_eq!(said.try_iter().collect::<Vec<_>>(), [1, 9, 5, 1]);
    }

    #[test]
    fn events_of_many_threads_are_each_reported_once() {
        let throttle = Throttle::new(Duration::from_micros(50));
        let (line, said) = watched(&throttle);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50_000).for_each(|_| line.event()));
            }
        });
        drop(throttle);
        drop(line);
        // Ends when the timer's thread has let go of the line.
        assert_eq!(said.iter().sum::<u64>(), 200_000);
    }

    #[test]
    fn a_text_is_a_kind_and_more_texts_than_are_remembered_lose_nothing() {
        static SAID: AtomicU64 = AtomicU64::new(0);
        let throttle = Throttle::new(LONG);
        let say = |_: &str, count| {
            SAID.fetch_add(count, Ordering::SeqCst);
        };
        for number in 0..=2 * TEXTS {
            throttle.text(&number.to_string(), say);
            throttle.text(&number.to_string(), say);
        }
        drop(throttle);
        assert_eq!(SAID.load(Ordering::SeqCst), 2 * (2 * TEXTS as u64 + 1));
    }
}
