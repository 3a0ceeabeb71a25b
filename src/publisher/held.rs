//! Offers held deliveries to the quarantine topic again, by and by.
//!
//! A producer of its own, each record alone, on a thread of its own: whatever happens to it, the line goes on. Order is of no
//! concern in quarantine. A delivery is released only when Kafka has acknowledged it.
use super::control::Control;
use super::inbox::{Inbox, Report};
use super::kafka::{Batching, Client, NotTaken, Probe, Surroundings, now};
use super::line::{Line, still};
use super::sink::{Silent, Sink};
use super::verdict::{Class, classify};
use crate::domain::delivery::Delivery;
use crate::domain::outcome::{HeldReason, Outcome};
use crate::domain::reasons::QuarantineReason;
use crate::domain::record::{Occasion, Record, RecordSettings, quarantine_record, record};
use crate::journal::{Journal, Sequence, Taker};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long one delivery may take; then the attempt ends, and the next comes after the usual pause.
const PATIENCE: Duration = Duration::from_secs(20);

/// When to try next, and the attempt under way.
pub(super) struct HeldRetry {
    every: Duration,
    at: Option<Instant>,
    running: Option<JoinHandle<()>>,
    told: Option<usize>,
}

impl HeldRetry {
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            at: None,
            running: None,
            told: None,
        }
    }

    /// Waits for the attempt under way; it has been told to stop and looks up often.
    pub(super) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            // A panic in it has been logged, and left everything held.
            let _ = running.join();
        }
    }
}

impl Line {
    /// Tells how many are held, and starts an attempt when one is due and Kafka is there.
    pub(super) fn retry_held(&mut self) {
        let held = self.journal.held();
        if self.held.told != Some(held.len()) {
            self.held.told = Some(held.len());
            self.sink.held(held.len());
        }
        if self
            .held
            .running
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
        {
            return;
        }
        self.held.stop();
        let connected = self
            .client
            .as_ref()
            .and_then(|client| client.health().brokers_up())
            .is_some_and(|up| up > 0);
        if held.is_empty() || !connected || self.control.deadline().is_some() {
            return;
        }
        // The first attempt, too, comes after the pause: what was just refused would be again.
        let at = *self
            .held
            .at
            .get_or_insert_with(|| Instant::now() + self.held.every);
        if still(at).is_some() {
            return;
        }
        self.held.at = None;
        let attempt = Attempt {
            journal: self.journal.clone(),
            surroundings: self.surroundings.clone(),
            settings: self.settings.record.clone(),
            control: Arc::clone(&self.control),
        };
        match std::thread::Builder::new()
            .name("held-retry".to_owned())
            .spawn(move || attempt.run(&held))
        {
            Ok(thread) => self.held.running = Some(thread),
            Err(error) => {
                tracing::error!("cannot start a thread to retry held deliveries: {error}")
            }
        }
    }
}

struct Attempt {
    journal: Journal,
    surroundings: Surroundings,
    settings: RecordSettings,
    control: Arc<Control>,
}

