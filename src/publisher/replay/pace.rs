//! Live deliveries come first: when a replay may go on.
//!
//! While more than a few deliveries wait for their first outcome the replay stands still: whatever they wait for, Kafka or their turn, they
//! have the first claim to it. After each chunk it rests as long as the chunk took, so that publisher and broker are never busy with
//! a replay for more than half of the time. Without a publisher beside it nothing holds it back.

use super::offer::Halt;
use super::run::Desk;
use crate::journal::Journal;
use std::time::{Duration, Instant};

/// So many pending deliveries are ordinary traffic on its way: at 5,000 a second some fifty are.
const ORDINARY: u64 = 100;

/// Between two looks at what is pending.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Standing still for so long is worth a word.
const SAY_AFTER: Duration = Duration::from_secs(1);

/// The longest rest after a chunk.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// When the next chunk may go.
pub(super) struct Pace<'a> {
    /// The journal that somebody publishes from meanwhile.
    live: Option<&'a Journal>,
    /// Records a second.
    rate: Option<u32>,
    /// When the last chunk was let go.
    last: Option<Instant>,
    /// Not before, for the rate.
    due: Option<Instant>,
}

impl<'a> Pace<'a> {
    pub fn new(live: Option<&'a Journal>, rate: Option<u32>) -> Self {
        Self {
            live,
            rate: rate.filter(|rate| *rate > 0),
            last: None,
            due: None,
        }
    }

    /// Waits until a chunk of so many records may go.
    pub fn wait(&mut self, desk: &mut Desk<'_>, records: usize) -> Result<(), Halt> {
        if let Some(journal) = self.live {
            if let Some(last) = self.last {
                desk.pause(last.elapsed().min(LONGEST_REST))?;
            }
            give_way(journal, desk)?;
        }
        let now = Instant::now();
        if let Some(rate) = self.rate {
            let due = self.due.map_or(now, |due| due.max(now));
            desk.pause(due - now)?;
            self.due = Some(due + Duration::from_secs_f64(records as f64 / f64::from(rate)));
        }
        self.last = Some(Instant::now());
        Ok(())
    }
}

/// Stands still while deliveries wait for their first outcome.
fn give_way(journal: &Journal, desk: &mut Desk<'_>) -> Result<(), Halt> {
    let since = Instant::now();
    loop {
        let cursor = journal.progress().sequence;
        let pending = journal.last_sequence().saturating_sub(cursor);
        if pending <= ORDINARY {
            return Ok(());
        }
        if since.elapsed() >= SAY_AFTER {
            desk.say(Some(
                "waits: deliveries that are not published yet come first",
            ));
        }
        desk.pause(LOOK_EVERY)?;
    }
}
