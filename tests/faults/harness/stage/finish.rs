//! The end of a fault. The fault states what may be missing or repeated, the bridge settles, and the findings become a row of the table.

use super::super::judge::{self, Verdict};
use super::super::load::{Fate, Sent, others};
use super::super::table::Row;
use super::super::{Excuse, Fault};
use super::{PATIENCE, Stage, WINDOW};
use crate::support::eventually::within;
use std::time::{Duration, Instant};
use uuid::Uuid;

impl Stage {
    /// Waits until nothing is pending in the bridge that runs, as long as it gets on.
    pub fn settle(&mut self) {
        self.settle_below(1);
    }

    /// The same under load: waits until fewer than so many are pending.
    pub fn settle_below(&mut self, count: u64) {
        let bridge = self.bridge();
        let pending = || bridge.metrics().value("journal_pending_deliveries");
        let mut least = pending();
        while least >= count as f64 {
            least = within(PATIENCE, "fewer are pending", || {
                Some(pending()).filter(|now| *now < least)
            });
        }
    }

    /// These deliveries were destroyed by the fault itself: they may be missing, as far as the ledger says so.
    pub fn take(&mut self, ids: impl IntoIterator<Item = Uuid>) {
        self.taken.extend(ids);
    }

    /// The fault destroyed the cursor: everything that is on disk may be published again.
    pub fn expect_everything_again(&mut self) {
        self.everything_again = true;
    }

    /// The fault destroyed what the ledger's counts of published and quarantined stand in: they need not agree with the topics.
    pub fn forget_ledger(&mut self) {
        self.ledger_was_lost = true;
    }

    /// Deliveries must be seen to be lost: the fault is beyond what anybody could survive, and tries the suite itself.
    pub fn expect_loss(&mut self) {
        self.loss_expected = true;
    }

    /// Adds a line below the table.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// This fault cannot be played on this machine.
    pub fn skip(&mut self, why: impl Into<String>) {
        self.skipped = Some(why.into());
    }

    /// It was played without a bridge: this is what it showed.
    pub fn modelled(&mut self, row: Row) {
        self.modelled = Some(row);
    }

    /// Settles and judges. What the fault's story left undone is a violation.
    pub fn finish(&mut self, fault: &Fault) -> Row {
        let mut row = Row {
            fault: fault.name,
            rounds: self.rounds,
            why: fault.excuse.why(),
            skipped: self.skipped.clone(),
            notes: self.notes.clone(),
            ..self.modelled.clone().unwrap_or_default()
        };
        if self.modelled.is_some() && row.lost > 0 {
            row.violations.push(format!("{} lost", row.lost));
        }
        if self.modelled.is_some() || self.skipped.is_some() {
            return row;
        }
        self.load_off();
        self.kafka_back();
        if self.bridge.is_none() {
            self.start();
        }
        self.settle();
        let topics = (self.topic.as_str(), self.quarantine.as_str());
        let verdict = judge::judge(
            &self.kafka,
            topics,
            &self.earlier,
            &self.deliveries,
            &self.sent,
            &self.taken,
            &self.forbidden,
        );
        self.remember_rebuilds();
        self.fill(&mut row, &verdict);
        self.tell_aways(&mut row);
        if self.loss_expected {
            self.tell_expected_loss(&mut row);
            return row;
        }
        if verdict.taken > 0 {
            row.notes.push(format!(
                "{} deliveries were destroyed on disk by the fault itself before they were published; the ledger says so, too",
                verdict.taken
            ));
        }
        row.violations.extend(self.ledger(&verdict));
        row.violations
            .extend(self.violations(&fault.excuse, &verdict));
        row
    }

    fn tell_expected_loss(&self, row: &mut Row) {
        if row.lost == 0 {
            row.violations
                .push("nothing was seen to be lost: the suite is blind".to_owned());
        }
        row.notes
            .push(format!("{} seen to be lost, as it must be", row.lost));
        (row.lost, row.out_of_order) = (0, 0);
    }

