//! Keeps one trouble from flooding the log: the same one passes once in a while, and says how often it was held back.
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many kinds of trouble are told apart; beyond that the memory starts anew.
const KINDS: usize = 1000;

struct Seen {
    at: Instant,
    held_back: u64,
}

/// Remembers when each trouble was last logged.
pub struct Throttle {
    every: Duration,
    seen: Mutex<HashMap<(&'static str, String), Seen>>,
}

impl Throttle {
    /// Lets the same trouble pass once in `every`.
    pub fn new(every: Duration) -> Self {
        Self {
            every,
            seen: Mutex::new(HashMap::new()),
        }
    }

    /// Whether to log this now; `Some(n)`: yes, and `n` like it were held back since the last.
    pub fn pass(&self, kind: &'static str, about: &str) -> Option<u64> {
        let mut seen = self.seen.lock();
        if seen.len() >= KINDS {
            seen.clear();
        }
        let now = Instant::now();
        match seen.get_mut(&(kind, about.to_owned())) {
            Some(last) if now.duration_since(last.at) < self.every => {
                last.held_back += 1;
                None
            }
            Some(last) => {
                let held_back = last.held_back;
                *last = Seen {
                    at: now,
                    held_back: 0,
                };
                Some(held_back)
            }
            None => {
                seen.insert(
                    (kind, about.to_owned()),
                    Seen {
                        at: now,
                        held_back: 0,
                    },
                );
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_passes_once_and_another_at_once() {
        let throttle = Throttle::new(Duration::from_secs(60));
        assert_eq!(throttle.pass("unknown_topic", "a"), Some(0));
        assert_eq!(throttle.pass("unknown_topic", "a"), None);
        assert_eq!(throttle.pass("unknown_topic", "b"), Some(0));
    }

    #[test]
    fn what_was_held_back_is_told_with_the_next() {
        let throttle = Throttle::new(Duration::from_millis(20));
        assert_eq!(throttle.pass("x", ""), Some(0));
        let mut held_back = 0;
        let told = loop {
            match throttle.pass("x", "") {
                Some(told) => break told,
                None => held_back += 1,
            }
        };
        assert!(held_back > 0);
        assert_eq!(told, held_back);
    }
}
