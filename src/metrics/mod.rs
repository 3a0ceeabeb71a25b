//! Prometheus metrics: an API. Each name, its type, labels and meaning stand in [`definitions::DEFINITIONS`], from which the
//! README's table is checked. Labels take their values from closed vocabularies and the configuration, never from a sender.
//!
//! The registry is our own, and every series that can be known in advance exists from the start at 0, so that a rate sees the
//! first event.

mod apps;
mod collect;
pub mod definitions;
mod optional;
mod publishing;

use crate::domain::event::EventKind;
use crate::domain::reasons::Refusal;
use crate::version;
pub use apps::AppMetrics;
use optional::OptionalGauge;
use prometheus::{Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};
pub use publishing::PublishingMetrics;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The label of an app that does not exist.
pub const UNKNOWN_APP: &str = "none";

pub struct Metrics {
    registry: Registry,
    /// One an app, by name.
    apps: BTreeMap<String, Arc<AppMetrics>>,
    /// For requests that name no app: label `none`.
    pub unknown_app: Arc<AppMetrics>,
    /// A signed request came to a URL that takes no deliveries.
    pub misdirected: IntCounter,
    refused: Vec<IntCounter>,
    requests: BTreeMap<u16, Histogram>,
    /// Time an append waited until it was synced.
    pub journal_append: Histogram,
    /// Time of a `fdatasync`.
    pub journal_sync: Histogram,
    /// Where the outer body differed from the signed payload.
    pub outer_mismatch: IntCounter,
    /// A secret file, or certificate and key, could not be read again.
    pub secret_reload_failures: IntCounter,
    /// When the ingress listener's certificate ends.
    pub tls_certificate_expiry: OptionalGauge<Gauge>,
    /// A TLS handshake came to nothing.
    pub tls_handshake_failures: IntCounter,
    /// What the ring of rejected deliveries reports.
    pub ring: RingMetrics,
    /// A rejected delivery was proven later and stored.
    pub reverified: IntCounter,
    /// What the publisher reports.
    pub publishing: PublishingMetrics,
    journal: JournalGauges,
}

/// What the ring of rejected deliveries reports.
#[derive(Clone)]
pub struct RingMetrics {
    /// Bytes that kept deliveries take on disk.
    pub bytes: IntGauge,
    /// Bytes that they may take.
    pub capacity: IntGauge,
    /// Those that are not or no longer kept.
    pub dropped: IntCounter,
}

/// Gauges that are set when metrics are collected.
struct JournalGauges {
    pending: IntGauge,
    held: IntGauge,
    unaccounted: IntGauge,
    bytes: IntGauge,
    free_bytes: IntGauge,
    low_water_bytes: IntGauge,
    damaged_segments: IntGauge,
}

/// Status codes that the ingress answers.
const CODES: [u16; 9] = [202, 400, 403, 404, 405, 408, 413, 415, 503];

/// From 50 µs (an answer from memory) to 10 s (the body's time limit).
const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0,
];

/// Up to two days: what waits for Kafka may wait long.
const LONG_SECONDS: &[f64] = &[
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 3600.0,
    86_400.0, 172_800.0,
];

impl Metrics {
    /// Registers everything for these apps; `topic` is the topic template, which is its label.
    pub fn new<'a>(
        apps: impl IntoIterator<Item = &'a str>,
        topic: &str,
    ) -> Result<Self, prometheus::Error> {
        let new = definitions::Factory::new(Registry::new());
        let accepted = new.counters("deliveries_accepted_total")?;
        let vectors = apps::AppVectors {
            rejected: new.counters("deliveries_rejected_total")?,
            duplicate: new.counters("deliveries_duplicate_total")?,
            secret_matched: new.counters("secret_matched_total")?,
            last_accepted: new.gauges("last_accepted_timestamp_seconds")?,
            accepted,
        };
        let refused: IntCounterVec = new.counters("deliveries_refused_total")?;
        let requests: HistogramVec = new.histograms("http_request_duration_seconds", SECONDS)?;
        let build_info = new.gauges("build_info")?;
        build_info
            .with_label_values(&[version::VERSION, version::REVISION])
            .set(1.0);
        Ok(Self {
            apps: apps
                .into_iter()
                .map(|app| (app.to_owned(), Arc::new(vectors.of(app))))
                .collect(),
            unknown_app: Arc::new(vectors.of_unknown(UNKNOWN_APP)),
            misdirected: new.counter("deliveries_misdirected_total")?,
            refused: Refusal::ALL
                .iter()
                .map(|refusal| refused.with_label_values(&[refusal.name()]))
                .collect(),
            requests: CODES
                .iter()
                .map(|code| {
                    (
                        *code,
                        requests.with_label_values(&[code.to_string().as_str()]),
                    )
                })
                .collect(),
            journal_append: new.histogram("journal_append_seconds", SECONDS)?,
            journal_sync: new.histogram("journal_sync_seconds", SECONDS)?,
            outer_mismatch: new.counter("outer_mismatch_total")?,
            secret_reload_failures: new.counter("secret_reload_failures_total")?,
            tls_certificate_expiry: new
                .optional_gauge("tls_certificate_expiry_timestamp_seconds")?,
            tls_handshake_failures: new.counter("tls_handshake_failures_total")?,
            ring: RingMetrics {
                bytes: new.gauge("rejected_ring_bytes")?,
                capacity: new.gauge("rejected_ring_capacity_bytes")?,
                dropped: new.counter("rejected_ring_dropped_total")?,
            },
            reverified: new.counter("deliveries_reverified_total")?,
            publishing: PublishingMetrics::new(&new, topic, LONG_SECONDS)?,
            journal: JournalGauges {
                pending: new.gauge("journal_pending_deliveries")?,
                held: new.gauge("deliveries_held")?,
                unaccounted: new.gauge("unaccounted_deliveries")?,
                bytes: new.gauge("journal_bytes")?,
                free_bytes: new.gauge("journal_free_bytes")?,
                low_water_bytes: new.gauge("journal_low_water_bytes")?,
                damaged_segments: new.gauge("journal_damaged_segments")?,
            },
            registry: new.with_process_metrics()?,
        })
    }

    /// The metrics of an app; those of `none` for one that is not configured.
    pub fn app(&self, name: &str) -> Arc<AppMetrics> {
        Arc::clone(self.apps.get(name).unwrap_or(&self.unknown_app))
    }

    /// Counts a delivery that was proven and could not be stored.
    pub fn refused(&self, refusal: Refusal) {
        if let Some(counter) = self.refused.get(refusal as usize) {
            counter.inc();
        }
    }

    /// Times a request on the ingress listener by the code that was answered.
    pub fn request(&self, code: u16, seconds: f64) {
        if let Some(histogram) = self.requests.get(&code) {
            histogram.observe(seconds);
        }
    }
}

/// The label of an event: unknown and unreadable ones are `other`.
fn event_label(kind: Option<EventKind>) -> &'static str {
    kind.unwrap_or(EventKind::Other).label()
}

/// The place of an event in a table of all kinds.
fn event_index(kind: Option<EventKind>) -> usize {
    let kind = kind.unwrap_or(EventKind::Other);
    EventKind::ALL
        .iter()
        .position(|known| *known == kind)
        .unwrap_or(EventKind::ALL.len() - 1)
}

/// Milliseconds since 1970 as Prometheus wants them.
fn unix_seconds(at: crate::domain::delivery::Millis) -> f64 {
    at.0 as f64 / 1000.0
}

/// A gauge of the registry that may be unset.
type MaybeGauge = OptionalGauge<Gauge>;
