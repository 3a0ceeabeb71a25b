//! One log line for many alike: the first at once, then one every ten seconds that says how many there were.
//!
//! Costs an atomic addition where nothing is logged, so that a flood of forgeries stays cheap.

use crate::domain::reasons::{Refusal, Rejection};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Between two lines about the same.
const EVERY_SECONDS: u64 = 10;

/// Log lines about deliveries that were turned away or could not be stored.
pub(super) struct Notices {
    started: Instant,
    rejected: Vec<Kind>,
    refused: Vec<Kind>,
}

#[derive(Default)]
struct Kind {
    /// Since the last line.
    count: AtomicU64,
    /// Second, since the start, from which the next line may be written.
    due: AtomicU64,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            rejected: Rejection::ALL.iter().map(|_| Kind::default()).collect(),
            refused: Refusal::ALL.iter().map(|_| Kind::default()).collect(),
        }
    }
}

impl Notices {
    /// A delivery for `app` was turned away.
    pub(super) fn rejected(&self, app: &str, reason: Rejection) {
        if let Some(count) = self.line(self.rejected.get(reason as usize)) {
            tracing::warn!(app, %reason, count, "app {app}: rejected: {reason} ({count} since the last such line)");
        }
    }

    /// A proven delivery for `app` could not be stored: ICR will not send it again.
    pub(super) fn refused(&self, app: &str, reason: Refusal) {
        if let Some(count) = self.line(self.refused.get(reason as usize)) {
            tracing::error!(
                app,
                %reason,
                count,
                "app {app}: proven and refused with 503: {reason} ({count} since the last such line); ICR will not send them again"
            );
        }
    }

    /// How many to speak of, if it is time to speak.
    fn line(&self, kind: Option<&Kind>) -> Option<u64> {
        let kind = kind?;
        kind.count.fetch_add(1, Ordering::Relaxed);
        let now = self.started.elapsed().as_secs();
        let due = kind.due.load(Ordering::Relaxed);
        let mine = now >= due
            && kind
                .due
                .compare_exchange(
                    due,
                    now + EVERY_SECONDS,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        mine.then(|| kind.count.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_alike_only_the_first_is_told_at_once() {
        let notices = Notices::default();
        assert_eq!(notices.line(notices.rejected.first()), Some(1));
        assert_eq!(notices.line(notices.rejected.first()), None);
        assert_eq!(notices.line(notices.refused.first()), Some(1));
    }
}
