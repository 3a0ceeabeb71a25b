//! Offers a chunk of records to Kafka and settles it before the next: few are ever in flight, and order survives every failure.
//!
//! Failures are met as by the publisher (`recovery`), with a chunk in the place of the window: the producer is discarded and what was not
//! acknowledged is sent again in order. A broker refuses whole batches; the records of a refused one are sent alone, and who is refused
//! there is guilty: it goes to quarantine, and if that refuses it as well it is given up and stays what it was.

use super::super::PublisherSettings;
use super::super::clock::Clock;
use super::super::inbox::Report;
use super::super::kafka::{Batching, Client, NotTaken, Surroundings, now};
use super::super::recovery::Backoff;
use super::run::Desk;
use crate::domain::delivery::Millis;
use crate::domain::outcome::Fate;
use crate::domain::record::Record;
use crate::journal::Sequence;
use crate::work::Stop;
use rdkafka::types::RDKafkaErrorCode as Code;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Records in flight at most, and their bytes: what a live record may find before it on a connection.
const RECORDS: usize = 256;
const BYTES: usize = 1 << 20;

/// How often reports, and the wish to end, are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is in flight when the end is asked for may take so long.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// How many silences in a row the producer survives.
const SILENCES: u32 = 6;

/// Trouble that is no absence of brokers, and has lasted for so long without one acknowledgement, is not going to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A delivery to publish again.
pub(super) struct Item {
    pub sequence: Sequence,
    /// What became of it before.
    pub fate: Fate,
    pub accepted_at: Millis,
    /// Its record in the journal.
    pub body: Vec<u8>,
    pub record: Record,
}

/// Whether a chunk is as large as it may be.
pub(super) fn is_full(chunk: &[Item]) -> bool {
    let bytes: usize = chunk.iter().map(|item| item.record.value.len()).sum();
    chunk.len() >= RECORDS || bytes >= BYTES
}

/// What became of an item.
pub(super) enum Settled {
    /// Kafka has it.
    Taken {
        partition: i32,
        offset: i64,
        at: Millis,
    },
    /// Neither topic takes it.
    Refused,
}

/// Why it does not go on.
pub(super) enum Halt {
    Stopped(Stop),
    /// In a sentence.
    Failed(String),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

/// Hears what becomes of each item.
pub(super) type Settle<'s> = &'s mut dyn FnMut(&Item, &Settled);

/// A record that came back, or was not even taken.
pub(super) struct Refusal {
    pub sequence: Sequence,
    pub code: Code,
    /// It went alone, or the client measured this one record: the code speaks of it.
    pub alone: bool,
}

/// The replay's producer.
pub(super) struct Offerer<'a> {
    pub surroundings: Surroundings,
    pub settings: &'a PublisherSettings,
    pub client: Option<Client>,
    epoch: u64,
    /// Each record alone in its batch.
    pub alone: bool,
    /// Whether that is for good: the topic takes no batch.
    always_alone: bool,
    pub usable: HashSet<String>,
    pub backoff: Backoff,
    /// Ours, against the brokers'.
    pub clock: Clock,
    /// Since when nothing was acknowledged, where something should have been.
    pub stuck_since: Option<Instant>,
}

impl<'a> Offerer<'a> {
    pub fn new(surroundings: Surroundings, settings: &'a PublisherSettings) -> Self {
        let timings = settings.timings;
        Self {
            surroundings,
            settings,
            client: None,
            epoch: 0,
            alone: false,
            always_alone: false,
            usable: HashSet::new(),
            backoff: Backoff::new(timings.backoff_first, timings.backoff_max),
            clock: Clock::default(),
            stuck_since: None,
        }
    }

    /// Offers the items, in order, until each is settled; those that are not, when it halts, stay in `items`.
    pub fn offer(
        &mut self,
        items: &mut Vec<Item>,
        desk: &mut Desk<'_>,
        settle: Settle<'_>,
    ) -> Result<(), Halt> {
        let mut guilty = 0;
        while !items.is_empty() {
            self.build(desk)?;
            self.open_gates(items, desk)?;
            let latest = self.clock.latest(now());
            for item in &mut *items {
                item.record.timestamp = item.record.timestamp.min(latest);
            }
            let refusals = self.send(items, desk, settle)?;
            guilty += self.judge(&refusals, items, desk, settle)?;
        }
        if self.alone && !self.always_alone {
            if guilty == 0 {
                self.always_alone = true;
                tracing::warn!(
                    "replay: the topic took each record of a refused batch alone; the rest goes one by one"
                );
            } else {
                self.alone = false;
                self.client = None;
            }
        }
        Ok(())
    }

