//! When a secret file, or a certificate and its key, is read again, and what of it is worth telling. Pure: looks and the time are passed in.
//!
//! **Rules.**
//! - A file is due once it has been unchanged for [`SETTLED`] since the last look that differed, and not before: so one that is being
//!   written is not taken half. That holds for its absence too: a writer may delete it first.
//! - What was judged good is not read again before it changes. What was judged bad is tried again every [`SETTLED`]: what kept it
//!   from being read (no rights, no descriptors, an absent server) does not show in a look.
//! - A state that is bad is told once, however often it is tried; so is the end of it.

use super::file::{Look, SecretFileError};
use std::time::{Duration, Instant};

/// How long a file must have been unchanged. Long enough for a writer's pauses, short enough for a rotation to take effect within
/// seconds.
pub const SETTLED: Duration = Duration::from_secs(2);

/// What is remembered of a file, or of several that are read together: `L` is a look at all of them, `E` why they cannot be used.
#[derive(Debug)]
pub struct Rules<L = Look, E = SecretFileError> {
    /// The last look, and when it was first seen so.
    seen: Option<(L, Instant)>,
    judged: Option<Judged<L, E>>,
}

impl<L, E> Default for Rules<L, E> {
    fn default() -> Self {
        Self {
            seen: None,
            judged: None,
        }
    }
}

/// The outcome of the last reading.
#[derive(Debug)]
struct Judged<L, E> {
    look: L,
    at: Instant,
    trouble: Option<E>,
}

/// What came of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News<E = SecretFileError> {
    /// Nothing that was not known.
    None,
    /// It cannot be used; the last good secrets stay.
    Failed(E),
    /// It can be used again, and holds the secrets that are in force.
    Recovered,
    /// It holds other secrets than those in force.
    Changed {
        /// Whether it could not be used before.
        recovered: bool,
    },
}

impl<L: Copy + PartialEq, E: Copy + PartialEq> Rules<L, E> {
    /// Whether the file, which looks like this now, is to be read now.
    pub fn due(&mut self, look: L, now: Instant) -> bool {
        let since = match self.seen {
            Some((seen, since)) if seen == look => since,
            _ => {
                self.seen = Some((look, now));
                now
            }
        };
        match &self.judged {
            Some(judged) if judged.look == look => {
                judged.trouble.is_some() && now.duration_since(judged.at) >= SETTLED
            }
            _ => now.duration_since(since) >= SETTLED,
        }
    }

    /// Takes the outcome of reading the file when it looked like this: whether it holds other secrets than those in force.
    pub fn judge(&mut self, look: L, now: Instant, outcome: Result<bool, E>) -> News<E> {
        let judged = Judged {
            look,
            at: now,
            trouble: outcome.err(),
        };
        let before = self.judged.replace(judged);
        let known = before
            .as_ref()
            .and_then(|before| Some((before.look, before.trouble?)));
        match outcome {
            Err(trouble) if known == Some((look, trouble)) => News::None,
            Err(trouble) => News::Failed(trouble),
            Ok(true) => News::Changed {
                recovered: known.is_some(),
            },
            Ok(false) if known.is_some() => News::Recovered,
            Ok(false) => News::None,
        }
    }

