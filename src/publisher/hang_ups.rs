//! What the loop does when brokers hang up on batches instead of answering them: see `suspicion` for what may be concluded.
//!
//! librdkafka sends such a batch again by itself, which is right when a connection breaks once. Only when several connections have ended while batches
//! were under way, and the cursor has not moved meanwhile, are the records sent one at a time. If each of them is taken, the batch was too
//! large, and later ones are smaller, for a while.
use super::forward::weight;
use super::line::{Carry, Line, Rest};
use super::prepare::Verdict;
use super::recovery::{Round, Trouble};
use super::suspicion::{HANG_UPS, Heard, REASON, Subject, Suspicion};
use crate::domain::record::Record;
use crate::journal::Sequence;
use std::time::{Duration, Instant};

/// How long batches stay small for this: connections that end at random make them so as well.
const SMALL_FOR: Duration = Duration::from_secs(600);

/// What is known of brokers that hang up.
#[derive(Default)]
pub(super) struct HangUps {
    suspicion: Suspicion,
    /// The record that is under way, alone.
    under_way: Option<Subject>,
    /// Where the cursor was at the last look, and how many connections had ended when it came there.
    cursor: Sequence,
    before: u64,
    /// When batches were made smaller for this.
    small_since: Option<Instant>,
}

impl HangUps {
    /// A new producer counts from nothing.
    pub(super) fn count_anew(&mut self) {
        self.before = 0;
    }

    /// Whether suspects are passed over at present.
    pub(super) fn is_passing(&self) -> bool {
        self.suspicion.is_passing()
    }

    /// The search, if it was one of this kind, is over.
    pub(super) fn end(&mut self, of_this_kind: bool) {
        self.suspicion = Suspicion::default();
        if of_this_kind {
            self.small_since = Some(Instant::now());
        }
    }
}

impl Line {
    /// Whether records go one at a time, the next when the one before has its report.
    pub(super) fn goes_one_by_one(&self) -> bool {
        self.round.as_ref().is_some_and(|round| round.hung_up)
    }

    /// Notices connections that end while batches are under way.
    pub(super) fn look_for_hang_ups(&mut self) {
        let Some((count, broker)) = self
            .client
            .as_ref()
            .map(|client| client.health().hang_ups())
        else {
            return;
        };
        let cursor = self.window.progress().sequence;
        let one_by_one = self.goes_one_by_one();
        if cursor != self.hang_ups.cursor && !one_by_one {
            self.hang_ups.cursor = cursor;
            self.hang_ups.before = count;
        }
        let ended = count.saturating_sub(self.hang_ups.before);
        if self.window.sent() == 0 {
            self.hang_ups.before = count;
            return;
        }
        if self.trouble.is_some() {
            // A refusal says more.
            return;
        }
        if one_by_one && ended > 0 {
            self.hang_ups.before = count;
            if let Some(subject) = self.hang_ups.under_way.take() {
                let topic = subject.topic.clone();
                self.hang_ups.suspicion.hung_up(subject, broker);
                self.trouble = Some(Trouble {
                    reason: REASON,
                    topic,
                    words: format!("broker {broker} ended the connection on a single record"),
                });
            }
        } else if ended >= HANG_UPS {
            let (until, bytes) = self.window.extent();
            let known = self.round.take();
            self.round = Some(Round {
                until: known.map_or(until, |known| known.until.max(until)),
                bytes,
                guilty: false,
                hung_up: true,
                stamp: None,
            });
            self.trouble = Some(Trouble {
                reason: REASON,
                topic: "any".to_owned(),
                words: format!(
                    "{ended} connections ended while batches were under way, the last with broker {broker}, and the oldest record was \
                     not acknowledged meanwhile; records go one at a time to find out why"
                ),
            });
        }
    }

    /// Whether a record is not to be sent now, while others are tried.
    pub(super) fn is_passed_over(&self, sequence: Sequence, record: &Record) -> bool {
        let (topic, key) = (&record.topic, record.key.as_deref());
        let suspicion = &self.hang_ups.suspicion;
        self.goes_one_by_one() && suspicion.passes_over(sequence, topic, key)
    }

    /// A record was handed over.
    pub(super) fn is_under_way(&mut self, carry: Carry) {
        if self.goes_one_by_one() {
            self.hang_ups.under_way = Some(Subject {
                sequence: carry.sequence,
                bytes: weight(&carry.record),
                topic: carry.record.topic,
                key: carry.record.key,
                quarantined: carry.record.quarantined,
            });
        }
    }

    /// A record that went alone was acknowledged.
    pub(super) fn heard(&mut self, sequence: Sequence, bytes: usize, broker: i32) {
        self.hang_ups.under_way = None;
        let suspicion = &mut self.hang_ups.suspicion;
        let Heard { condemned, again } = suspicion.acknowledged(sequence, bytes, broker);
        for (subject, reason) in &condemned {
            let verdict = Verdict::on(subject.quarantined, *reason);
            self.pronounce(subject.sequence, verdict, &subject.topic);
            if let Some(round) = &mut self.round {
                round.guilty = true;
            }
        }
        if again || !condemned.is_empty() {
            self.rewind();
        }
    }

    /// Whether there is no record left that could be tried beside the suspects.
    pub(super) fn is_at_a_loss(&self) -> bool {
        let suspicion = &self.hang_ups.suspicion;
        let nothing_more = self.caught_up && self.next_read > self.journal.last_sequence();
        suspicion.is_passing()
            && self.window.sent() == 0
            && (suspicion.is_hopeless() || nothing_more || !self.window.has_room(self.next_read))
    }

    /// The suspects once more, after a pause; that counts for nothing.
    pub(super) fn try_suspects_again(&mut self) -> Rest {
        self.hang_ups.suspicion.try_again();
        self.rewind();
        let pause = self.backoff.next();
        self.read_at = Some(Instant::now() + pause);
        Rest::Inbox(pause)
    }

    /// Batches are of their ordinary size again, some time after brokers hung up on them; between two records, when that costs nothing.
    pub(super) fn forget_hang_ups(&mut self) {
        let old = |since: Instant| since.elapsed() >= SMALL_FOR;
        if self.window.sent() == 0
            && self.round.is_none()
            && self.hang_ups.small_since.is_some_and(old)
        {
            self.hang_ups.small_since = None;
            self.batch_size = None;
            self.carry = None;
            self.client = None;
        }
    }
}
