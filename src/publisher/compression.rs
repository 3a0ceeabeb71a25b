//! With which codec batches are compressed.
//!
//! Guarantees: a broker that does not know the codec (Azure Event Hubs knows gzip at most, and in some tiers none) stops nothing. What it refuses as compressed is sent again
//! with gzip, and then without compression; that is said in the log, and lasts until the bridge is started again.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is tried in turn where the broker refuses a codec.
const FALLBACKS: [&str; 2] = ["gzip", "none"];

/// The codec in use.
pub struct Compression {
    configured: String,
    /// How many fallbacks have been resorted to.
    fallen: AtomicUsize,
}

impl Compression {
    /// Begins with the codec that is configured.
    pub fn new(configured: &str) -> Self {
        Self {
            configured: configured.to_owned(),
            fallen: AtomicUsize::new(0),
        }
    }

    /// The same, out of the effective properties.
    pub fn of(properties: &BTreeMap<String, String>) -> Self {
        let configured = properties.get("compression.type");
        Self::new(configured.map_or("none", String::as_str))
    }

    /// What to use in place of the codec that is configured, if that was refused.
    pub fn instead(&self) -> Option<&'static str> {
        let fallen = self.fallen.load(Ordering::Relaxed);
        FALLBACKS.get(fallen.checked_sub(1)?).copied()
    }

    /// The broker refuses the codec in use: says the next to try, or `None` where there is none.
    pub fn refused(&self) -> Option<&'static str> {
        loop {
            let refused = self.instead().unwrap_or(&self.configured).to_owned();
            let fallen = self.fallen.load(Ordering::Relaxed);
            let next = *FALLBACKS.get(fallen)?;
            self.fallen.store(fallen + 1, Ordering::Relaxed);
            if next == refused {
                continue;
            }
            tracing::warn!(
                "Kafka does not take batches compressed with {refused}; they go {} from now on. Set compression.type={next} in the \
                 producer's properties to begin with that",
                match next {
                    "none" => "uncompressed".to_owned(),
                    codec => format!("with {codec}"),
                }
            );
            return Some(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_comes_next_and_then_no_compression_at_all() {
        let compression = Compression::new("lz4");
        assert_eq!(compression.instead(), None);
        assert_eq!(compression.refused(), Some("gzip"));
        assert_eq!(compression.instead(), Some("gzip"));
        assert_eq!(compression.refused(), Some("none"));
        assert_eq!(compression.refused(), None);
        assert_eq!(compression.instead(), Some("none"));
    }

    #[test]
    fn what_was_refused_is_not_tried_again() {
        let compression = Compression::new("gzip");
        assert_eq!(compression.refused(), Some("none"));
    }
}
