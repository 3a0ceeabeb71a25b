//! Forward: from the journal through the gate to the producer, one delivery at a time and in order.
use super::in_flight::{Done, Entry, Standing};
use super::kafka::{NotTaken, now};
use super::line::{Carry, IDLE_TICK, Line, Rest, TICK};
use super::prepare::{Prepared, Verdict, prepare};
use super::verdict::{Class, FailureReason, classify};
use crate::domain::outcome::{HeldReason, Outcome};
use crate::domain::record::{Occasion, Record};
use crate::journal::Sequence;
use crate::journal::reader::Next;
use std::time::{Duration, Instant};

impl Line {
    /// Reads one delivery and hands it over.
    pub(super) fn read(&mut self, wait: Duration) -> Rest {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            empty => {
                self.next_read = self.window.progress().sequence + 1;
                empty.insert(self.journal.reader(self.next_read))
            }
        };
        match reader.next(wait) {
            Ok(Next::Record(stored)) => {
                let sequence = stored.sequence;
                // The reader tells of every gap; should one slip by, it is passed as what it is.
                if sequence > self.next_read {
                    self.window.skip(self.next_read, sequence - 1, false);
                }
                self.next_read = sequence + 1;
                let again = match self.window.standing(sequence) {
                    Standing::Done | Standing::Sent => return Rest::No,
                    Standing::Unsent => true,
                    Standing::New => false,
                };
                let verdict = self.verdicts.get(&sequence).copied();
                let occasion = Occasion {
                    sequence,
                    // Of this moment: the reader may have waited for what was accepted only then.
                    now: now(),
                    replay: false,
                };
                match prepare(stored.body, occasion, verdict, &self.settings.record) {
                    Prepared::Send {
                        mut record,
                        accepted_at,
                    } => {
                        if self.is_passed_over(sequence, &record) {
                            return Rest::No;
                        }
                        let wanted = record.timestamp;
                        record.timestamp = self.stamps.stamp(&record.topic, wanted, occasion.now);
                        self.hand_over(Carry {
                            sequence,
                            record,
                            accepted_at,
                            again,
                            not_before: None,
                        })
                    }
                    Prepared::Hold { reason, detail } => {
                        self.encoded.clear();
                        Outcome::Held { reason }.encode(&mut self.encoded);
                        let kept = self.journal.hold(sequence, &self.encoded, stored.body);
                        self.hold(sequence, reason, &detail, kept)
                    }
                }
            }
            Ok(Next::Missing {
                from,
                to,
                written_off,
            }) => {
                self.pass_missing(from, to, written_off);
                Rest::No
            }
            Ok(Next::Idle) => {
                self.caught_up = true;
                let quiet = self.window.sent() == 0 && self.window.unsaved() == 0;
                Rest::Reader(if quiet { IDLE_TICK } else { TICK })
            }
            Ok(Next::Closed) => {
                self.caught_up = true;
                self.closed = true;
                Rest::Inbox(TICK)
            }
            Err(error) => {
                // The reader stays: it counts its failures, and passes a place that lastingly cannot be read as damage.
                self.report_failure(
                    FailureReason::Journal,
                    "the journal",
                    &format!("reading sequence {}: {error}", self.next_read),
                );
                self.pause_reading()
            }
        }
    }

    fn pass_missing(&mut self, from: Sequence, to: Sequence, written_off: bool) {
        self.count_copies(from, to);
        let lost = self.window.skip(from, to, written_off);
        self.window.advance();
        self.next_read = self.next_read.max(to.saturating_add(1));
        if lost > 0 && !written_off {
            self.sink.lost(lost);
            tracing::error!(
                from,
                to,
                "{lost} deliveries (among the sequences {from} to {to}) are lost to damage in the journal and are not published; \
                 see `journal verify` and the segments set aside"
            );
        }
    }

    /// Of what is missing some may be held: copied by an earlier process that did not live to save its cursor.
    fn count_copies(&mut self, from: Sequence, to: Sequence) {
        let copies = self.journal.held_ahead().into_iter();
        for sequence in copies.filter(|sequence| (from..=to).contains(sequence)) {
            // With the producer: its report decides.
            if let Standing::Done | Standing::Sent = self.window.standing(sequence) {
                continue;
            }
            if let Ok((note, _)) = self.journal.read_held(sequence) {
                self.journal.note_outcome(sequence, &note);
            }
            self.window.settle(sequence, Done::Held);
            tracing::warn!(
                sequence,
                "delivery {sequence} is missing in the journal, but a copy of it is held on disk; \
                 it is offered to the quarantine topic by and by"
            );
        }
    }

    fn hold(
        &mut self,
        sequence: Sequence,
        reason: HeldReason,
        detail: &str,
        kept: std::io::Result<()>,
    ) -> Rest {
        if let Err(error) = kept {
            // The cursor must not pass it: read it again later.
            self.read_again(sequence);
            self.report_failure(
                FailureReason::Journal,
                "the journal",
                &format!("holding delivery {sequence}: {error}"),
            );
            return self.pause_reading();
        }
        self.note(sequence, &Outcome::Held { reason });
        self.verdicts.remove(&sequence);
        self.window.settle(sequence, Done::Held);
        self.window.advance();
        tracing::error!(
            sequence,
            reason = reason.name(),
            "delivery {sequence} is held on disk ({}): {detail}; it is offered to the quarantine topic again by and by",
            reason.name()
        );
        Rest::No
    }

    /// Gives a record to the producer, or says how long to wait with it.
    pub(super) fn hand_over(&mut self, carry: Carry) -> Rest {
        let Some(client) = &self.client else {
            self.carry = Some(carry);
            return Rest::No;
        };
        if !self.usable.contains(&carry.record.topic) {
            return self.open_gate(carry);
        }
        match client.send(carry.sequence, &carry.record) {
            Ok(()) => {
                if self.window.sent() == 0 {
                    self.last_report = Instant::now();
                }
                let entry = Entry {
                    accepted_at: carry.accepted_at,
                    timestamp: carry.record.timestamp,
                    kind: carry.record.kind,
                    quarantined: carry.record.quarantined,
                    topic: self.number_of(&carry.record.topic),
                    bytes: weight(&carry.record),
                    again: carry.again,
                };
                self.window.send(carry.sequence, entry);
                self.is_under_way(carry);
                Rest::No
            }
            Err(NotTaken::Full) => {
                self.carry = Some(carry);
                Rest::Inbox(TICK)
            }
            Err(NotTaken::Refused(code)) => {
                match classify(code) {
                    // The client measured this one record: no batch is involved.
                    Class::Record(reason) => {
                        let verdict = Verdict::on(carry.record.quarantined, reason);
                        self.pronounce(carry.sequence, verdict, &carry.record.topic);
                        self.read_again(carry.sequence);
                    }
                    Class::Failure(FailureReason::Fatal) => {
                        self.gave_up(&carry.record.topic, code);
                    }
                    Class::Failure(reason) => {
                        self.trouble_with(reason, &carry.record.topic, code);
                    }
                    _ => self.trouble_with(FailureReason::Other, &carry.record.topic, code),
                }
                Rest::No
            }
        }
    }

    /// Nothing is read for a while; reports are settled meanwhile, and do not end the pause.
    fn pause_reading(&mut self) -> Rest {
        let pause = self.backoff.next();
        self.read_at = Some(Instant::now() + pause);
        Rest::Inbox(pause)
    }

    /// Reads on from `sequence`, again: a verdict makes another record of it.
    pub(super) fn read_again(&mut self, sequence: Sequence) {
        self.reader = Some(self.journal.reader(sequence));
        self.next_read = sequence;
    }

    fn number_of(&mut self, topic: &str) -> usize {
        // A handful of names, the same one nearly always.
        if let Some(number) = self.names.iter().position(|name| name == topic) {
            return number;
        }
        self.names.push(topic.to_owned());
        self.names.len() - 1
    }
}

/// What a record takes of the producer's memory: its bytes, headers at their usual size, and librdkafka's own book-keeping.
pub(super) fn weight(record: &Record) -> usize {
    record.value.len() + record.key.as_ref().map_or(0, Vec::len) + 512
}
