//! One delivery in a line: the columns of the table, and the object of `--json`.

use super::detail::{Came, Made, Proven};
use crate::domain::cloudevent::rfc3339;
use crate::domain::outcome::Outcome;
use crate::domain::privacy::Mask;
use crate::domain::selection;
use crate::journal::Sequence;
use crate::survey::Found;
use serde::Serialize;

/// What is known of a delivery at a glance. Texts are masked; they may hold control characters.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) sequence: Sequence,
    pub(super) id: Option<String>,
    pub(super) accepted_at: Option<String>,
    pub(super) app: Option<String>,
    pub(super) event: Option<String>,
    pub(super) organization: Option<String>,
    installation: Option<String>,
    transaction: Option<String>,
    pub(super) outcome: &'static str,
    reason: Option<&'static str>,
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
    held_copy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    came: Option<Came>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proven: Option<Proven>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Made>,
}

impl Row {
    pub(super) fn new(found: &Found<'_>, mask: &Mask) -> Self {
        let delivery = found.delivery.as_ref().ok();
        let names = delivery.map(selection::names).unwrap_or_default();
        let masked = |name: Option<String>| name.map(|name| mask.text(&name).into_owned());
        let (reason, place) = match &found.outcome {
            Some(Outcome::Published {
                topic,
                partition,
                offset,
            }) => (None, Some((topic, *partition, *offset))),
            Some(Outcome::Quarantined {
                reason,
                topic,
                partition,
                offset,
            }) => (Some(reason.name()), Some((topic, *partition, *offset))),
            Some(Outcome::Held { reason }) => (Some(reason.name()), None),
            None => (None, None),
        };
        Self {
            sequence: found.sequence,
            id: delivery.map(|delivery| delivery.id.to_string()),
            accepted_at: delivery.map(|delivery| rfc3339(delivery.accepted_at)),
            app: delivery.map(|delivery| delivery.app.to_owned()),
            event: masked(names.event),
            organization: masked(names.organization),
            installation: masked(names.installation),
            transaction: masked(names.transaction),
            outcome: found.fate.name(),
            reason,
            topic: place.map(|(topic, ..)| topic.to_string()),
            partition: place.map(|(_, partition, _)| partition),
            offset: place.map(|(.., offset)| offset),
            held_copy: found.copy,
            unreadable: found.delivery.as_ref().err().map(ToString::to_string),
            came: None,
            proven: None,
            record: None,
        }
    }

    /// With what `--id` shows besides.
    pub(super) fn in_full(self, came: Came, proven: Proven, record: Made) -> Self {
        Self {
            came: Some(came),
            proven: Some(proven),
            record: Some(record),
            ..self
        }
    }

    /// Why and where, as far as it is known.
    pub(super) fn circumstances(&self) -> String {
        let place = match (&self.topic, self.partition, self.offset) {
            (Some(topic), Some(partition), Some(offset)) => {
                Some(format!("{topic}[{partition}]@{offset}"))
            }
            _ => None,
        };
        let parts = [self.reason.map(str::to_owned), place];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}
