//! What the journal reports goes to metrics and log. Trouble that is met with every delivery is logged once in ten seconds, with its count.

use crate::journal;
use crate::metrics::Metrics;
use crate::throttle::Throttle;
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
            throttle: Throttle::default(),
        }
    }
}

impl journal::Observer for Reports {
    fn synced(&self, _records: usize, _bytes: usize, sync: Duration) {
        self.metrics.journal_sync.observe(sync.as_secs_f64());
    }

    fn warning(&self, message: &str) {
        self.throttle.text(message, |message, count| match count {
            1 => tracing::warn!("{message}"),
            _ => tracing::warn!("{message} ({count} since the last such line)"),
        });
    }
}
