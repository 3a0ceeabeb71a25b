//! A replay under way: chunk after chunk to Kafka, and from there to outcome log, ledger and summary.

use super::super::kafka::now;
use super::super::prepare::{Prepared, prepare};
use super::super::sink::Publication;
use super::offer::{Halt, Item, Offerer, Settled, is_full};
use super::pace::Pace;
use super::walk::{Met, walk};
use super::{End, ReplayError, Replayer, Summary};
use crate::domain::delivery::Delivery;
use crate::domain::event::EventKind;
use crate::domain::outcome::{Fate, Outcome};
use crate::domain::record::Occasion;
use crate::domain::selection::Selection;
use crate::journal::view::View;
use crate::journal::{Pin, Taker};
use crate::survey::Found;
use crate::work::{Stop, Work};
use parking_lot::Mutex;
use std::ops::ControlFlow;
use std::time::Duration;

/// Where a replay says how far it is, and hears that it should end.
pub(super) struct Desk<'a> {
    work: &'a mut Work,
    under_way: &'a Mutex<Option<(u64, u64)>>,
    pub done: u64,
    total: u64,
}

impl Desk<'_> {
    pub fn say(&mut self, note: Option<&str>) {
        *self.under_way.lock() = Some((self.done, self.total));
        self.work.progress(self.done, Some(self.total), note);
    }

    pub fn stop(&self) -> Option<Stop> {
        self.work.stop()
    }

    pub fn pause(&self, limit: Duration) -> Result<(), Halt> {
        self.work
            .pause(limit)
            .map_or(Ok(()), |stop| Err(stop.into()))
    }
}

/// A replay under way.
pub(super) struct Run<'a> {
    replayer: &'a Replayer,
    desk: Desk<'a>,
    offerer: Offerer<'a>,
    pace: Pace<'a>,
    chunk: Vec<Item>,
    pin: Pin,
    summary: Summary,
}

impl<'a> Run<'a> {
    /// Publishes what `counted` counted.
    pub fn new(
        replayer: &'a Replayer,
        work: &'a mut Work,
        rate: Option<u32>,
        pin: Pin,
        counted: Summary,
    ) -> Self {
        let live = replayer.beside_publisher.then_some(&replayer.journal);
        Self {
            replayer,
            desk: Desk {
                work,
                under_way: &replayer.under_way,
                done: 0,
                total: counted.selected,
            },
            offerer: Offerer::new(replayer.surroundings(), &replayer.settings),
            pace: Pace::new(live, rate),
            chunk: Vec::new(),
            pin,
            summary: Summary {
                missing: 0,
                unnoted: 0,
                unreadable: 0,
                ..counted
            },
        }
    }

    pub fn into_summary(self) -> Summary {
        self.summary
    }

    pub fn publish(&mut self, view: &View, selection: &Selection) -> Result<(), ReplayError> {
        let cursor = view.progress().sequence;
        let mut found_anew = Summary::default();
        let stopper = self.desk.work.stopper().clone();
        let walked = walk(view, selection, &stopper, &mut found_anew, &mut |met| {
            let halted = match met {
                // Its outcome came after the count.
                Met::Delivery(found, _) if found.sequence > cursor => Ok(()),
                Met::Delivery(found, delivery) => self.take(found, &delivery),
                Met::Nothing(sequence) => {
                    if self.chunk.is_empty() {
                        self.pin.advance(sequence + 1);
                    }
                    self.heed()
                }
            };
            self.ended(halted)
        })?;
        match walked {
            ControlFlow::Break(end) => self.summary.end = end,
            ControlFlow::Continue(()) => {
                let last = self.hand_over();
                let _ = self.ended(last);
            }
        }
        self.summary.missing = found_anew.missing;
        self.summary.unnoted = found_anew.unnoted;
        self.summary.unreadable += found_anew.unreadable;
        self.summary.given_up = self.pin.given_up();
        Ok(())
    }

    fn heed(&self) -> Result<(), Halt> {
        self.desk.stop().map_or(Ok(()), |stop| Err(stop.into()))
    }

