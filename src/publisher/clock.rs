//! Our clock against the brokers': they refuse records from their future (`message.timestamp.after.max.ms`, an hour by default).
//!
//! A record is stamped with min(acceptance, now), so a refusal for its timestamp means that our clock is ahead, or that the record is older than the
//! topic allows (`message.timestamp.before.max.ms`, without limit by default). Nobody tells by how much, or which: so the clock is suspected first, and
//! records are stamped earlier, by an hour, two, four and so on, until they are taken. Where even years do not help it is not the clock.
use crate::domain::delivery::Millis;
use std::time::{Duration, Instant};

/// The first guess. Less is not refused, by default.
const FIRST: u64 = 3_600_000;
/// Some four years: beyond that it is not the clock.
const MOST: u64 = FIRST << 15;
/// How long what was found out is believed: somebody may set the clock right, or wrong.
const BELIEVED: Duration = Duration::from_secs(600);

/// What is known of our clock.
#[derive(Default)]
pub(super) struct Clock {
    /// It is taken to be so many milliseconds ahead.
    ahead: u64,
    /// It was found not to be the cause.
    acquitted: bool,
    since: Option<Instant>,
}

impl Clock {
    /// The latest time that brokers are thought to take.
    pub(super) fn latest(&mut self, now: Millis) -> Millis {
        if self.since.is_some_and(|since| since.elapsed() > BELIEVED) {
            *self = Self::default();
        }
        Millis(now.0.saturating_sub(self.ahead))
    }

    /// Whether a refused timestamp is blamed on it.
    pub(super) fn is_suspected(&self) -> bool {
        !self.acquitted
    }

    /// A record was refused for its timestamp: from now on earlier ones, or the clock is acquitted.
    pub(super) fn blame(&mut self) {
        let ahead = (self.ahead * 2).max(FIRST);
        *self = Self {
            ahead: if ahead > MOST { 0 } else { ahead },
            acquitted: ahead > MOST,
            since: Some(Instant::now()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn stamps_go_back_by_an_hour_and_then_twice_as_far_each_time() {
        let mut clock = Clock::default();
        let now = Millis(1000 * HOUR);
        assert_eq!(clock.latest(now), now);
        let back: Vec<_> = (0..4)
            .map(|_| {
                clock.blame();
                (now.0 - clock.latest(now).0) / HOUR
            })
            .collect();
        assert_eq!(back, [1, 2, 4, 8]);
    }

    #[test]
    fn it_is_acquitted_when_nothing_helps_and_stamps_are_true_again() {
        let mut clock = Clock::default();
        let blamed = (1..100).find(|_| {
            clock.blame();
            !clock.is_suspected()
        });
        assert_eq!(blamed, Some(17));
        assert_eq!(clock.latest(Millis(HOUR)), Millis(HOUR));
    }
}
