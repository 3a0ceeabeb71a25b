//! From the journal to Kafka: each delivery in order, at least once, and the cursor behind it.
//!
//! ```text
//! journal ──reader──▶ prepare (normalize) ──▶ gate ──▶ producer ──▶ Kafka
//!    ▲                                                    │
//!    └── cursor ◀── window (in order) ◀── inbox ◀── delivery reports
//! ```
//!
//! What it guarantees:
//! - **At least once.** The cursor passes a delivery only when Kafka has acknowledged its record (main or quarantine topic), or
//!   it is held on disk, or it is lost to damage and that was said aloud. A crash repeats at most one window.
//! - **In order.** Per key, the first occurrences in a topic are in the order of acceptance, through every failure: a record is
//!   never sent again by itself, the line goes back to the cursor (`recovery`).
//! - **One bad record stops nothing.** What a topic refuses alone in its batch goes to quarantine, and what that refuses is held
//!   (`held`). What cannot be read is held. Only the surroundings (brokers, topics, rights) can hold the line up, and then
//!   memory is bounded, nothing spins, the log and a metric say why, and it goes on by itself.
//!
//! One thread (`line`) owns all state; librdkafka's threads only leave reports in the `inbox`.
//!
//! Order over failures rests on three things: one request at a time (`properties` says why idempotence is not enough), a whole
//! producer discarded at a failure (`recovery`), and records acknowledged before it never sent again (`in_flight`).
//!
//! Shutting down: close the ingress, let its appends be answered, [`Publisher::stop`], and only then close the journal.

mod code;
mod compression;
mod control;
mod forward;
mod gate;
mod hang_ups;
mod health;
mod held;
pub mod in_flight;
mod inbox;
mod kafka;
mod lessons;
mod librdkafka;
mod line;
mod oidc;
mod pace;
mod policy;
mod prepare;
pub mod properties;
mod recovery;
pub mod replay;
mod settle;
pub mod sink;
mod stamps;
mod statistics;
mod suspicion;
pub mod throttle;
mod tokens;
mod topics;
pub mod verdict;

pub use sink::{Publication, Silent, Sink, Statistics};
pub use verdict::FailureReason;

use crate::domain::record::RecordSettings;
use crate::journal::Journal;
use compression::Compression;
use control::Control;
use inbox::Inbox;
use kafka::Surroundings;
use line::Line;
use properties::Masks;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};
use throttle::Throttle;

#[derive(Clone)]
pub struct KafkaSettings {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// librdkafka properties: the operator's, or already [`properties::effective`]. They hold secrets: this type is never printed.
    pub properties: BTreeMap<String, String>,
    /// Whether missing topics are created.
    pub create_topics: bool,
    /// Partitions of a created topic.
    pub partitions: i32,
    /// Replicas of a created topic.
    pub replication: i32,
    /// The apps that deliveries can come from; with the templates they tell which topics there are.
    pub apps: Vec<String>,
}

impl KafkaSettings {
    fn creation(&self) -> Option<topics::Creation> {
        self.create_topics.then_some(topics::Creation {
            partitions: self.partitions,
            replication: self.replication,
        })
    }
}

/// The publisher's patience; tests shorten it.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// Silence after which it is looked into, while records are in flight.
    pub stall: Duration,
    /// Between two attempts with held deliveries.
    pub held_retry: Duration,
    /// The first pause after a failure; it doubles.
    pub backoff_first: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// The cursor is on stable storage at most so long after it moved.
    pub sync_every: Duration,
    /// The same trouble is logged once in so long.
    pub repeat_log: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(10),
            held_retry: Duration::from_secs(60),
            backoff_first: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            sync_every: Duration::from_millis(250),
            repeat_log: Duration::from_secs(10),
        }
    }
}

