//! Publishing again what stands in the journal: `replay`.
//!
//! What a selection means is found by a [`Survey`], twice: to count it, and to publish it. What is published is made anew, by the
//! **present** settings and the present normalizer: that is how a bug in it, or a topic's limit, is repaired after the fact. The record
//! has the same `ce_id` and `ce_time`, `ce_replay` says when, and its timestamp is now.
//!
//! What it guarantees:
//! - **Live deliveries come first.** A replay has a producer of its own, with few records in flight (`offer`), and stands still while
//!   deliveries wait to be published for the first time (`pace`). The order of first occurrences is that of the publisher, whatever is
//!   replayed; replayed records are in the order of the journal among themselves, per key.
//! - **It may be cut short at any moment** and says how far it came. Nothing of it is remembered: who repeats it publishes again.
//! - **What it has still to read is pinned**: retention waits. On a full disk the pin gives way, since deliveries that come are promised
//!   a place; then the summary says how many it could not read.
//! - While Kafka is away it waits, and says so; it ends by itself where waiting cannot help: a topic that is missing or forbidden.
//!
//! # The ledger
//! The ledger counts **first** outcomes: a delivery that was published, or quarantined, stays counted so, whatever a replay makes of
//! it. The outcome log gets the new place, so that `inspect`, and the next selection by outcome, see where it stands now: what was
//! quarantined and is understood today is `published` from then on. A **held** delivery had no place in Kafka: the topic that takes it now
//! gives it its first outcome. It is released and counted there, as published or quarantined. What is pending is not replayed: it
//! is published in its turn.

mod offer;
mod pace;
mod tally;

pub use tally::Group;

use super::kafka::{Surroundings, now};
use super::prepare::{Prepared, prepare};
use super::sink::{Publication, Silent, Sink};
use super::throttle::Throttle;
use super::{Inbox, PublisherSettings, StartError, properties};
use crate::domain::delivery::Delivery;
use crate::domain::event::EventKind;
use crate::domain::outcome::{Fate, Outcome};
use crate::domain::record::Occasion;
use crate::domain::selection::Selection;
use crate::journal::view::View;
use crate::journal::{Journal, OpenError, Pin, Sequence, Taker};
use crate::survey::{Found, Step, Survey};
use crate::work::{Stop, Work};
use offer::{Halt, Item, Offerer, Settled};
use pace::Pace;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;

/// A file that cannot be read at present is tried again so often, and so much later; then the replay fails.
const ATTEMPTS: u32 = 20;
const AGAIN: Duration = Duration::from_millis(100);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Which deliveries.
    pub selection: Selection,
    /// Only count them.
    #[serde(default)]
    pub dry_run: bool,
    /// So many a second at most.
    #[serde(default)]
    pub rate: Option<u32>,
}

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Everything selected was offered to Kafka, or, in a dry run, counted.
    #[default]
    Completed,
    /// Whoever asked has cancelled it.
    Cancelled,
    /// The bridge is shutting down.
    Leaving,
    /// Kafka does not take it, and waiting would not help.
    Failed,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// How it ended.
    pub end: End,
    /// Why, where it failed.
    pub why: Option<String>,
    /// Whether deliveries were only counted.
    pub dry_run: bool,
    /// How many belong to the selection and have an outcome.
    pub selected: u64,
    /// How many of these stand in their topic again.
    pub published: u64,
    /// How many stand in the quarantine topic (again).
    pub quarantined: u64,
    /// How many neither topic took: they are what they were.
    pub refused: u64,
    /// How many of the published and quarantined were held on disk, and are no more.
    pub released: u64,
    /// Skipped: they belong to the selection, but are still to be published for the first time.
    pub pending: u64,
    /// Skipped: this bridge cannot read their records.
    pub unreadable: u64,
    /// Sequences that are lost to damage. Nobody knows whether they belong to the selection.
    pub missing: u64,
    /// Sequences, at most, that were deleted on a full disk before they could be read.
    pub given_up: u64,
    /// Segments of which it cannot be read what became of their deliveries.
    pub unnoted: u64,
    /// Ids of the selection that no delivery in the journal has.
    pub unknown_ids: u64,
    /// What is selected, by app, event and outcome.
    pub groups: Vec<Group>,
}

