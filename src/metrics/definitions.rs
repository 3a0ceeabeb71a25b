//! The table of metrics: names without the prefix, labels and meaning; and the factory that makes them from it.

use super::MaybeGauge;
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry,
};

/// Before every name but those of the process metrics.
pub const NAMESPACE: &str = "icr_bridge";

/// What a metric is, as operators read it.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// The name without the prefix.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    pub labels: &'static [&'static str],
    /// What it counts, and its unit where the name doesn't say it.
    pub help: &'static str,
}

macro_rules! definitions {
    ($($name:literal $kind:ident [$($label:literal),*] $help:literal;)+) => {
        /// Every metric, in the order of a delivery's way.
        pub const DEFINITIONS: &[Definition] =
            &[$(Definition { name: $name, kind: stringify!($kind), labels: &[$($label),*], help: $help },)+];
    };
}

definitions! {
    "deliveries_accepted_total" counter ["app", "event"] "Deliveries proven and on stable storage; duplicates not included.";
    "deliveries_rejected_total" counter ["app", "reason"] "Deliveries turned away at the door, unproven.";
    "deliveries_misdirected_total" counter [] "Requests with a signature header to a path or with a method that takes no deliveries: answered 404 or 405, and lost.";
    "deliveries_duplicate_total" counter ["app"] "Deliveries answered as repeats of one already stored.";
    "deliveries_refused_total" counter ["reason"] "Proven deliveries that could not be stored: ICR will not send them again.";
    "deliveries_reverified_total" counter [] "Rejected deliveries that were kept, proven later and stored; they count as accepted too.";
    "rejected_ring_bytes" gauge [] "Bytes of rejected deliveries that are kept on disk, to be judged again.";
    "rejected_ring_capacity_bytes" gauge [] "Bytes that these may take; 0: none is kept.";
    "rejected_ring_dropped_total" counter [] "Deliveries rejected as `signature_wrong` that are not or no longer kept: no room, share or disk for them.";
    "outer_mismatch_total" counter [] "Deliveries whose unsigned outer body differs from the signed payload.";
    "secret_matched_total" counter ["app", "position"] "Proofs by position of the secret that matched: 0 is the current one.";
    "secret_reload_failures_total" counter [] "Attempts to read a secret file, or certificate and key, again that failed; the last good ones stay in force.";
    "tls_certificate_expiry_timestamp_seconds" gauge [] "When the ingress listener's certificate ends; absent without TLS.";
    "tls_handshake_failures_total" counter [] "TLS handshakes on the ingress listener that came to nothing.";
    "http_request_duration_seconds" histogram ["code"] "Time of a request on the ingress listener, from its head to the answer.";
    "journal_append_seconds" histogram [] "Time from queueing a delivery for the journal until it is synced.";
    "journal_sync_seconds" histogram [] "Time of one fdatasync, which makes a group of deliveries safe.";
    "journal_pending_deliveries" gauge [] "Accepted deliveries that have no outcome yet.";
    "journal_oldest_pending_timestamp_seconds" gauge [] "When the oldest pending delivery was accepted; absent when nothing is pending.";
    "journal_bytes" gauge [] "Bytes of the journal on disk.";
    "journal_free_bytes" gauge [] "Free bytes of the journal's filesystem.";
    "journal_low_water_bytes" gauge [] "Free bytes under which the alarm is raised.";
    "journal_damaged_segments" gauge [] "Segments of the journal that are damaged or missing; one more while its folder or lock was moved, deleted or replaced.";
    "last_accepted_timestamp_seconds" gauge ["app"] "When the app's latest delivery was accepted; survives restarts.";
    "records_published_total" counter ["topic", "event"] "Deliveries whose record Kafka acknowledged on its topic, each once while the process runs.";
    "records_republished_total" counter [] "Of these, records handed to an earlier producer too: they may stand in the topic twice, with one id.";
    "records_replayed_total" counter [] "Records that replays wrote, to whichever topic; not counted as published or quarantined, unless no topic had the delivery before.";
    "records_quarantined_total" counter ["reason"] "Proven deliveries written to the quarantine topic.";
    "deliveries_held" gauge [] "Deliveries that not even the quarantine topic took: kept on disk and tried again.";
    "publish_failures_total" counter ["reason"] "Failures on the way to Kafka; each is followed by another attempt.";
    "producer_rebuilds_total" counter [] "Times that the Kafka producer was discarded and built again.";
    "kafka_brokers_up" gauge [] "Brokers with a connection that is up.";
    "last_published_timestamp_seconds" gauge [] "When Kafka last acknowledged a record.";
    "accept_to_ack_seconds" histogram [] "Time from acceptance to Kafka's acknowledgement.";
    "kafka_queue_messages" gauge [] "Records in librdkafka's queues.";
    "kafka_queue_bytes" gauge [] "Bytes in librdkafka's queues.";
    "kafka_requests_total" counter [] "Requests sent to brokers.";
    "kafka_sent_bytes_total" counter [] "Bytes sent to brokers.";
    "kafka_request_errors_total" counter [] "Requests to brokers that failed.";
    "kafka_request_retries_total" counter [] "Requests to brokers that were sent again.";
    "kafka_round_trip_seconds" gauge ["statistic"] "Round trip to the slowest broker over the last second: `mean`, `p99`.";
    "kafka_throttle_seconds" gauge [] "Longest average time by which a broker throttles us.";
    "unaccounted_deliveries" gauge [] "Accepted deliveries that are neither published nor quarantined, held or pending: must be 0.";
    "build_info" gauge ["version", "revision"] "1; its labels say which version runs, and from which commit it was built.";
}

