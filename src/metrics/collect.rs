//! The text that Prometheus scrapes.

use super::Metrics;
use crate::journal::Journal;
use prometheus::TextEncoder;

impl Metrics {
    /// Takes over the journal's state, then writes every metric in the text format, version 0.0.4.
    pub fn collect(
        &self,
        journal: &Journal,
        low_water_bytes: u64,
    ) -> Result<String, prometheus::Error> {
        let ledger = journal.ledger();
        let status = journal.status();
        if ledger.pending == 0 {
            // The publisher tells once a second.
            self.publishing.oldest_pending.set(None);
        }
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.journal.pending.set(gauge(ledger.pending));
        self.journal.held.set(gauge(ledger.held));
        self.journal.unaccounted.set(ledger.unaccounted);
        self.journal.bytes.set(gauge(status.bytes));
        self.journal.free_bytes.set(gauge(status.free_bytes));
        self.journal.low_water_bytes.set(gauge(low_water_bytes));
        self.journal
            .damaged_segments
            .set(gauge(status.damaged_segments));
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
