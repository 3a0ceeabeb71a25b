//! What the journal reports goes to metrics and log; the same trouble, met with every delivery, once in ten seconds.

use crate::journal;
use crate::metrics::Metrics;
use crate::publisher::throttle::Throttle;
use std::sync::Arc;
use std::time::Duration;

/// The journal's observer.
pub(super) struct Reports {
    metrics: Arc<Metrics>,
    throttle: Throttle,
}

impl Reports {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            throttle: Throttle::new(Duration::from_secs(10)),
        }
    }
}

impl journal::Observer for Reports {
    fn synced(&self, _records: usize, _bytes: usize, sync: Duration) {
        self.metrics.journal_sync.observe(sync.as_secs_f64());
    }

    fn warning(&self, message: &str) {
        match self.throttle.pass("journal", message) {
            None => {}
            Some(0) => tracing::warn!("{message}"),
            Some(held_back) => {
                tracing::warn!("{message} ({held_back} more since the last such line)")
            }
        }
    }
}