/// How deliveries are published.
#[derive(Clone)]
pub struct PublisherSettings {
    pub record: RecordSettings,
    pub kafka: KafkaSettings,
    /// How many deliveries may be in flight, counted from the durable cursor: what a crash may repeat.
    pub window: usize,
    /// Patience.
    pub timings: Timings,
}

/// Why the publisher did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// librdkafka refuses the properties, or they would void the promise; a sentence each.
    #[error("the Kafka properties cannot be used: {}", .0.join("; "))]
    Properties(Vec<String>),
    /// The system gave no thread.
    #[error("no thread for the publisher: {0}")]
    Thread(#[source] std::io::Error),
}

/// The running publisher. Dropped without [`Publisher::stop`], it stops by itself, soon, and saves its cursor.
pub struct Publisher {
    control: Arc<Control>,
    inbox: Arc<Inbox>,
    finished: Receiver<()>,
}

impl Publisher {
    /// Starts publishing what is in `journal` above its cursor. Kafka need not be there.
    pub fn start(
        journal: Journal,
        settings: PublisherSettings,
        sink: Arc<dyn Sink>,
    ) -> Result<Self, StartError> {
        let properties = properties::effective(
            &settings.kafka.properties,
            settings.record.instance.as_deref(),
        )
        .map_err(StartError::Properties)?;
        let throttle = Arc::new(Throttle::new(settings.timings.repeat_log));
        let tokens = kafka::tokens(&properties, &throttle).map_err(StartError::Thread)?;
        let inbox = Arc::new(Inbox::default());
        let control = Arc::new(Control::default());
        let surroundings = Surroundings {
            brokers: settings.kafka.brokers.clone(),
            masks: Masks::of(&properties),
            tokens,
            compression: Arc::new(Compression::of(&properties)),
            properties,
            window: u64::try_from(settings.window).unwrap_or(u64::MAX).max(1),
            inbox: Arc::clone(&inbox),
            sink,
            throttle,
        };
        let (alive, finished) = channel();
        let thread = {
            let control = Arc::clone(&control);
            move || {
                run(&journal, &settings, &surroundings, &control);
                drop(journal);
                drop(alive);
            }
        };
        std::thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(thread)
            .map_err(StartError::Thread)?;
        Ok(Self {
            control,
            inbox,
            finished,
        })
    }

    /// Whether its thread has ended.
    pub fn has_ended(&self) -> bool {
        self.finished.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Stops: what is already in the journal is published as far as `patience` allows (not at all while no broker is
    /// connected), then the cursor is saved. `false`: it did not come to its end in time and was left behind; the cursor is
    /// then as of its last save.
    #[must_use]
    pub fn stop(self, patience: Duration) -> bool {
        self.control.stop(Instant::now() + patience);
        self.inbox.nudge();
        // Discarding the producer takes up to 0.6 s more; a broker's name that does not resolve can take longer.
        let end = self
            .finished
            .recv_timeout(patience + Duration::from_secs(2));
        let stopped = end != Err(RecvTimeoutError::Timeout);
        if !stopped {
            tracing::warn!(
                "the publisher did not stop in time; what it had in flight will be published again"
            );
        }
        stopped
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if self.control.deadline().is_none() {
            self.control.stop(Instant::now());
            self.inbox.nudge();
        }
    }
}

/// Runs the line, and runs it again should a bug make it panic: the backlog must not wait for a human.
fn run(
    journal: &Journal,
    settings: &PublisherSettings,
    surroundings: &Surroundings,
    control: &Arc<Control>,
) {
    loop {
        let line = AssertUnwindSafe(|| {
            Line::new(
                journal.clone(),
                settings.clone(),
                surroundings.clone(),
                Arc::clone(control),
            )
            .run();
        });
        if catch_unwind(line).is_ok() || control.deadline().is_some() {
            return;
        }
        surroundings.sink.failure(FailureReason::Other);
        tracing::error!(
            "the publisher panicked: a bug in this bridge; it starts again from the cursor"
        );
        std::thread::sleep(Duration::from_secs(1));
    }
}