/// Makes and registers metrics by their name in the table.
pub(super) struct Factory {
    registry: Registry,
}

impl Factory {
    pub(super) fn new(registry: Registry) -> Self {
        Self { registry }
    }

    fn definition(name: &str) -> Result<&'static Definition, prometheus::Error> {
        DEFINITIONS
            .iter()
            .find(|definition| definition.name == name)
            .ok_or_else(|| prometheus::Error::Msg(format!("`{name}` stands in no definition")))
    }

    fn options(name: &str) -> Result<(Opts, &'static [&'static str]), prometheus::Error> {
        let definition = Self::definition(name)?;
        Ok((
            Opts::new(definition.name, definition.help).namespace(NAMESPACE),
            definition.labels,
        ))
    }

    fn register<C: Collector + Clone + 'static>(
        &self,
        collector: C,
    ) -> Result<C, prometheus::Error> {
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    pub(super) fn counter(&self, name: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::with_opts(Self::options(name)?.0)?)
    }

    pub(super) fn counters(&self, name: &str) -> Result<IntCounterVec, prometheus::Error> {
        let (options, labels) = Self::options(name)?;
        self.register(IntCounterVec::new(options, labels)?)
    }

    pub(super) fn gauge(&self, name: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::with_opts(Self::options(name)?.0)?)
    }

    pub(super) fn float_gauge(&self, name: &str) -> Result<Gauge, prometheus::Error> {
        self.register(Gauge::with_opts(Self::options(name)?.0)?)
    }

    pub(super) fn optional_gauge(&self, name: &str) -> Result<MaybeGauge, prometheus::Error> {
        self.register(MaybeGauge::new(Gauge::with_opts(Self::options(name)?.0)?))
    }

    pub(super) fn gauges(&self, name: &str) -> Result<GaugeVec, prometheus::Error> {
        let (options, labels) = Self::options(name)?;
        self.register(GaugeVec::new(options, labels)?)
    }

    pub(super) fn histogram(
        &self,
        name: &str,
        buckets: &[f64],
    ) -> Result<Histogram, prometheus::Error> {
        let options = HistogramOpts::from(Self::options(name)?.0).buckets(buckets.to_vec());
        self.register(Histogram::with_opts(options)?)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let (options, labels) = Self::options(name)?;
        self.register(HistogramVec::new(
            HistogramOpts::from(options).buckets(buckets.to_vec()),
            labels,
        )?)
    }

    /// The registry, with CPU, memory, file descriptors and threads of this process where the system tells them.
    pub(super) fn with_process_metrics(self) -> Result<Registry, prometheus::Error> {
        #[cfg(target_os = "linux")]
        self.registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(self.registry)
    }
}
