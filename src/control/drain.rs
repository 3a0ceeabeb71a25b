//! `drain`: waits until everything that is in the journal at the time of asking has its outcome.
//!
//! Deliveries that come later are not waited for: under traffic it would never end. The publisher does the work; this only looks at its
//! cursor. **Held** deliveries have their outcome, and yet stand on this disk alone: they are counted in the result, so that nobody
//! takes a drained journal for one that can be thrown away.

use crate::journal::Journal;
use crate::work::{Stop, Work};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How often the cursor is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The cursor has not moved for so long: worth a word.
const QUIET: Duration = Duration::from_secs(3);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// How long to wait at most, in milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Everything that was asked for has its outcome.
    Drained,
    TimedOut,
    /// Whoever asked has cancelled it.
    Cancelled,
    /// The bridge is shutting down.
    Leaving,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub end: End,
    /// How many deliveries got their outcome meanwhile, of those that were in the journal at the time of asking.
    pub drained: u64,
    /// How many of these are still pending.
    pub pending: u64,
    /// How many deliveries are held on disk, whenever they came: no topic has them.
    pub held: u64,
}

/// Waits.
pub fn drain(journal: &Journal, wish: Wish, work: &mut Work) -> Summary {
    let until = wish
        .timeout_ms
        .and_then(|limit| Instant::now().checked_add(Duration::from_millis(limit)));
    let target = journal.last_sequence();
    let from = journal.progress().sequence;
    let total = target.saturating_sub(from);
    let mut moved = (from, Instant::now());
    let end = loop {
        let cursor = journal.progress().sequence;
        if cursor >= target {
            break End::Drained;
        }
        if cursor != moved.0 {
            moved = (cursor, Instant::now());
        }
        let note = (moved.1.elapsed() >= QUIET).then_some(
            "nothing was published for a while; the bridge's log and publish_failures_total say why",
        );
        work.progress(cursor.saturating_sub(from), Some(total), note);
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            break End::TimedOut;
        }
        match work.pause(left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY))) {
            None => {}
            Some(Stop::Cancelled) => break End::Cancelled,
            Some(Stop::Leaving) => break End::Leaving,
        }
    };
    let cursor = journal.progress().sequence.min(target);
    Summary {
        end,
        drained: cursor.saturating_sub(from),
        pending: target - cursor,
        held: journal.ledger().held,
    }
}
