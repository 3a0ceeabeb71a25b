//! What a whole run came to.

use super::fate::{Fate, NoAnswer, Outcome};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// Latencies are kept to the microsecond, and longer ones than this count as this.
const LONGEST: Duration = Duration::from_secs(3600);

/// Of a latency, in decimal digits.
const PRECISION: u8 = 3;

/// Counts and latencies of a run. `answered + no answer + unsent` is the number of all that were due.
#[derive(Clone)]
pub struct Summary {
    /// Answers by status and [`super::Answer::word`], where they have one.
    pub answers: BTreeMap<(u16, Option<String>), u64>,
    /// Deliveries without an answer, by reason.
    pub no_answer: BTreeMap<NoAnswer, u64>,
    /// Deliveries that were due, and for which no connection was free until the end.
    pub unsent: u64,
    /// From the start until the last fate was known.
    pub elapsed: Duration,
    latencies: Histogram<u64>,
}

impl std::fmt::Debug for Summary {
    /// Leaves out the histogram, which is long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Summary")
            .field("answers", &self.answers)
            .field("no_answer", &self.no_answer)
            .field("unsent", &self.unsent)
            .field("elapsed", &self.elapsed)
            .finish_non_exhaustive()
    }
}

impl Default for Summary {
    fn default() -> Self {
        let most = LONGEST.as_micros() as u64;
        // Constants that the library takes; without bounds it grows as it needs.
        let latencies =
            Histogram::new_with_bounds(1, most, PRECISION).or_else(|_| Histogram::new(PRECISION));
        #[allow(clippy::expect_used)]
        let latencies = latencies.expect("three digits are allowed");
        Self {
            answers: BTreeMap::new(),
            no_answer: BTreeMap::new(),
            unsent: 0,
            elapsed: Duration::ZERO,
            latencies,
        }
    }
}

impl Summary {
    /// Counts one more.
    pub fn count<T>(&mut self, fate: &Fate<T>) {
        match &fate.outcome {
            Outcome::Answered(answer) => {
                let kind = (answer.status, answer.word());
                *self.answers.entry(kind).or_default() += 1;
                self.latencies
                    .saturating_record(fate.latency.as_micros() as u64);
            }
            Outcome::NoAnswer(reason) => *self.no_answer.entry(*reason).or_default() += 1,
        }
    }

    /// Deliveries that were sent, answered or not.
    pub fn sent(&self) -> u64 {
        self.answered() + self.unanswered()
    }

    /// Deliveries that were due: all.
    pub fn deliveries(&self) -> u64 {
        self.sent() + self.unsent
    }

    /// Deliveries with an answer, whatever it says.
    pub fn answered(&self) -> u64 {
        self.answers.values().sum()
    }

    /// Deliveries that were sent and got no answer.
    pub fn unanswered(&self) -> u64 {
        self.no_answer.values().sum()
    }

    pub fn status(&self, status: u16) -> u64 {
        self.sum(|(known, _)| *known == status)
    }

    pub fn word(&self, word: &str) -> u64 {
        self.sum(|(_, known)| known.as_deref() == Some(word))
    }

    fn sum(&self, of: impl Fn(&(u16, Option<String>)) -> bool) -> u64 {
        let counted = self.answers.iter().filter(|(kind, _)| of(kind));
        counted.map(|(_, count)| count).sum()
    }

    /// Answers a second.
    pub fn throughput(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.answered() as f64 / seconds
        } else {
            0.0
        }
    }

    /// The latency that this share (0 to 1) of the answers did not exceed, to three digits; zero where there is none.
    pub fn latency(&self, share: f64) -> Duration {
        Duration::from_micros(self.latencies.value_at_quantile(share))
    }
}
