//! What is counted and told of deliveries, by when they came.

use super::AppState;
use crate::domain::delivery::Millis;
use crate::domain::reasons::Refusal;
use crate::metrics::Metrics;
use std::sync::Arc;

/// When a delivery came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// Just now.
    Now,
    /// At that time, and was rejected then.
    Before(Millis),
}

impl Came {
    /// The time that is kept as that of acceptance.
    pub(super) fn at(self, now: Millis) -> Millis {
        match self {
            Self::Now => now,
            Self::Before(at) => at,
        }
    }
}

/// Where it is counted and told.
pub(super) struct Shared {
    pub(super) metrics: Arc<Metrics>,
}

impl Shared {
    /// A delivery is on stable storage.
    pub(super) fn accepted(&self, came: Came) {
        if let Came::Before(_) = came {
            self.metrics.reverified.inc();
        }
    }

    /// A delivery could not be stored.
    pub(super) fn refused(&self, app: &AppState, refusal: Refusal, came: Came) {
        // One that came before is still kept: nothing is lost.
        if let Came::Now = came {
            self.metrics.refused(refusal);
            app.notices.refused(refusal);
        }
    }
}