impl Attempt {
    fn run(mut self, held: &[Sequence]) {
        let sink = std::mem::replace(
            &mut self.surroundings.sink,
            Arc::new(Silent) as Arc<dyn Sink>,
        );
        self.surroundings.inbox = Arc::new(Inbox::default());
        let mut config = self.surroundings.config(Batching {
            alone: true,
            size: None,
        });
        // One refusal must not end the attempt, and there is no order to keep.
        config.set("enable.gapless.guarantee", "false");
        config.set("message.timeout.ms", (PATIENCE / 2).as_millis().to_string());
        let client = match Client::build(&self.surroundings, &config, 0) {
            Ok(client) => client,
            Err(words) => {
                tracing::error!("cannot retry held deliveries: {words}");
                return;
            }
        };
        for &sequence in held {
            if self.control.deadline().is_some() {
                return;
            }
            let Some((record, reason)) = self.record_of(sequence) else {
                continue;
            };
            if let Probe::Unusable(..) = client.probe(&record.topic, Duration::from_secs(2)) {
                return;
            }
            let (hang_ups, _) = client.health().hang_ups();
            let Some(report) = self.offer(&client, sequence, &record) else {
                return;
            };
            match report.result {
                Ok((partition, offset)) => {
                    let mut bytes = Vec::new();
                    Outcome::Quarantined {
                        reason,
                        topic: record.topic.as_str().into(),
                        partition,
                        offset,
                    }
                    .encode(&mut bytes);
                    match self.journal.release(sequence, Taker::Quarantine) {
                        Ok(true) => {}
                        // A replay was faster.
                        Ok(false) => continue,
                        Err(error) => {
                            tracing::error!(
                                sequence,
                                "delivery {sequence} is in quarantine now, but its copy on disk cannot be released: {error}"
                            );
                            continue;
                        }
                    }
                    self.journal.note_outcome(sequence, &bytes);
                    sink.quarantined(reason);
                    tracing::info!(
                        sequence,
                        topic = record.topic,
                        "delivery {sequence} is no longer held: {} has taken it",
                        record.topic
                    );
                }
                Err(code) => match classify(code) {
                    Class::Record(_) => {}
                    Class::Compression => {
                        // The next attempt goes with another codec.
                        let _ = self.surroundings.compression.refused();
                        return;
                    }
                    // It alone may make the broker hang up, which must not stop the others.
                    _ if client.health().hang_ups().0 > hang_ups => {}
                    _ => return,
                },
            }
        }
    }

    /// The quarantine record of a held delivery; `None` where this bridge still cannot read it.
    fn record_of(&self, sequence: Sequence) -> Option<(Record, QuarantineReason)> {
        let (note, body) = match self.journal.read_held(sequence) {
            Ok(kept) => kept,
            // A replay was faster.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!(sequence, "held delivery {sequence} cannot be read: {error}");
                return None;
            }
        };
        let occasion = Occasion {
            sequence,
            now: now(),
            replay: false,
        };
        // Its main record was refused for what the copy says; size is nearly always it, should the copy not say.
        let noted = match Outcome::decode(&note) {
            Some(Outcome::Held {
                reason: HeldReason::Refused(reason),
            }) => reason,
            _ => QuarantineReason::RecordTooLarge,
        };
        let (mut record, reason) = catch_unwind(AssertUnwindSafe(|| {
            let delivery = Delivery::decode(&body).ok()?;
            let ordinary = record(&delivery, &self.settings, occasion);
            if let Some(reason) = ordinary.quarantined {
                return Some((ordinary, reason));
            }
            Some((
                quarantine_record(&delivery, noted, &self.settings, occasion),
                noted,
            ))
        }))
        .ok()
        .flatten()?;
        // A topic may refuse what is older than its `message.timestamp.before.max.ms`; the acceptance stands in `ce_time`.
        record.timestamp = occasion.now;
        Some((record, reason))
    }

    /// Sends one and waits for its report; `None` when there is none in time.
    fn offer(&self, client: &Client, sequence: Sequence, record: &Record) -> Option<Report> {
        match client.send(sequence, record) {
            Ok(()) => {}
            Err(NotTaken::Full) => return None,
            Err(NotTaken::Refused(code)) => {
                return Some(Report {
                    epoch: 0,
                    sequence,
                    at: now(),
                    result: Err(code),
                    broker: -1,
                });
            }
        }
        let until = Instant::now() + PATIENCE;
        let mut reports = Vec::new();
        while still(until).is_some() && self.control.deadline().is_none() {
            self.surroundings.inbox.wait(Duration::from_millis(100));
            self.surroundings.inbox.take(&mut reports);
            if let Some(report) = reports.iter().find(|report| report.sequence == sequence) {
                return Some(*report);
            }
        }
        None
    }
}
