//! Offers a chunk of records to Kafka and settles it before the next: few are ever in flight, and order survives every failure.
//!
//! Failures are met as by the publisher (`recovery`), with a chunk in the place of the window: the producer is discarded and what was not
//! acknowledged is sent again in order. A broker refuses whole batches; the records of a refused one are sent alone, and who is refused
//! there is guilty: it goes to quarantine, and if that refuses it as well it is given up and stays what it was.

use super::super::PublisherSettings;
use super::super::code::Code;
use super::super::forward::weight;
use super::super::inbox::Report;
use super::super::kafka::{Batching, Client, NotTaken, Surroundings, now};
use super::super::recovery::Backoff;
use super::super::stamps::Stamps;
use super::super::suspicion::{HANG_UPS, Subject, Suspicion};
use super::super::topics::Created;
use super::run::Desk;
use crate::domain::delivery::Millis;
use crate::domain::outcome::Fate;
use crate::domain::reasons::QuarantineReason;
use crate::domain::record::Record;
use crate::journal::Sequence;
use crate::work::Stop;
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
    pub created: Created,
    /// With which timestamps records go.
    pub stamps: Stamps,
    /// Which records make a broker hang up, where that is being looked for: they go one at a time then.
    suspicion: Option<Suspicion>,
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
            created: Created::default(),
            stamps: Stamps::default(),
            suspicion: None,
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
            let present = self.stamps.present(now());
            for item in &mut *items {
                item.record.timestamp = present;
            }
            let refusals = self.send(items, desk, settle)?;
            guilty += self.judge(&refusals, items, desk, settle)?;
        }
        self.suspicion = None;
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
        let candidates = self.candidates(items);
        if candidates.is_empty() {
            if let Some(suspicion) = &mut self.suspicion {
                suspicion.try_again();
            }
            stuck(&mut self.stuck_since, "brokers hang up on what is left")?;
            desk.pause(self.backoff.next())?;
            return Ok(refusals);
        }
        let (before, _) = client.health().hang_ups();
        for item in candidates {
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
            } else if self.is_hung_up_on(before, items) {
                self.client = None;
                stuck(&mut self.stuck_since, "brokers end connections on batches")?;
                desk.pause(self.backoff.next())?;
                return Ok(refusals);
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

    /// What is to be sent now: everything, or one record that is not passed over.
    fn candidates<'i>(&self, items: &'i [Item]) -> Vec<&'i Item> {
        let Some(suspicion) = &self.suspicion else {
            return items.iter().collect();
        };
        let first = items.iter().find(|item| {
            let (topic, key) = (&item.record.topic, item.record.key.as_deref());
            !suspicion.passes_over(item.sequence, topic, key)
        });
        first
            .filter(|_| !suspicion.is_hopeless())
            .into_iter()
            .collect()
    }

    /// Whether connections have ended while records were under way, so that these are to be sent again one at a time, or the one that was
    /// alone is suspected. `before`: how many had ended when they were sent.
    fn is_hung_up_on(&mut self, before: u64, items: &[Item]) -> bool {
        let Some((count, broker)) = self
            .client
            .as_ref()
            .map(|client| client.health().hang_ups())
        else {
            return false;
        };
        let ended = count.saturating_sub(before);
        let under_way = self.candidates(items).first().copied();
        match (&mut self.suspicion, under_way) {
            (None, _) if ended >= HANG_UPS => {
                self.suspicion = Some(Suspicion::default());
                true
            }
            (Some(suspicion), Some(item)) if ended > 0 => {
                suspicion.hung_up(subject(item), broker);
                true
            }
            _ => false,
        }
    }

    /// An acknowledgement may show that others are guilty of hang-ups: as if they were refused alone.
    fn heard(&mut self, report: &Report, items: &[Item], refusals: &mut Vec<Refusal>) {
        let item = items.iter().find(|item| item.sequence == report.sequence);
        let (Some(suspicion), Some(item)) = (&mut self.suspicion, item) else {
            return;
        };
        let bytes = weight(&item.record);
        let heard = suspicion.acknowledged(report.sequence, bytes, report.broker);
        refusals.extend(heard.condemned.iter().map(|(subject, reason)| Refusal {
            sequence: subject.sequence,
            code: match reason {
                QuarantineReason::RecordTooLarge => Code::MESSAGE_SIZE_TOO_LARGE,
                _ => Code::INVALID_RECORD,
            },
            alone: true,
        }));
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
        for report in &std::mem::take(reports) {
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
            self.heard(report, items, refusals);
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

fn subject(item: &Item) -> Subject {
    Subject {
        sequence: item.sequence,
        topic: item.record.topic.clone(),
        key: item.record.key.clone(),
        bytes: weight(&item.record),
        quarantined: item.record.quarantined,
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
