//! What happens when publishing does not get on: go back to the cursor with a new producer.
//!
//! Never is a single record sent again: it would overtake those behind it. The producer is discarded as a whole (which reports
//! what it still had), and everything without acknowledgement is sent again in order by the next.
//!
//! A broker refuses whole batches, so a refused batch is no verdict on any record in it. Its records are sent **alone**, each in
//! its own batch (`batch.num.messages=1`; pipelined, so in order and at speed), up to the last of the suspects. Who is refused
//! there is guilty. If nobody is, the batch itself was too large for the topic, and later batches are smaller.
use super::code::Code;
use super::in_flight::Entry;
use super::kafka::{Batching, Client};
use super::lessons::RefusedStamp;
use super::line::{Line, Rest, still};
use super::prepare::Verdict;
use super::verdict::{Class, FailureReason, classify};
use crate::domain::reasons::QuarantineReason;
use crate::journal::Sequence;
use std::time::{Duration, Instant};

/// Under this a smaller `batch.size` saves little and costs throughput: from here on records go alone.
const SMALLEST_BATCH: usize = 16 * 1024;

/// librdkafka's default of `batch.size`.
const ORDINARY_BATCH: usize = 1_000_000;

/// Why the producer is to be discarded.
pub(super) struct Trouble {
    pub(super) reason: FailureReason,
    pub(super) topic: String,
    pub(super) words: String,
}

/// A search for the culprit of a refused batch.
pub(super) struct Round {
    /// The last suspect.
    pub(super) until: Sequence,
    /// What the suspects weigh together; 0 where the size of their batch is not what was refused.
    pub(super) bytes: usize,
    /// Whether one was found.
    pub(super) guilty: bool,
    /// The batch was not refused, but its connection ended: the records go one at a time (`hang_ups`).
    pub(super) hung_up: bool,
    /// What is to be learnt where none is found: that of several invalid records, the youngest timestamp was refused.
    pub(super) stamp: Option<RefusedStamp>,
}

/// Pauses between attempts: doubling, and short again after the first success.
pub(super) struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            next: first,
        }
    }

    /// How long to wait this time.
    pub(super) fn next(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.max);
        now
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

impl Line {
    /// Builds the next producer once the pause is over.
    pub(super) fn build_when_due(&mut self) -> Rest {
        if let Some(wait) = self.retry_at.and_then(still) {
            return Rest::Inbox(wait);
        }
        self.epoch += 1;
        self.alone = self.always_alone || self.round.is_some();
        let batching = Batching {
            alone: self.alone,
            size: self.batch_size,
        };
        let config = self.surroundings.config(batching);
        match Client::build(&self.surroundings, &config, self.epoch) {
            Ok(client) => {
                self.client = Some(client);
                self.rewind();
                self.forget_topics();
                self.hang_ups.count_anew();
                self.last_report = Instant::now();
                Rest::No
            }
            Err(words) => {
                self.report_failure(FailureReason::Other, "the producer", &words);
                let pause = self.backoff.next();
                self.retry_at = Some(Instant::now() + pause);
                Rest::Inbox(pause)
            }
        }
    }

