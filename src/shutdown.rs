//! Leaving: the signals, and the count of requests under way that the ingress waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, which end the process, and SIGHUP, which has secrets read again.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes the signals over from their default.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal to leave; its name. Each SIGHUP before it runs `on_hangup`.
    pub async fn leave(&mut self, on_hangup: impl Fn()) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => on_hangup(),
            }
        }
    }
}

/// Counts requests under way: those whose body has come completely, and that wait for the disk or for their answer.
#[derive(Clone, Default)]
pub struct InFlight(Arc<State>);

#[derive(Default)]
struct State {
    requests: AtomicUsize,
}

/// A request under way; dropped when it is answered or given up.
pub struct UnderWay(Arc<State>);

impl InFlight {
    /// Counts one more until the guard is dropped.
    pub fn enter(&self) -> UnderWay {
        self.0.requests.fetch_add(1, Ordering::AcqRel);
        UnderWay(Arc::clone(&self.0))
    }

    /// Waits until no request has been under way for `quiet`, but not longer than `limit`; whether that came true.
    pub async fn quiet(&self, quiet: Duration, limit: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(5);
        let deadline = tokio::time::Instant::now() + limit;
        let mut calm = Duration::ZERO;
        while calm < quiet {
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(STEP).await;
            calm = if self.0.requests.load(Ordering::Acquire) == 0 {
                calm + STEP
            } else {
                Duration::ZERO
            };
        }
        true
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}