    /// The file changed while it was read: it counts as seen for the first time.
    pub fn changing(&mut self, look: L, now: Instant) {
        self.seen = Some((look, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: SecretFileError = SecretFileError::Empty;
    const CHANGED: News = News::Changed { recovered: false };

    /// States of a file: one a number.
    fn look(number: i32) -> Look {
        Look::Nothing(number)
    }

    /// A file's rules, and a clock in milliseconds.
    struct Clock {
        rules: Rules,
        start: Instant,
    }

    impl Clock {
        fn new() -> Self {
            Self {
                rules: Rules::default(),
                start: Instant::now(),
            }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn due(&mut self, millis: u64, number: i32) -> bool {
            let now = self.at(millis);
            self.rules.due(look(number), now)
        }

        fn judge(
            &mut self,
            millis: u64,
            number: i32,
            outcome: Result<bool, SecretFileError>,
        ) -> News {
            let now = self.at(millis);
            self.rules.judge(look(number), now, outcome)
        }
    }

    #[test]
    fn a_file_is_due_when_it_has_been_unchanged_for_two_seconds_and_then_once() {
        let mut file = Clock::new();
        for millis in [0, 500, 1000, 1999] {
            assert!(!file.due(millis, 1), "{millis}");
        }
        assert!(file.due(2000, 1));
        assert_eq!(file.judge(2000, 1, Ok(false)), News::None);
        assert!(
            (2001..100_000)
                .step_by(500)
                .all(|millis| !file.due(millis, 1))
        );
        assert!(!file.due(100_000, 2), "it has changed just now");
        assert!(!file.due(101_999, 2));
        assert!(file.due(102_000, 2));
        assert_eq!(file.judge(102_000, 2, Ok(true)), CHANGED);
        assert!(!file.due(200_000, 2));
    }

    #[test]
    fn a_file_that_keeps_changing_is_never_due_until_it_stops() {
        let mut file = Clock::new();
        for step in 0..200 {
            assert!(!file.due(u64::from(step as u32) * 1500, step), "{step}");
        }
        assert!(!file.due(199 * 1500 + 1999, 199));
        assert!(file.due(199 * 1500 + 2000, 199));
    }

    #[test]
    fn a_machine_that_stood_still_counts_only_what_was_seen() {
        let mut file = Clock::new();
        assert!(!file.due(0, 1));
        assert!(!file.due(60_000, 2), "when it became so nobody knows");
        assert!(file.due(62_000, 2));
    }

    #[test]
    fn a_file_that_goes_back_to_what_was_judged_is_not_due() {
        let mut file = Clock::new();
        file.due(0, 1);
        assert!(file.due(2000, 1));
        file.judge(2000, 1, Ok(true));
        assert!(!file.due(3000, 2));
        assert!(!file.due(10_000, 1), "its secrets are in force");
    }

    #[test]
    fn a_bad_state_is_told_once_though_it_is_tried_again() {
        let mut file = Clock::new();
        file.due(0, 1);
        assert!(file.due(2000, 1));
        assert_eq!(file.judge(2000, 1, Err(EMPTY)), News::Failed(EMPTY));
        assert!(!file.due(3999, 1));
        assert!(file.due(4000, 1), "tried again");
        assert_eq!(file.judge(4000, 1, Err(EMPTY)), News::None);
        let other = SecretFileError::Unreadable { code: 5 };
        assert!(file.due(6000, 1));
        assert_eq!(file.judge(6000, 1, Err(other)), News::Failed(other));
        assert!(!file.due(7000, 2), "another state has to settle");
        assert!(file.due(9000, 2));
        assert_eq!(file.judge(9000, 2, Err(other)), News::Failed(other));
    }

    #[test]
    fn the_end_of_a_bad_state_is_told_once() {
        let mut file = Clock::new();
        file.judge(0, 1, Err(EMPTY));
        assert_eq!(file.judge(2000, 1, Ok(false)), News::Recovered);
        assert_eq!(file.judge(2500, 1, Ok(false)), News::None);
        file.judge(5000, 2, Err(EMPTY));
        let changed = News::Changed { recovered: true };
        assert_eq!(file.judge(9000, 3, Ok(true)), changed);
    }

    #[test]
    fn what_was_read_because_it_was_asked_for_is_not_read_again_when_it_settles() {
        let mut file = Clock::new();
        file.due(0, 1);
        assert_eq!(file.judge(100, 1, Err(EMPTY)), News::Failed(EMPTY));
        assert!(!file.due(2000, 1));
        assert!(file.due(2100, 1), "bad: tried again");
        assert_eq!(file.judge(2100, 1, Err(EMPTY)), News::None);
        assert_eq!(
            file.judge(2200, 1, Ok(true)),
            News::Changed { recovered: true }
        );
        assert!(!file.due(10_000, 1));
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_has_to_settle_anew() {
        let mut file = Clock::new();
        file.due(0, 1);
        assert!(file.due(2000, 1));
        let now = file.at(2010);
        file.rules.changing(look(2), now);
        assert!(!file.due(4009, 2));
        assert!(file.due(4010, 2));
    }
}