    /// A record came back unacknowledged.
    pub(super) fn refused(&mut self, sequence: Sequence, entry: Entry, code: Code) {
        let topic = self.names.get(entry.topic).cloned().unwrap_or_default();
        match classify(code) {
            // What is discarded with its producer.
            Class::Purged if self.client.is_none() => {}
            // librdkafka has given the producer up; or a broker has sent a number that is none of its own.
            Class::Purged | Class::Failure(FailureReason::Fatal) => {
                self.gave_up(&topic, code);
            }
            Class::Timestamp => {
                self.learned.refused(&topic, entry.timestamp);
                self.trouble_with(FailureReason::Clock, &topic, code);
            }
            Class::Compression => {
                self.learned.compression = true;
                self.trouble_with(FailureReason::Other, &topic, code);
            }
            Class::Record(reason) if self.alone => {
                self.condemned += 1;
                self.pronounce(sequence, Verdict::on(entry.quarantined, reason), &topic);
                self.trouble_with(FailureReason::RecordRefused, &topic, code);
            }
            Class::Record(reason) => {
                // Only one of the two codes can mean the size of the batch.
                let too_large = reason == QuarantineReason::RecordTooLarge;
                self.suspects
                    .push((sequence, if too_large { entry.bytes } else { 0 }));
                if !too_large {
                    self.learned.invalid(&topic, entry.timestamp);
                }
                self.trouble_with(FailureReason::RecordRefused, &topic, code);
            }
            Class::Bystander if !self.alone => {
                // Another record of the batch is to blame, so not the batch's size.
                self.suspects.push((sequence, 0));
                self.trouble_with(FailureReason::RecordRefused, &topic, code);
            }
            Class::Bystander => self.trouble_with(FailureReason::Other, &topic, code),
            Class::Failure(reason) => {
                // Metadata may be read where writing is forbidden: the gate is open, and the record comes back.
                if let Some(why) = entry.quarantined
                    && matches!(
                        reason,
                        FailureReason::Unauthorized | FailureReason::UnknownTopic
                    )
                    && self.quarantine_is_given_up()
                {
                    self.pronounce(sequence, Verdict::Hold(why), &topic);
                }
                self.trouble_with(reason, &topic, code);
            }
        }
    }

    /// Notes trouble: the cause rather than its consequences, the first of several.
    pub(super) fn trouble_with(&mut self, reason: FailureReason, topic: &str, code: Code) {
        self.trouble_because(reason, topic, code.to_string());
    }

    /// librdkafka has given the producer up: what is told is why.
    pub(super) fn gave_up(&mut self, topic: &str, code: Code) {
        let explained = self.client.as_ref().map(|client| client.explain(code));
        let (reason, words) = explained.unwrap_or((FailureReason::Fatal, code.to_string()));
        self.trouble_because(reason, topic, words);
    }

    fn trouble_because(&mut self, reason: FailureReason, topic: &str, words: String) {
        let explains = |reason| match reason {
            FailureReason::RecordRefused => 3,
            // librdkafka gives the producer up *because* of something, and all that is in flight with it.
            FailureReason::Fatal => 0,
            FailureReason::Other => 1,
            _ => 2,
        };
        if self
            .trouble
            .as_ref()
            .is_none_or(|known| explains(reason) > explains(known.reason))
        {
            self.trouble = Some(Trouble {
                reason,
                topic: topic.to_owned(),
                words,
            });
        }
    }

    /// A verdict on a record; it takes effect when the record is read again.
    pub(super) fn pronounce(&mut self, sequence: Sequence, verdict: Verdict, topic: &str) {
        let (Verdict::Quarantine(reason) | Verdict::Hold(reason)) = verdict;
        tracing::warn!(
            sequence,
            topic,
            reason = reason.name(),
            "topic {topic} does not take delivery {sequence} itself ({}); {}",
            reason.name(),
            match verdict {
                Verdict::Quarantine(_) => "it goes to quarantine",
                Verdict::Hold(_) => "it will be held on disk",
            }
        );
        self.verdicts.insert(sequence, verdict);
    }

    /// Discards the producer and arranges for the next.
    pub(super) fn go_back(&mut self, trouble: Trouble) {
        self.trouble = Some(trouble);
        // Dropping reports whatever the producer still had, acknowledged or purged.
        drop(self.client.take());
        self.settle_reports();
        let Some(mut trouble) = self.trouble.take() else {
            return;
        };
        self.window.go_back();
        self.rewind();
        self.sink.rebuilt();
        let mut suspects = std::mem::take(&mut self.suspects);
        let condemned = std::mem::take(&mut self.condemned);
        let mut learned = std::mem::take(&mut self.learned);
        let invalid = learned.take_invalid();
        let learned = self.learn(learned, &mut trouble);
        if learned {
            // The refused batch is explained: it goes again, otherwise.
            suspects.clear();
            if let Some(round) = &mut self.round {
                round.guilty = true;
            }
        }
        if condemned > 0 {
            // Found: the verdicts are known, go on at once.
            if let Some(round) = &mut self.round {
                round.guilty = true;
            }
            self.sink.failure(trouble.reason);
            self.retry_at = None;
        } else if let Some(&(until, _)) = suspects.iter().max_by_key(|(sequence, _)| *sequence) {
            tracing::warn!(
                topic = trouble.topic,
                "topic {} refused a batch of {} records ({}); they are sent one by one to find out why",
                trouble.topic,
                suspects.len(),
                trouble.words
            );
            self.sink.failure(trouble.reason);
            self.round = Some(Round {
                until,
                bytes: suspects.iter().map(|(_, bytes)| bytes).sum(),
                guilty: false,
                hung_up: false,
                stamp: invalid,
            });
            self.retry_at = None;
        } else {
            self.sink.failure(trouble.reason);
            if !learned {
                self.tell(
                    trouble.reason,
                    &format!("topic {}", trouble.topic),
                    &trouble.words,
                );
            }
            self.retry_at = (!learned).then(|| Instant::now() + self.backoff.next());
        }
    }

