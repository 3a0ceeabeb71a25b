//! Long work that somebody waits for: it says how far it is, and hears that it should end.

use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Progress is passed on once in so long; more would only be overwritten.
const SPEAK_EVERY: Duration = Duration::from_millis(200);

/// How far work is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// So many are done.
    pub done: u64,
    /// Of so many; `None` while that is not known.
    pub total: Option<u64>,
    /// What it waits for, if it does, in a sentence for the user.
    pub note: Option<String>,
}

/// Why work should end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Whoever asked for it has cancelled it, or is gone.
    Cancelled,
    /// The bridge is shutting down.
    Leaving,
}

/// Tells work to end. Clones are the same.
#[derive(Clone, Default)]
pub struct Stopper(Arc<(Mutex<Option<Stop>>, Condvar)>);

impl Stopper {
    /// Asks for the end; the first reason counts.
    pub fn stop(&self, why: Stop) {
        let (asked, changed) = &*self.0;
        asked.lock().get_or_insert(why);
        changed.notify_all();
    }

    /// Whether, and why, to end.
    pub fn asked(&self) -> Option<Stop> {
        *self.0.0.lock()
    }

    /// Sleeps for `limit`, or until the end is asked for.
    pub fn pause(&self, limit: Duration) -> Option<Stop> {
        let (asked, changed) = &*self.0;
        let mut asked = asked.lock();
        let until = Instant::now() + limit;
        while asked.is_none() && !changed.wait_until(&mut asked, until).timed_out() {}
        *asked
    }
}

/// Where progress goes.
pub type Listener = Box<dyn FnMut(Progress) + Send>;

/// Work under way.
pub struct Work {
    stopper: Stopper,
    listener: Listener,
    spoken: Option<(Instant, Option<String>)>,
}

impl Work {
    /// Work that `stopper` can end, and whose progress `listener` hears.
    pub fn new(stopper: Stopper, listener: Listener) -> Self {
        Self {
            stopper,
            listener,
            spoken: None,
        }
    }

    /// Says how far it is: as often as it likes, it is passed on a few times a second, and at once when the note changes.
    pub fn progress(&mut self, done: u64, total: Option<u64>, note: Option<&str>) {
        let now = Instant::now();
        if let Some((at, last)) = &self.spoken
            && now.duration_since(*at) < SPEAK_EVERY
            && last.as_deref() == note
        {
            return;
        }
        let note = note.map(str::to_owned);
        self.spoken = Some((now, note.clone()));
        (self.listener)(Progress { done, total, note });
    }

    /// What ends it.
    pub fn stopper(&self) -> &Stopper {
        &self.stopper
    }

    /// Whether, and why, to end.
    pub fn stop(&self) -> Option<Stop> {
        self.stopper.asked()
    }

    /// Sleeps for `limit`, or until the end is asked for.
    pub fn pause(&self, limit: Duration) -> Option<Stop> {
        self.stopper.pause(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_when_the_end_is_asked_for_and_the_first_reason_counts() {
        let stopper = Stopper::default();
        assert_eq!(stopper.pause(Duration::from_millis(1)), None);
        let other = stopper.clone();
        let thread = std::thread::spawn(move || other.stop(Stop::Leaving));
        let started = Instant::now();
        assert_eq!(stopper.pause(Duration::from_secs(20)), Some(Stop::Leaving));
        assert!(started.elapsed() < Duration::from_secs(10));
        thread.join().unwrap();
        stopper.stop(Stop::Cancelled);
        assert_eq!(stopper.asked(), Some(Stop::Leaving));
    }

    #[test]
    fn progress_is_passed_on_once_in_a_while_and_a_new_note_at_once() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        let mut work = Work::new(
            Stopper::default(),
            Box::new(move |progress| ears.lock().push(progress)),
        );
        work.progress(1, None, None);
        work.progress(2, None, None);
        work.progress(3, None, Some("waits"));
        work.progress(4, None, Some("waits"));
        let done: Vec<u64> = heard.lock().iter().map(|progress| progress.done).collect();
        assert_eq!(done, [1, 3]);
    }
}
