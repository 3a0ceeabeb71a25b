//! How the publisher is told to leave.
use parking_lot::Mutex;
use std::time::Instant;

/// Whether, and until when, the publisher is to leave.
#[derive(Default)]
pub struct Control {
    deadline: Mutex<Option<(Instant, Instant)>>,
}

impl Control {
    /// Asks the publisher to leave by `deadline`.
    pub fn stop(&self, deadline: Instant) {
        let now = Instant::now();
        // The second half belongs to what is in flight.
        let half = now + deadline.saturating_duration_since(now) / 2;
        *self.deadline.lock() = Some((half, deadline));
    }

    /// When to stop reading, and when to leave; `None` while it is to stay.
    pub fn deadline(&self) -> Option<(Instant, Instant)> {
        *self.deadline.lock()
    }
}