/// Why there was no replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// One at a time.
    #[error("a replay is under way ({done} of {total}); one at a time")]
    Busy {
        /// So far.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// The journal cannot be looked at.
    #[error("the journal cannot be read: {0}")]
    Open(#[from] OpenError),
    /// A file cannot be read.
    #[error("the journal cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Replays from one journal, one at a time.
pub struct Replayer {
    journal: Journal,
    settings: PublisherSettings,
    properties: BTreeMap<String, String>,
    sink: Arc<dyn Sink>,
    /// Whether a publisher is at work on the same journal.
    beside_publisher: bool,
    /// How far the one under way is.
    under_way: Mutex<Option<(u64, u64)>>,
}

impl Replayer {
    /// For a journal that is published by `settings`. `beside_publisher`: by a publisher that has the first claim.
    ///
    /// # Errors
    /// Where librdkafka refuses the properties.
    pub fn new(
        journal: Journal,
        settings: PublisherSettings,
        sink: Arc<dyn Sink>,
        beside_publisher: bool,
    ) -> Result<Self, StartError> {
        let properties =
            properties::effective(&settings.kafka.properties).map_err(StartError::Properties)?;
        Ok(Self {
            journal,
            settings,
            properties,
            sink,
            beside_publisher,
            under_way: Mutex::default(),
        })
    }

    /// Publishes again what `wish` selects, or counts it. Blocks.
    ///
    /// # Errors
    /// Where another is under way, or the journal cannot be read.
    pub fn replay(&self, wish: &Wish, work: &mut Work) -> Result<Summary, ReplayError> {
        // Before the picture is taken: what it shows is then kept.
        let pin = self.journal.pin(1);
        if wish.dry_run {
            return count(&self.journal.view()?, wish, work);
        }
        let _turn = self.turn()?;
        let view = self.journal.view()?;
        let counted = count(&view, wish, work)?;
        let total = counted.selected;
        if counted.end != End::Completed || total == 0 {
            return Ok(counted);
        }
        tracing::info!(
            total,
            selection = serde_json::to_string(&wish.selection).unwrap_or_default(),
            "replay: {total} deliveries are published again"
        );
        let mut run = Run {
            replayer: self,
            desk: Desk {
                work,
                under_way: &self.under_way,
                done: 0,
                total,
            },
            offerer: Offerer::new(self.surroundings(), &self.settings),
            pace: Pace::new(self.beside_publisher.then_some(&self.journal), wish.rate),
            chunk: Vec::new(),
            pin,
            summary: Summary {
                missing: 0,
                unnoted: 0,
                unreadable: 0,
                ..counted
            },
        };
        run.publish(&view, &wish.selection)?;
        let summary = run.summary;
        tracing::info!(
            published = summary.published,
            quarantined = summary.quarantined,
            refused = summary.refused,
            "replay {}: of {total} deliveries {} are published, {} quarantined and {} refused",
            match summary.end {
                End::Completed => "done",
                End::Cancelled => "cancelled",
                End::Leaving => "cut short by the bridge's end",
                End::Failed => "given up",
            },
            summary.published,
            summary.quarantined,
            summary.refused
        );
        Ok(summary)
    }

    fn turn(&self) -> Result<Turn<'_>, ReplayError> {
        let mut under_way = self.under_way.lock();
        if let Some((done, total)) = *under_way {
            return Err(ReplayError::Busy { done, total });
        }
        *under_way = Some((0, 0));
        Ok(Turn(&self.under_way))
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            brokers: self.settings.kafka.brokers.clone(),
            properties: self.properties.clone(),
            window: 1,
            inbox: Arc::new(Inbox::default()),
            // What is said of connections and failures is said of the publisher's.
            sink: Arc::new(Silent),
            throttle: Arc::new(Throttle::new(self.settings.timings.repeat_log)),
        }
    }
}

/// The one replay that may be under way.
struct Turn<'a>(&'a Mutex<Option<(u64, u64)>>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