    /// Whether all suspects have their outcome.
    pub(super) fn round_is_over(&self) -> bool {
        self.round
            .as_ref()
            .is_some_and(|round| self.window.progress().sequence >= round.until)
    }

    /// Goes on with ordinary batches: smaller ones, where none of the suspects was guilty.
    pub(super) fn end_round(&mut self) {
        let Some(round) = self.round.take() else {
            return;
        };
        if !round.guilty && round.bytes > 0 && !self.always_alone {
            self.shrink_batches(&round);
        }
        if let Some(stamp) = round.stamp
            && !round.guilty
        {
            // Old enough to be refused among others, and by now so old that it went with the present.
            self.learn_that_it_was_too_old(&stamp);
        }
        self.hang_ups.end(round.hung_up && !round.guilty);
        if self.always_alone {
            return;
        }
        drop(self.client.take());
        self.settle_reports();
        self.window.go_back();
        self.rewind();
        self.sink.rebuilt();
        self.retry_at = None;
    }

    fn shrink_batches(&mut self, round: &Round) {
        let present = self.batch_size.unwrap_or_else(|| {
            self.surroundings
                .properties
                .get("batch.size")
                .and_then(|size| size.parse().ok())
                .unwrap_or(ORDINARY_BATCH)
        });
        if present <= SMALLEST_BATCH && round.hung_up {
            // Connections that end at random are no reason to go one by one for ever.
        } else if present <= SMALLEST_BATCH {
            self.always_alone = true;
            tracing::warn!(
                "the topic takes no batch of {present} bytes, though each record alone: records go one by one from now on; \
                 raise the topic's max.message.bytes"
            );
        } else {
            let size = (present.min(round.bytes) / 2).max(SMALLEST_BATCH);
            self.batch_size = Some(size);
            tracing::warn!(
                batch_size = size,
                "the topic took each record of the refused batch alone: batches are limited to {size} bytes from now on; \
                 set batch.size below {}, or raise that",
                match round.hung_up {
                    true => "the brokers' socket.request.max.bytes",
                    false => "the topic's max.message.bytes",
                }
            );
        }
    }

    /// Something was acknowledged: all is well.
    pub(super) fn recovered(&mut self) {
        self.unexplained = 0;
        self.blocked_since = None;
        if self.failing {
            self.failing = false;
            tracing::info!("publishing goes on");
        }
        self.backoff.reset();
    }

    /// Logs a failure once in a while and counts it as often as it is logged: for what is tried again and again.
    pub(super) fn report_failure(&mut self, reason: FailureReason, what: &str, words: &str) {
        if self.tell(reason, what, words) {
            self.sink.failure(reason);
        }
    }

    /// Logs a failure, the same one once in a while; says whether it did.
    pub(super) fn tell(&mut self, reason: FailureReason, what: &str, words: &str) -> bool {
        let Some(held_back) = self.surroundings.throttle.pass(reason.name(), what) else {
            return false;
        };
        self.failing = true;
        tracing::error!(
            reason = reason.name(),
            what,
            brokers = self.surroundings.brokers,
            held_back,
            "publishing does not get on ({}): {what} at {}: {words}; {}",
            reason.name(),
            self.surroundings.brokers,
            reason.way_out()
        );
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_start_short_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        let pauses: Vec<_> = (0..4).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 350, 350]);
        backoff.reset();
        assert_eq!(backoff.next().as_millis(), 100);
    }
}
