//! Times in which Kafka is away: nothing of that may be felt at the door, and memory may not grow with what waits.

use super::load::{Fate, Sent};
use crate::support::process::Serving;
use std::time::{Duration, Instant};

/// How much more memory the bridge may hold while Kafka is away. librdkafka may queue 16 MiB; the rest is what allocators keep.
pub const MEMORY: u64 = 32 << 20;

/// A time in which Kafka is away.
#[derive(Debug, Clone, Copy)]
pub struct Away {
    pub since: Instant,
    pub until: Instant,
    /// Bytes that the bridge held in memory before, and at most meanwhile.
    pub before: u64,
    pub peak: u64,
}

impl Away {
    /// It begins.
    pub fn begin(bridge: &Serving) -> Self {
        // The kernel's peak counts anew.
        std::fs::write(format!("/proc/{}/clear_refs", bridge.pid()), "5").unwrap();
        let (now, before) = (Instant::now(), memory(bridge, "VmRSS:"));
        Self {
            since: now,
            until: now,
            before,
            peak: before,
        }
    }

    /// It ends.
    pub fn end(&mut self, bridge: &Serving) {
        self.until = Instant::now();
        self.peak = memory(bridge, "VmHWM:");
    }

    fn growth(&self) -> u64 {
        self.peak.saturating_sub(self.before)
    }
}

/// Of `/proc/PID/status`, in bytes.
fn memory(bridge: &Serving, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", bridge.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.expect("the kernel tells") << 10
}

/// What these times show, in a line, and what of it is not as it must be. Latencies are held against the bridge only where it has the
/// machine for itself: `strict`.
pub fn judge(aways: &[Away], sent: &[Sent], strict: bool) -> (String, Vec<String>) {
    let within = |sent: &&Sent| {
        let covers = |away: &Away| sent.sent >= away.since && sent.sent < away.until;
        aways.iter().any(covers)
    };
    let mut violations = Vec::new();
    let accepted = sent
        .iter()
        .filter(|sent| matches!(sent.fate, Fate::Accepted(_)));
    let (away, rest): (Vec<_>, Vec<_>) = accepted.partition(within);
    let growth = aways.iter().map(Away::growth).max().unwrap_or_default();
    if growth > MEMORY {
        violations.push(format!(
            "memory grew by {growth} bytes while Kafka was away"
        ));
    }
    if away.is_empty() {
        violations.push("nothing was accepted while Kafka was away".to_owned());
    }
    let [away, rest] = [away, rest].map(Latencies::of);
    if strict && away.median > 2 * rest.median + Duration::from_millis(5) {
        violations.push(format!(
            "slower while Kafka was away: {away} instead of {rest}"
        ));
    }
    let note = format!(
        "while Kafka was away: {away}, and {rest} at other times; memory {:.1} MiB higher at most",
        growth as f64 / f64::from(1 << 20)
    );
    (note, violations)
}

/// How long answers took.
struct Latencies {
    count: usize,
    median: Duration,
    p99: Duration,
}

impl Latencies {
    fn of(sent: Vec<&Sent>) -> Self {
        let mut all: Vec<Duration> = sent.iter().map(|sent| sent.answered - sent.sent).collect();
        all.sort_unstable();
        let at = |percent| all.get(all.len() * percent / 100).copied();
        Self {
            count: all.len(),
            median: at(50).unwrap_or_default(),
            p99: at(99).unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let (count, median, p99) = (self.count, millis(self.median), millis(self.p99));
        write!(f, "{count} 202s, median {median:.1} ms, p99 {p99:.1} ms")
    }
}