/// Counts what `wish` selects, without a journal that is open for writing, and without Kafka.
///
/// # Errors
/// Where the journal cannot be read.
pub fn count(view: &View, wish: &Wish, work: &mut Work) -> Result<Summary, ReplayError> {
    let mut tally = Tally::looking_for(&wish.selection.ids);
    let cursor = view.progress().sequence;
    let mut summary = Summary {
        dry_run: wish.dry_run,
        ..Summary::default()
    };
    let walked = walk(view, &wish.selection, &mut summary, &mut |step| {
        if let Some(stop) = work.stop() {
            return ControlFlow::Break(stop.into());
        }
        if let Met::Delivery(found, delivery) = step {
            match found.sequence > cursor {
                true => tally.pending(&delivery),
                false => tally.selected(&delivery, found.fate),
            }
            work.progress(tally.selected, None, Some("counting"));
        }
        ControlFlow::Continue(())
    })?;
    if let ControlFlow::Break(end) = walked {
        summary.end = end;
    }
    summary.selected = tally.selected;
    summary.pending = tally.pending;
    summary.unknown_ids = tally.unknown(&wish.selection.ids);
    summary.groups = tally.groups();
    Ok(summary)
}

/// What a walk meets.
enum Met<'a> {
    Delivery(&'a Found<'a>, Delivery<'a>),
    /// Nothing that could be published; up to here the journal has been read.
    Nothing(Sequence),
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled => Self::Cancelled,
            Stop::Leaving => Self::Leaving,
        }
    }
}

/// Walks over the selection; what cannot be read goes to the summary.
fn walk(
    view: &View,
    selection: &Selection,
    summary: &mut Summary,
    each: &mut dyn FnMut(Met<'_>) -> ControlFlow<End>,
) -> Result<ControlFlow<End>, ReplayError> {
    let mut survey = Survey::new(view, selection.clone(), 1)?;
    let mut failures = 0;
    loop {
        let flow = match survey.step() {
            Ok(Step::Found(found)) => match &found.delivery {
                Ok(delivery) => each(Met::Delivery(&found, delivery.clone())),
                Err(_) => {
                    summary.unreadable += 1;
                    each(Met::Nothing(found.sequence))
                }
            },
            Ok(Step::Missing {
                from,
                to,
                written_off,
            }) => {
                if !written_off {
                    summary.missing += to - from + 1;
                }
                each(Met::Nothing(to))
            }
            Ok(Step::Unnoted { .. }) => {
                summary.unnoted += 1;
                continue;
            }
            Ok(Step::End) => return Ok(ControlFlow::Continue(())),
            Err(error) => {
                failures += 1;
                if failures > ATTEMPTS {
                    return Err(error.into());
                }
                std::thread::sleep(AGAIN);
                continue;
            }
        };
        failures = 0;
        if flow.is_break() {
            return Ok(flow);
        }
    }
}

/// Where a replay says how far it is, and hears that it should end.
struct Desk<'a> {
    work: &'a mut Work,
    under_way: &'a Mutex<Option<(u64, u64)>>,
    done: u64,
    total: u64,
}

impl Desk<'_> {
    fn say(&mut self, note: Option<&str>) {
        *self.under_way.lock() = Some((self.done, self.total));
        self.work.progress(self.done, Some(self.total), note);
    }

    fn stop(&self) -> Option<Stop> {
        self.work.stop()
    }

    fn pause(&self, limit: Duration) -> Result<(), Halt> {
        self.work
            .pause(limit)
            .map_or(Ok(()), |stop| Err(stop.into()))
    }
}

/// A replay under way.
struct Run<'a> {
    replayer: &'a Replayer,
    desk: Desk<'a>,
    offerer: Offerer<'a>,
    pace: Pace<'a>,
    chunk: Vec<Item>,
    pin: Pin,
    summary: Summary,
}

impl Run<'_> {
    fn publish(&mut self, view: &View, selection: &Selection) -> Result<(), ReplayError> {
        let cursor = view.progress().sequence;
        let mut found_anew = Summary::default();
        let walked = walk(view, selection, &mut found_anew, &mut |met| {
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
        if walked.is_continue() {
            let last = self.hand_over();
            let _ = self.ended(last);
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
        if offer::is_full(&self.chunk) {
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