    fn build(&mut self, desk: &mut Desk<'_>) -> Result<(), Halt> {
        while self.client.is_none() {
            self.epoch += 1;
            let mut config = self.surroundings.config(Batching {
                alone: self.alone,
                size: None,
            });
            if self.alone {
                // One refusal is not to end the producer.
                config.set("enable.gapless.guarantee", "false");
            }
            match Client::build(&self.surroundings, &config, self.epoch) {
                Ok(client) => {
                    self.client = Some(client);
                    self.usable.clear();
                }
                Err(words) => {
                    stuck(&mut self.stuck_since, &words)?;
                    desk.say(Some(&format!("waits: no producer can be built: {words}")));
                    desk.pause(self.backoff.next())?;
                }
            }
        }
        Ok(())
    }

    /// Hands all items over, and waits until each is reported; takes out those that were acknowledged.
    fn send(
        &mut self,
        items: &mut Vec<Item>,
        desk: &mut Desk<'_>,
        settle: Settle<'_>,
    ) -> Result<Vec<Refusal>, Halt> {
        let Some(client) = &self.client else {
            return Ok(Vec::new());
        };
        let mut refusals = Vec::new();
        let mut sent = 0;
        for item in &*items {
            match client.send(item.sequence, &item.record) {
                Ok(()) => sent += 1,
                // The rest goes with the next round.
                Err(NotTaken::Full) => break,
                Err(NotTaken::Refused(code)) => {
                    refusals.push(Refusal {
                        sequence: item.sequence,
                        code,
                        alone: true,
                    });
                    break;
                }
            }
        }
        let mut reports = Vec::new();
        let mut heard = Instant::now();
        let mut silences = 0;
        while sent > 0 {
            if let Some(stop) = desk.stop() {
                if let Some(client) = self.client.take() {
                    client.flush(LAST_FLUSH);
                }
                self.surroundings.inbox.take(&mut reports);
                self.settle(&mut reports, items, &mut refusals, desk, settle);
                return Err(stop.into());
            }
            self.surroundings.inbox.wait(LOOK_EVERY);
            self.surroundings.inbox.take(&mut reports);
            if !reports.is_empty() {
                heard = Instant::now();
                sent -= self
                    .settle(&mut reports, items, &mut refusals, desk, settle)
                    .min(sent);
            } else if heard.elapsed() >= self.settings.timings.stall {
                heard = Instant::now();
                silences += 1;
                self.look_into_silence(items, desk)?;
                if silences >= SILENCES {
                    // The producer itself is suspected.
                    self.client = None;
                    return Ok(refusals);
                }
            }
        }
        Ok(refusals)
    }

    /// Takes reports over; how many were of this producer.
    fn settle(
        &mut self,
        reports: &mut Vec<Report>,
        items: &mut Vec<Item>,
        refusals: &mut Vec<Refusal>,
        desk: &mut Desk<'_>,
        settle: Settle<'_>,
    ) -> usize {
        let mut mine = 0;
        for report in reports.drain(..) {
            if report.epoch != self.epoch {
                continue;
            }
            mine += 1;
            let (partition, offset) = match report.result {
                Ok(place) => place,
                Err(code) => {
                    refusals.push(Refusal {
                        sequence: report.sequence,
                        code,
                        alone: self.alone,
                    });
                    continue;
                }
            };
            self.stuck_since = None;
            self.backoff.reset();
            let taken = Settled::Taken {
                partition,
                offset,
                at: report.at,
            };
            done(items, report.sequence, &taken, desk, settle);
        }
        mine
    }
}

/// Trouble that waiting may end; not for ever.
pub(super) fn stuck(since: &mut Option<Instant>, words: &str) -> Result<(), Halt> {
    if since.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
        return Ok(());
    }
    Err(Halt::Failed(format!(
        "Kafka has taken nothing for {} s: {words}",
        PATIENCE.as_secs()
    )))
}

/// Takes an item out, its fate being known.
pub(super) fn done(
    items: &mut Vec<Item>,
    sequence: Sequence,
    settled: &Settled,
    desk: &mut Desk<'_>,
    settle: Settle<'_>,
) {
    if let Ok(at) = items.binary_search_by_key(&sequence, |item| item.sequence) {
        let item = items.remove(at);
        settle(&item, settled);
        desk.done += 1;
        desk.say(None);
    }
}
