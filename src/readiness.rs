//! Whether a delivery can be stored now: what `/readyz` and a load balancer ask. Kafka has no part in it.

use crate::journal::{AppendError, Journal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by the admin listener and the shutdown.
#[derive(Clone, Default)]
pub struct Readiness {
    leaving: Arc<AtomicBool>,
}

/// Why the bridge is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The process is shutting down.
    #[error("shutting down")]
    Leaving,
    /// The last append failed, and so would the next.
    #[error("not ready: {0}")]
    CannotStore(AppendError),
}

impl Readiness {
    /// From now on not ready.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Whether a delivery can be stored now.
    pub fn check(&self, journal: &Journal) -> Result<(), NotReady> {
        if self.leaving.load(Ordering::Acquire) {
            return Err(NotReady::Leaving);
        }
        journal.status().storable.map_err(NotReady::CannotStore)
    }
}
