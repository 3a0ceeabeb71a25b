//! What refusals mean: a verdict on a record, or trouble that waiting may end, or not.

use super::super::code::Code;
use super::super::kafka::now;
use super::super::prepare::{Prepared, Verdict, prepare};
use super::super::stamps::Lesson;
use super::super::verdict::{Class, FailureReason, classify};
use super::gates::refused;
use super::offer::{Halt, Item, Offerer, Refusal, Settle, Settled, done, stuck};
use super::run::Desk;
use crate::domain::reasons::QuarantineReason;
use crate::domain::record::Occasion;
use crate::journal::Sequence;

impl Offerer<'_> {
    /// What refusals mean; how many items were found guilty.
    pub(super) fn judge(
        &mut self,
        refusals: &[Refusal],
        items: &mut Vec<Item>,
        desk: &mut Desk<'_>,
        settle: Settle<'_>,
    ) -> Result<usize, Halt> {
        let mut guilty = 0;
        let mut suspect = false;
        let mut failure = None;
        let mut untimely = false;
        let mut compression = false;
        for refusal in refusals {
            let Some(item) = items.iter().find(|item| item.sequence == refusal.sequence) else {
                continue;
            };
            match classify(refusal.code) {
                Class::Purged => {}
                Class::Timestamp => untimely = true,
                Class::Compression => compression = true,
                Class::Record(reason) if refusal.alone => {
                    guilty += 1;
                    self.condemn(refusal.sequence, reason, items, desk, settle);
                }
                Class::Record(_) => suspect = true,
                Class::Bystander if !refusal.alone => suspect = true,
                Class::Bystander => failure = Some((FailureReason::Other, refusal.code)),
                Class::Failure(reason) => {
                    let explains = |(known, _): (FailureReason, Code)| {
                        matches!(known, FailureReason::Fatal | FailureReason::Other)
                    };
                    if reason == FailureReason::Unauthorized {
                        // Metadata does not tell who may write.
                        return Err(refused(
                            &item.record.topic,
                            reason,
                            &refusal.code.to_string(),
                        ));
                    }
                    if failure.is_none_or(explains) {
                        failure = Some((reason, refusal.code));
                    }
                }
            }
        }
        if untimely {
            // A replay's records have the present as their timestamp.
            if self.stamps.refused_present() != Lesson::Nothing {
                self.client = None;
                desk.say(Some(
                    "this machine's clock is not the brokers': records are stamped otherwise",
                ));
                return Ok(guilty);
            }
            failure = Some((FailureReason::Clock, Code::INVALID_TIMESTAMP));
        }
        if compression {
            if self.surroundings.compression.refused().is_some() {
                self.client = None;
                return Ok(guilty);
            }
            failure = Some((FailureReason::Other, Code::UNSUPPORTED_COMPRESSION));
        }
        if suspect {
            self.alone = true;
            self.client = None;
            return Ok(guilty);
        }
        // What a refusal did to the producer is no failure of its own.
        let Some((reason, code)) = failure.filter(|_| guilty == 0) else {
            if failure.is_some() {
                self.client = None;
            }
            return Ok(guilty);
        };
        self.client = None;
        let words = format!("{} ({code})", reason.name());
        let away = matches!(
            reason,
            FailureReason::NoBroker | FailureReason::TimedOut | FailureReason::NotEnoughReplicas
        );
        if !away {
            stuck(&mut self.stuck_since, &words)?;
        }
        desk.say(Some(&format!("waits: {words}; {}", reason.way_out())));
        desk.pause(self.backoff.next())?;
        Ok(guilty)
    }

    /// A topic refused this record alone: to quarantine with it, or, refused there as well, nowhere.
    fn condemn(
        &mut self,
        sequence: Sequence,
        reason: QuarantineReason,
        items: &mut Vec<Item>,
        desk: &mut Desk<'_>,
        settle: Settle<'_>,
    ) {
        let Some(item) = items.iter_mut().find(|item| item.sequence == sequence) else {
            return;
        };
        let verdict = Verdict::on(item.record.quarantined, reason);
        let occasion = Occasion {
            sequence,
            now: now(),
            replay: true,
        };
        match prepare(&item.body, occasion, Some(verdict), &self.settings.record) {
            Prepared::Send { record, .. } => {
                let topic = &item.record.topic;
                tracing::warn!(
                    sequence,
                    topic,
                    reason = reason.name(),
                    "replay: topic {topic} does not take delivery {sequence} itself ({}); it goes to quarantine",
                    reason.name()
                );
                item.record = record;
            }
            Prepared::Hold { .. } => {
                tracing::warn!(
                    sequence,
                    reason = reason.name(),
                    "replay: neither topic takes delivery {sequence} ({}); it stays what it was",
                    reason.name()
                );
                done(items, sequence, &Settled::Refused, desk, settle);
            }
        }
    }
}
