//! Publishing again what stands in the journal: `replay`.
//!
//! What a selection means is found by a [`Survey`](crate::survey::Survey), twice: to count it, and to publish it. What is published is made anew, by the
//! **present** settings and the present normalizer: that is how a bug in it, or a topic's limit, is repaired after the fact. The record
//! has the same `ce_id` and `ce_time`, `ce_replay` says when, and its timestamp is now.
//!
//! What it guarantees:
//! - **Live deliveries come first.** A replay has a producer of its own, with few records in flight (`offer`), stands still while
//!   deliveries wait to be published for the first time (`pace`), and runs at a low priority (`priority`). The order of first occurrences is that of the publisher, whatever is
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

mod gates;
mod judge;
mod offer;
mod pace;
mod priority;
mod run;
mod tally;
mod walk;

pub use tally::Group;
pub use walk::count;

use super::compression::Compression;
use super::kafka::{self, Surroundings};
use super::properties::Masks;
use super::sink::{Silent, Sink};
use super::throttle::Throttle;
use super::{Inbox, PublisherSettings, StartError, properties};
use crate::domain::selection::Selection;
use crate::journal::{Journal, OpenError};
use crate::work::{Stop, Work};
use parking_lot::Mutex;
use run::Run;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    pub selection: Selection,
    /// Only count them.
    #[serde(default)]
    pub dry_run: bool,
    /// So many a second at most.
    #[serde(default)]
    pub rate: Option<u32>,
}

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
    /// Sequences that are lost to damage, or cannot be read. Nobody knows whether they belong to the selection.
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
        let properties = properties::effective(
            &settings.kafka.properties,
            settings.record.instance.as_deref(),
        )
        .map_err(StartError::Properties)?;
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
        priority::in_the_background(|| self.replay_here(wish, work))?
    }

    fn replay_here(&self, wish: &Wish, work: &mut Work) -> Result<Summary, ReplayError> {
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
        let mut run = Run::new(self, work, wish.rate, pin, counted);
        run.publish(&view, &wish.selection)?;
        let summary = run.into_summary();
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
        let throttle = Arc::new(Throttle::new(self.settings.timings.repeat_log));
        let tokens = kafka::tokens(&self.properties, &throttle).unwrap_or_else(|error| {
            tracing::warn!("the replay cannot fetch tokens for Kafka: no thread: {error}");
            None
        });
        Surroundings {
            masks: Masks::of(&self.properties),
            tokens,
            brokers: self.settings.kafka.brokers.clone(),
            compression: Arc::new(Compression::of(&self.properties)),
            properties: self.properties.clone(),
            window: 1,
            inbox: Arc::new(Inbox::default()),
            // What is said of connections and failures is said of the publisher's.
            sink: Arc::new(Silent),
            throttle,
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

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled => Self::Cancelled,
            Stop::Leaving => Self::Leaving,
        }
    }
}
