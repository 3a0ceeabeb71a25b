//! A topic of its own for each measurement.

use std::sync::atomic::{AtomicU64, Ordering};

/// A name that no other run used; the bridge creates the topic.
pub fn fresh() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "bench-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
