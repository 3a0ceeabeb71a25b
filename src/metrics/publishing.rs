//! What the publisher reports, as metrics.

use super::definitions::Factory;
use super::{MaybeGauge, Metrics, event_index, event_label, unix_seconds};
use crate::domain::delivery::Millis;
use crate::domain::event::EventKind;
use crate::domain::reasons::QuarantineReason;
use crate::publisher::sink::{Publication, Sink, Statistics};
use crate::publisher::verdict::FailureReason;
use parking_lot::Mutex;
use prometheus::{Gauge, Histogram, IntCounter, IntGauge};

/// Metrics of the way to Kafka.
pub struct PublishingMetrics {
    published: Vec<IntCounter>,
    republished: IntCounter,
    replayed: IntCounter,
    quarantined: Vec<IntCounter>,
    failures: Vec<IntCounter>,
    rebuilds: IntCounter,
    brokers_up: IntGauge,
    pub(super) oldest_pending: MaybeGauge,
    last_published: MaybeGauge,
    accept_to_ack: Histogram,
    statistics: StatisticsMetrics,
}

/// librdkafka's statistics.
struct StatisticsMetrics {
    queue_messages: IntGauge,
    queue_bytes: IntGauge,
    requests: Cumulative,
    sent_bytes: Cumulative,
    request_errors: Cumulative,
    request_retries: Cumulative,
    round_trip_mean: Gauge,
    round_trip_p99: Gauge,
    throttle: Gauge,
}

/// A counter over producers: each of them counts from 0.
struct Cumulative {
    counter: IntCounter,
    last: Mutex<u64>,
}

impl Cumulative {
    fn new(counter: IntCounter) -> Self {
        Self {
            counter,
            last: Mutex::new(0),
        }
    }

    fn set(&self, value: u64) {
        let mut last = self.last.lock();
        self.counter
            .inc_by(if value >= *last { value - *last } else { value });
        *last = value;
    }
}

impl PublishingMetrics {
    pub(super) fn new(
        new: &Factory,
        topic: &str,
        buckets: &[f64],
    ) -> Result<Self, prometheus::Error> {
        let published = new.counters("records_published_total")?;
        let quarantined = new.counters("records_quarantined_total")?;
        let failures = new.counters("publish_failures_total")?;
        let round_trip = new.gauges("kafka_round_trip_seconds")?;
        Ok(Self {
            published: EventKind::ALL
                .iter()
                .map(|kind| published.with_label_values(&[topic, event_label(Some(*kind))]))
                .collect(),
            republished: new.counter("records_republished_total")?,
            replayed: new.counter("records_replayed_total")?,
            quarantined: QuarantineReason::ALL
                .iter()
                .map(|reason| quarantined.with_label_values(&[reason.name()]))
                .collect(),
            failures: FailureReason::ALL
                .iter()
                .map(|reason| failures.with_label_values(&[reason.name()]))
                .collect(),
            rebuilds: new.counter("producer_rebuilds_total")?,
            brokers_up: new.gauge("kafka_brokers_up")?,
            oldest_pending: new.optional_gauge("journal_oldest_pending_timestamp_seconds")?,
            last_published: new.optional_gauge("last_published_timestamp_seconds")?,
            accept_to_ack: new.histogram("accept_to_ack_seconds", buckets)?,
            statistics: StatisticsMetrics {
                queue_messages: new.gauge("kafka_queue_messages")?,
                queue_bytes: new.gauge("kafka_queue_bytes")?,
                requests: Cumulative::new(new.counter("kafka_requests_total")?),
                sent_bytes: Cumulative::new(new.counter("kafka_sent_bytes_total")?),
                request_errors: Cumulative::new(new.counter("kafka_request_errors_total")?),
                request_retries: Cumulative::new(new.counter("kafka_request_retries_total")?),
                round_trip_mean: round_trip.with_label_values(&["mean"]),
                round_trip_p99: round_trip.with_label_values(&["p99"]),
                throttle: new.float_gauge("kafka_throttle_seconds")?,
            },
        })
    }
}

impl Sink for Metrics {
    fn published(&self, publication: Publication<'_>) {
        let metrics = &self.publishing;
        if let Some(counter) = metrics.published.get(event_index(Some(publication.kind))) {
            counter.inc();
        }
        if publication.again {
            metrics.republished.inc();
        }
        metrics
            .last_published
            .set(Some(unix_seconds(publication.acknowledged_at)));
        // The clock may have been set back since.
        let waited = publication
            .acknowledged_at
            .0
            .saturating_sub(publication.accepted_at.0);
        metrics.accept_to_ack.observe(waited as f64 / 1000.0);
    }

    fn quarantined(&self, reason: QuarantineReason) {
        if let Some(counter) = self.publishing.quarantined.get(reason as usize) {
            counter.inc();
        }
    }

    fn replayed(&self) {
        self.publishing.replayed.inc();
    }

    fn failure(&self, reason: FailureReason) {
        if let Some(counter) = self.publishing.failures.get(reason as usize) {
            counter.inc();
        }
    }

    fn rebuilt(&self) {
        self.publishing.rebuilds.inc();
    }

    fn brokers_up(&self, count: usize) {
        self.publishing
            .brokers_up
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn oldest_pending(&self, accepted_at: Option<Millis>) {
        self.publishing
            .oldest_pending
            .set(accepted_at.map(unix_seconds));
    }

    fn statistics(&self, statistics: Statistics) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let metrics = &self.publishing.statistics;
        metrics.queue_messages.set(gauge(statistics.queued_records));
        metrics.queue_bytes.set(gauge(statistics.queued_bytes));
        metrics.requests.set(statistics.requests);
        metrics.sent_bytes.set(statistics.request_bytes);
        metrics.request_errors.set(statistics.request_errors);
        metrics.request_retries.set(statistics.request_retries);
        metrics.round_trip_mean.set(statistics.round_trip_mean);
        metrics.round_trip_p99.set(statistics.round_trip_p99);
        metrics.throttle.set(statistics.throttle_mean);
    }
}
