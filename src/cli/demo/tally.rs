//! Counts what the demo saw from outside, and compares it with what the bridge says of itself.

use super::bridge::Answer;
use crate::journal::Ledger;
use crate::mock_kafka::ConsumedRecord;

/// What was sent, answered and consumed.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) rejected: u64,
    pub(super) published: u64,
    pub(super) quarantined: u64,
}

impl Tally {
    pub(super) fn count(&mut self, answer: &Answer, record: Option<&ConsumedRecord>) {
        self.sent += 1;
        match answer.word.as_str() {
            "accepted" => self.accepted += 1,
            "duplicate" => self.duplicates += 1,
            _ => self.rejected += 1,
        }
        match record {
            Some(record) if record.header("ce_reason").is_some() => self.quarantined += 1,
            Some(_) => self.published += 1,
            None => {}
        }
    }

    /// Every delivery has one outcome, and the metrics and the journal's ledger say the same as the consumer saw.
    pub(super) fn adds_up(&self, metrics: &str, ledger: &Ledger) -> bool {
        self.sent == self.accepted + self.duplicates + self.rejected
            && self.accepted == self.published + self.quarantined
            && self.accepted == sum(metrics, "icr_bridge_deliveries_accepted_total")
            && self.duplicates == sum(metrics, "icr_bridge_deliveries_duplicate_total")
            && self.rejected == sum(metrics, "icr_bridge_deliveries_rejected_total")
            && (ledger.accepted, ledger.published, ledger.quarantined)
                == (self.accepted, self.published, self.quarantined)
            && (ledger.pending, ledger.held, ledger.unaccounted) == (0, 0, 0)
    }
}

/// The sum of a counter over its labels.
fn sum(metrics: &str, name: &str) -> u64 {
    metrics
        .lines()
        .filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{'))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}