    /// What the bridge itself says: `/metrics`, `icr-bridge stats` and the topics agree.
    fn ledger(&self, verdict: &Verdict) -> Vec<String> {
        let mut violations = Vec::new();
        let unaccounted = self.bridge().metrics().value("unaccounted_deliveries");
        if unaccounted != 0.0 {
            violations.push(format!("unaccounted_deliveries is {unaccounted}"));
        }
        let stats = self.stats();
        let found = (verdict.published, verdict.quarantined);
        let told = ["published", "quarantined"].map(|name| stats[name].as_u64());
        if stats["pending"] != 0
            || stats["unaccounted"] != 0
            || stats["written_off"] != verdict.taken
            || !self.ledger_was_lost && told != [Some(found.0), Some(found.1)]
        {
            let taken = verdict.taken;
            violations.push(format!(
                "stats: {stats}, but in the topics: {found:?}, and destroyed: {taken}"
            ));
        }
        violations
    }

    fn fill(&self, row: &mut Row, verdict: &Verdict) {
        row.sent = self.sent.len() as u64;
        row.others = others(&self.sent);
        row.accepted = row.sent - row.refused();
        row.published = verdict.published;
        row.quarantined = verdict.quarantined;
        row.duplicated = verdict.duplicated;
        row.lost = verdict.lost.len() as u64;
        row.out_of_order = verdict.out_of_order;
        let mut accepted: Vec<Instant> = self
            .sent
            .iter()
            .filter(|sent| matches!(sent.fate, Fate::Accepted(_)))
            .map(|sent| sent.answered)
            .collect();
        accepted.sort_unstable();
        let gaps = self.loaded.iter().map(|period| gap(&accepted, *period));
        row.gap = gaps.max().unwrap_or_default();
        let next = |mended: &Instant| {
            let next = accepted.partition_point(|answered| answered < mended);
            accepted.get(next).map(|answered| *answered - *mended)
        };
        row.recovery = self.mended.iter().filter_map(next).max();
    }

    fn violations(&self, excuse: &Excuse, verdict: &Verdict) -> Vec<String> {
        let mut violations = verdict.problems.clone();
        if !verdict.lost.is_empty() {
            let some: Vec<_> = verdict.lost.iter().take(5).map(Uuid::to_string).collect();
            violations.push(format!(
                "{} lost: {} …",
                verdict.lost.len(),
                some.join(", ")
            ));
        }
        if verdict.out_of_order > 0 {
            violations.push(format!("{} out of order", verdict.out_of_order));
        }
        let unexcused: Vec<_> = self
            .sent
            .iter()
            .filter(|sent| !excuse.covers(&sent.fate))
            .cloned()
            .collect();
        if !unexcused.is_empty() {
            violations.push(format!("not 202: {:?}", others(&unexcused)));
        }
        let gone = |sent: &&Sent| {
            matches!(excuse, Excuse::Unproven(_))
                && matches!(sent.fate, Fate::Status(403, _))
                && !verdict.numbers.contains(&sent.number)
        };
        let gone = self.sent.iter().filter(gone).count();
        if gone > 0 {
            violations.push(format!("{gone} were answered 403 and did not come back"));
        }
        let window = self
            .settings
            .iter()
            .find(|(name, _)| name == "PUBLISH_WINDOW");
        let window = window.map_or(WINDOW, |(_, window)| window.parse().unwrap());
        let allowed = (self.crashes + self.rebuilds) * window;
        if verdict.duplicated > allowed && !self.everything_again {
            violations.push(format!(
                "{} duplicated, where {} crashes and {} rebuilt producers explain {allowed} at most",
                verdict.duplicated, self.crashes, self.rebuilds
            ));
        }
        if self.sent.is_empty() {
            violations.push("nothing was sent".to_owned());
        }
        violations
    }
}

/// The longest time without an acceptance in a period.
fn gap(accepted: &[Instant], (since, until): (Instant, Instant)) -> Duration {
    let within = accepted.iter().filter(|at| **at > since && **at < until);
    let mut longest = Duration::ZERO;
    let mut last = since;
    for at in within.chain([&until]) {
        longest = longest.max(*at - last);
        last = *at;
    }
    longest
}
