//! The metrics of one app, with every label resolved in advance: counting on the way of a delivery is one atomic addition.

use super::{event_index, event_label, unix_seconds};
use crate::domain::delivery::Millis;
use crate::domain::event::EventKind;
use crate::domain::reasons::Rejection;
use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec};

/// Secrets beyond this position are counted together, so that a long file makes no long list of series.
const MOST_POSITIONS: u8 = 9;

pub(super) struct AppVectors {
    pub(super) accepted: IntCounterVec,
    pub(super) rejected: IntCounterVec,
    pub(super) duplicate: IntCounterVec,
    pub(super) secret_matched: IntCounterVec,
    pub(super) last_accepted: GaugeVec,
}

/// What is counted for one app.
pub struct AppMetrics {
    name: String,
    accepted: Vec<IntCounter>,
    rejected: Vec<IntCounter>,
    duplicate: Option<IntCounter>,
    secret_matched: IntCounterVec,
    current_secret_matched: Option<IntCounter>,
    last_accepted_vector: GaugeVec,
    last_accepted: std::sync::OnceLock<Gauge>,
}

impl AppVectors {
    pub(super) fn of(&self, app: &str) -> AppMetrics {
        AppMetrics {
            accepted: EventKind::ALL
                .iter()
                .map(|kind| {
                    self.accepted
                        .with_label_values(&[app, event_label(Some(*kind))])
                })
                .collect(),
            duplicate: Some(self.duplicate.with_label_values(&[app])),
            current_secret_matched: Some(self.secret_matched.with_label_values(&[app, "0"])),
            ..self.of_unknown(app)
        }
    }

    /// Where there is no app, deliveries are rejected and nothing else.
    pub(super) fn of_unknown(&self, app: &str) -> AppMetrics {
        AppMetrics {
            name: app.to_owned(),
            accepted: Vec::new(),
            rejected: Rejection::ALL
                .iter()
                .map(|reason| self.rejected.with_label_values(&[app, reason.name()]))
                .collect(),
            duplicate: None,
            secret_matched: self.secret_matched.clone(),
            current_secret_matched: None,
            last_accepted_vector: self.last_accepted.clone(),
            last_accepted: std::sync::OnceLock::new(),
        }
    }
}

impl AppMetrics {
    /// A delivery is on stable storage.
    pub fn accepted(&self, kind: Option<EventKind>) {
        if let Some(counter) = self.accepted.get(event_index(kind)) {
            counter.inc();
        }
    }

    /// Says when the latest delivery was accepted, also one of an earlier run.
    pub fn last_accepted(&self, at: Millis) {
        self.last_accepted
            .get_or_init(|| self.last_accepted_vector.with_label_values(&[&self.name]))
            .set(unix_seconds(at));
    }

    pub fn rejected(&self, reason: Rejection) {
        if let Some(counter) = self.rejected.get(reason as usize) {
            counter.inc();
        }
    }

    pub fn duplicate(&self) {
        if let Some(counter) = &self.duplicate {
            counter.inc();
        }
    }

    /// A delivery was proven by the secret at this position.
    pub fn secret_matched(&self, position: u8) {
        match (&self.current_secret_matched, position) {
            (Some(counter), 0) => counter.inc(),
            _ => {
                let position = position.min(MOST_POSITIONS).to_string();
                self.secret_matched
                    .with_label_values(&[self.name.as_str(), position.as_str()])
                    .inc();
            }
        }
    }
}
