//! One back-off for all ways to a broker.
//!
//! librdkafka waits between attempts to connect (`reconnect.backoff.ms`, doubling to `reconnect.backoff.max.ms`), but whoever wants something of a
//! broker makes it forget that: a creation of a topic that waits for the controller asks for a connection at each change of its state, which a
//! refused connection is. That made thousands of attempts a second.
//!
//! Guarantees: between two attempts of a client to connect to a broker, of which the first did not lead to a working connection, passes at least the
//! time that these properties say, whoever asks. Each broker has a thread of its own in librdkafka, which connects, and waits here before it does: hence a
//! thread's own memory is a broker's.
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often a waiting thread looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

thread_local! {
    /// When this thread last began to connect, without success, and how long it waits before the next attempt.
    static FAILED: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// The pace of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    first: Duration,
    max: Duration,
}

impl Pace {
    /// As the effective properties say.
    pub fn of(properties: &BTreeMap<String, String>) -> Self {
        let property = |name: &str, default: u64| {
            let value = properties.get(name).and_then(|value| value.parse().ok());
            Duration::from_millis(value.unwrap_or(default))
        };
        Self {
            first: property("reconnect.backoff.ms", 100),
            max: property("reconnect.backoff.max.ms", 10_000),
        }
    }

    /// Waits until this thread may connect, or is to end.
    pub fn wait(self, ends: impl Fn() -> bool) {
        let now = Instant::now();
        let wait = match FAILED.get() {
            None => self.first,
            Some((at, wait)) => {
                let until = at + wait;
                while Instant::now() < until && !ends() {
                    let left = until.saturating_duration_since(Instant::now());
                    std::thread::sleep(left.min(LOOK_EVERY));
                }
                // After a long silence the first pause is enough again.
                match now.saturating_duration_since(at) > self.max * 2 {
                    true => self.first,
                    false => (wait * 2).min(self.max),
                }
            }
        };
        FAILED.set(Some((Instant::now(), wait)));
    }

    /// This thread's connection works.
    pub fn connected() {
        FAILED.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        first: Duration::from_millis(5),
        max: Duration::from_millis(40),
    };

    #[test]
    fn attempts_that_fail_are_kept_apart_and_the_first_is_not() {
        let begun = Instant::now();
        for _ in 0..6 {
            PACE.wait(|| false);
        }
        // 5, 10, 20, 40 and 40 ms.
        assert!(begun.elapsed() >= Duration::from_millis(115));
    }

    #[test]
    fn after_a_connection_that_works_there_is_nothing_to_wait_for() {
        let slow = Pace {
            first: Duration::from_secs(3600),
            ..PACE
        };
        for _ in 0..3 {
            slow.wait(|| false);
            Pace::connected();
        }
    }

    #[test]
    fn nobody_waits_for_one_that_is_to_end() {
        let slow = Pace {
            first: Duration::from_secs(3600),
            ..PACE
        };
        slow.wait(|| true);
        slow.wait(|| true);
    }
}