    /// Notes how it ended, if it did.
    fn ended(&mut self, halted: Result<(), Halt>) -> ControlFlow<End> {
        let Err(halt) = halted else {
            return ControlFlow::Continue(());
        };
        self.summary.end = match halt {
            Halt::Stopped(stop) => stop.into(),
            Halt::Failed(why) => {
                self.summary.why = Some(why);
                End::Failed
            }
        };
        ControlFlow::Break(self.summary.end)
    }

    /// Puts a delivery into the chunk, and offers that to Kafka when it is full.
    fn take(&mut self, found: &Found<'_>, delivery: &Delivery<'_>) -> Result<(), Halt> {
        self.heed()?;
        let occasion = Occasion {
            sequence: found.sequence,
            now: now(),
            replay: true,
        };
        match prepare(found.record, occasion, None, &self.replayer.settings.record) {
            Prepared::Send { record, .. } => self.chunk.push(Item {
                sequence: found.sequence,
                fate: found.fate,
                accepted_at: delivery.accepted_at,
                body: found.record.to_vec(),
                record,
            }),
            Prepared::Hold { detail, .. } => {
                tracing::warn!(
                    sequence = found.sequence,
                    "replay: delivery {} is skipped: {detail}",
                    found.sequence
                );
                self.summary.unreadable += 1;
                self.desk.done += 1;
            }
        }
        if is_full(&self.chunk) {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Offers the chunk to Kafka, and waits for what becomes of it.
    fn hand_over(&mut self) -> Result<(), Halt> {
        let mut chunk = std::mem::take(&mut self.chunk);
        let Some(last) = chunk.last().map(|item| item.sequence) else {
            return Ok(());
        };
        self.pace.wait(&mut self.desk, chunk.len())?;
        let (replayer, summary) = (self.replayer, &mut self.summary);
        self.offerer
            .offer(&mut chunk, &mut self.desk, &mut |item, settled| {
                replayer.settle(item, settled, summary);
            })?;
        self.pin.advance(last + 1);
        self.desk.say(None);
        Ok(())
    }
}

impl Replayer {
    /// Notes where a delivery stands now.
    fn settle(&self, item: &Item, settled: &Settled, summary: &mut Summary) {
        let topic = item.record.topic.as_str().into();
        let (outcome, taker) = match *settled {
            Settled::Refused => {
                summary.refused += 1;
                return;
            }
            Settled::Taken {
                partition, offset, ..
            } => match item.record.quarantined {
                None => {
                    summary.published += 1;
                    let outcome = Outcome::Published {
                        topic,
                        partition,
                        offset,
                    };
                    (outcome, Taker::Topic)
                }
                Some(reason) => {
                    summary.quarantined += 1;
                    let outcome = Outcome::Quarantined {
                        reason,
                        topic,
                        partition,
                        offset,
                    };
                    (outcome, Taker::Quarantine)
                }
            },
        };
        self.sink.replayed();
        if item.fate == Fate::Held && !self.release(item, settled, taker, summary) {
            return;
        }
        let mut bytes = Vec::new();
        outcome.encode(&mut bytes);
        self.journal.note_outcome(item.sequence, &bytes);
    }

    /// A held delivery has its first place in Kafka. `false`: its copy is still there, and counts.
    fn release(&self, item: &Item, settled: &Settled, taker: Taker, summary: &mut Summary) -> bool {
        let sequence = item.sequence;
        match self.journal.release(sequence, taker) {
            Ok(true) => {
                summary.released += 1;
                self.count_first(item, settled);
                true
            }
            // The publisher was faster; it has counted it.
            Ok(false) => true,
            Err(error) => {
                tracing::error!(
                    sequence,
                    "delivery {sequence} stands in {} now, but its copy on disk cannot be released: {error}",
                    item.record.topic
                );
                false
            }
        }
    }

    fn count_first(&self, item: &Item, settled: &Settled) {
        let Settled::Taken { at, .. } = *settled else {
            return;
        };
        match item.record.quarantined {
            Some(reason) => self.sink.quarantined(reason),
            None => self.sink.published(Publication {
                topic: self.settings.record.topic.text(),
                kind: item.record.kind.unwrap_or(EventKind::Other),
                accepted_at: item.accepted_at,
                acknowledged_at: at,
                again: false,
            }),
        }
    }
}
