//! Ending a run early.

use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// Ends a run early, from any thread. Clones end the same run.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<State>>);

#[derive(Debug, Clone, Copy, Default)]
struct State {
    since: Option<Instant>,
    at_once: bool,
}

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }
}

impl Stop {
    /// Nothing new is sent from now on; what is under way is waited for.
    pub fn stop(&self) {
        self.0.send_modify(|state| {
            state.since.get_or_insert_with(Instant::now);
        });
    }

    /// Nor is anything waited for: what is under way counts as given up.
    pub fn at_once(&self) {
        self.stop();
        self.0.send_modify(|state| state.at_once = true);
    }

    /// When it was told to stop.
    pub fn since(&self) -> Option<Instant> {
        self.0.borrow().since
    }

    /// Resolves once it was told to stop.
    pub(super) async fn stopped(&self) {
        self.until(|state| state.since.is_some()).await;
    }

    /// Resolves once it was told to stop at once.
    pub(super) async fn stopped_at_once(&self) {
        self.until(|state| state.at_once).await;
    }

    async fn until(&self, condition: impl Fn(&State) -> bool) {
        // The sender lives as long as `self`: there is no error.
        drop(self.0.subscribe().wait_for(condition).await);
    }
}
