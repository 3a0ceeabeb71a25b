//! Backward: from Kafka's reports to outcomes, and to the cursor on disk.
use super::in_flight::{Done, Entry};
use super::inbox::Report;
use super::line::{IDLE_TICK, Line, still};
use super::sink::Publication;
use super::verdict::FailureReason;
use crate::domain::event::EventKind;
use crate::domain::outcome::Outcome;
use crate::journal::Sequence;
use std::borrow::Cow;
use std::time::Instant;

impl Line {
    /// Settles what Kafka has reported.
    pub(super) fn settle_reports(&mut self) {
        let mut reports = std::mem::take(&mut self.reports);
        self.inbox.take(&mut reports);
        if !reports.is_empty() {
            self.last_report = Instant::now();
            for report in reports.drain(..) {
                self.settle(&report);
            }
            self.window.advance();
        }
        self.reports = reports;
    }

    fn settle(&mut self, report: &Report) {
        if report.epoch != self.epoch {
            return;
        }
        let Some(entry) = self.window.entry(report.sequence) else {
            return;
        };
        match report.result {
            Ok((partition, offset)) => self.acknowledged(report, entry, partition, offset),
            Err(code) => self.refused(report.sequence, entry, code),
        }
    }

    fn acknowledged(&mut self, report: &Report, entry: Entry, partition: i32, offset: i64) {
        let topic = self.names.get(entry.topic).map_or("", String::as_str);
        let topic = Cow::Borrowed(topic);
        self.encoded.clear();
        let done = match entry.quarantined {
            None => {
                Outcome::Published {
                    topic,
                    partition,
                    offset,
                }
                .encode(&mut self.encoded);
                self.sink.published(Publication {
                    topic: self.settings.record.topic.text(),
                    kind: entry.kind.unwrap_or(EventKind::Other),
                    accepted_at: entry.accepted_at,
                    acknowledged_at: report.at,
                    again: entry.again,
                });
                Done::Published
            }
            Some(reason) => {
                Outcome::Quarantined {
                    reason,
                    topic,
                    partition,
                    offset,
                }
                .encode(&mut self.encoded);
                self.sink.quarantined(reason);
                self.no_quarantine_since = None;
                Done::Quarantined
            }
        };
        self.journal.note_outcome(report.sequence, &self.encoded);
        self.window.settle(report.sequence, done);
        if self.copies.remove(&report.sequence) {
            self.journal.supersede(report.sequence);
        }
        if !self.verdicts.is_empty() {
            self.verdicts.remove(&report.sequence);
        }
        self.recovered();
        if self.goes_one_by_one() {
            self.heard(report.sequence, entry.bytes, report.broker);
        }
    }

    pub(super) fn note(&mut self, sequence: Sequence, outcome: &Outcome<'_>) {
        self.encoded.clear();
        outcome.encode(&mut self.encoded);
        self.journal.note_outcome(sequence, &self.encoded);
    }

    /// Writes the cursor; makes it durable when enough has gathered, enough time has passed, or it is the last time.
    pub(super) fn save(&mut self, last: bool) {
        if self.save_not_before.and_then(still).is_some() && !last {
            return;
        }
        let progress = self.window.progress();
        let due = self.window.unsaved() > 0
            && (self.window.unsaved() >= self.surroundings.window / 4
                || self.synced_at.elapsed() >= self.settings.timings.sync_every
                || last);
        if progress.sequence == self.written && !due {
            return;
        }
        match self.journal.save_progress(progress, due) {
            Ok(()) => {
                self.written = progress.sequence;
                self.save_not_before = None;
                if due {
                    self.window.saved(progress.sequence);
                    self.synced_at = Instant::now();
                }
            }
            Err(error) => {
                self.save_not_before = Some(Instant::now() + IDLE_TICK);
                self.report_failure(
                    FailureReason::Journal,
                    "the cursor",
                    &format!("saving it at sequence {}: {error}", progress.sequence),
                );
            }
        }
    }
}
