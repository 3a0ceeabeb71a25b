//! Counts what is selected.

use crate::domain::delivery::Delivery;
use crate::domain::event::EventKind;
use crate::domain::outcome::Fate;
use crate::domain::selection::names;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Deliveries of one app, event and outcome.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Group {
    /// The app that took them.
    pub app: String,
    /// Their event; `other` for all that are unknown or not understood.
    pub event: String,
    /// What became of them before.
    pub outcome: Fate,
    pub count: u64,
}

/// The count so far. What a sender chose does not widen it.
#[derive(Default)]
pub(super) struct Tally {
    pub selected: u64,
    pub pending: u64,
    groups: BTreeMap<(String, &'static str, Fate), u64>,
    ids: BTreeSet<Uuid>,
    /// Whether ids are worth remembering.
    few: bool,
}

impl Tally {
    /// A tally that can tell which of so many ids were met.
    pub fn looking_for(ids: &[Uuid]) -> Self {
        Self {
            few: !ids.is_empty(),
            ..Self::default()
        }
    }

    /// One that is published again.
    pub fn selected(&mut self, delivery: &Delivery<'_>, fate: Fate) {
        self.selected += 1;
        self.meet(delivery);
        let event = names(delivery).event;
        let kind = event.map_or(EventKind::Other, |event| EventKind::of(&event));
        let key = (delivery.app.to_owned(), kind.label(), fate);
        *self.groups.entry(key).or_default() += 1;
    }

    /// One that is still to be published.
    pub fn pending(&mut self, delivery: &Delivery<'_>) {
        self.pending += 1;
        self.meet(delivery);
    }

    fn meet(&mut self, delivery: &Delivery<'_>) {
        if self.few {
            self.ids.insert(delivery.id);
        }
    }

    /// How many of these ids were not met.
    pub fn unknown(&self, ids: &[Uuid]) -> u64 {
        let wanted: BTreeSet<_> = ids.iter().collect();
        let unknown = wanted.into_iter().filter(|id| !self.ids.contains(id));
        unknown.count() as u64
    }

    /// By app, event and outcome.
    pub fn groups(self) -> Vec<Group> {
        let groups = self.groups.into_iter();
        groups
            .map(|((app, event, outcome), count)| Group {
                app,
                event: event.to_owned(),
                outcome,
                count,
            })
            .collect()
    }
}
