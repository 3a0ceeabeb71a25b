//! From the journal's bytes to what is to be done with them: a record for Kafka, or a reason to hold them.
//!
//! Guarantees: bytes that this bridge cannot read, and even a bug that panics over them, neither stop the line nor lose the
//! delivery: it is held, whole.
use crate::domain::delivery::{Delivery, Millis};
use crate::domain::outcome::HeldReason;
use crate::domain::reasons::QuarantineReason;
use crate::domain::record::{Occasion, Record, RecordSettings, quarantine_record, record};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What Kafka has said of a delivery's record, alone in its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The main topic refuses it.
    Quarantine(QuarantineReason),
    /// The quarantine topic refuses it as well, or is not there.
    Hold(QuarantineReason),
}

impl Verdict {
    /// The verdict when `refused`, for `reason`, was a main record (`quarantined` is `None`) or one in quarantine already.
    pub fn on(quarantined: Option<QuarantineReason>, reason: QuarantineReason) -> Self {
        match quarantined {
            None => Self::Quarantine(reason),
            Some(first) => Self::Hold(first),
        }
    }
}

/// What is to be done with a delivery.
pub enum Prepared {
    /// Send this.
    Send {
        record: Record,
        /// When the delivery was accepted.
        accepted_at: Millis,
    },
    /// Keep it on disk, and tell why.
    Hold {
        /// For the outcome.
        reason: HeldReason,
        /// For the log.
        detail: String,
    },
}

/// Decides what to do with the stored bytes of a delivery.
pub fn prepare(
    body: &[u8],
    occasion: Occasion,
    verdict: Option<Verdict>,
    settings: &RecordSettings,
) -> Prepared {
    if let Some(Verdict::Hold(reason)) = verdict {
        return Prepared::Hold {
            reason: HeldReason::Refused(reason),
            detail: "the quarantine topic does not take it".to_owned(),
        };
    }
    // The functions of the domain are pure: nothing of ours is left half changed by a panic in them.
    let made = catch_unwind(AssertUnwindSafe(|| {
        let delivery = Delivery::decode(body).map_err(|error| error.to_string())?;
        let record = match verdict {
            Some(Verdict::Quarantine(reason)) => {
                quarantine_record(&delivery, reason, settings, occasion)
            }
            _ => record(&delivery, settings, occasion),
        };
        Ok((record, delivery.accepted_at))
    }));
    match made {
        Ok(Ok((record, accepted_at))) => Prepared::Send {
            record,
            accepted_at,
        },
        Ok(Err(detail)) => Prepared::Hold {
            reason: HeldReason::Unreadable,
            detail,
        },
        Err(_) => Prepared::Hold {
            reason: HeldReason::Unreadable,
            detail: "normalizing it panicked: a bug in this bridge".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_by_the_main_topic_leads_to_quarantine_and_one_by_quarantine_to_hold() {
        use QuarantineReason::{PayloadNotJson, RecordTooLarge};
        assert_eq!(
            Verdict::on(None, RecordTooLarge),
            Verdict::Quarantine(RecordTooLarge)
        );
        assert_eq!(
            Verdict::on(Some(PayloadNotJson), RecordTooLarge),
            Verdict::Hold(PayloadNotJson)
        );
    }
}
