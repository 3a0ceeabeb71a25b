//! What the publisher tells the world while it works: the metrics' side implements it, so that publishing knows no metrics.
use super::verdict::FailureReason;
use crate::domain::delivery::Millis;
use crate::domain::event::EventKind;
use crate::domain::reasons::QuarantineReason;

/// A delivery that Kafka has acknowledged on its main topic.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// The topic's template: a label that no sender can widen.
    pub topic: &'a str,
    /// The kind of its event.
    pub kind: EventKind,
    /// When the delivery was accepted.
    pub accepted_at: Millis,
    /// When Kafka's acknowledgement arrived.
    pub acknowledged_at: Millis,
    /// Whether this process had handed it to an earlier producer too, so that it may stand in the topic twice (with one `ce_id`).
    pub again: bool,
}

/// What librdkafka's statistics say, as far as anybody asked.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Statistics {
    /// Brokers with a working connection.
    pub brokers_up: usize,
    /// Records in the producer's queues.
    pub queued_records: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Records sent since this producer was built. Falls back to 0 with a rebuild, like every counter here.
    pub sent_records: u64,
    /// Their bytes.
    pub sent_record_bytes: u64,
    pub requests: u64,
    /// Bytes sent, requests of every kind.
    pub request_bytes: u64,
    /// Requests that failed to be sent.
    pub request_errors: u64,
    /// Requests sent again.
    pub request_retries: u64,
    /// Requests that got no answer in time.
    pub request_timeouts: u64,
    /// Connections lost.
    pub disconnects: u64,
    /// Round trip to the slowest broker, mean over the interval, in seconds.
    pub round_trip_mean: f64,
    /// Round trip to the slowest broker, 99th percentile, in seconds.
    pub round_trip_p99: f64,
    /// Throttling by the slowest broker, mean over the interval, in seconds.
    pub throttle_mean: f64,
}

/// Where the publisher's news goes. Called on the publisher's thread (statistics: on librdkafka's poll thread); must be quick.
pub trait Sink: Send + Sync + 'static {
    /// A delivery was acknowledged on its main topic. Once per delivery and process: `again` qualifies it, it is no second call.
    fn published(&self, publication: Publication<'_>) {
        let _ = publication;
    }
    /// A delivery was acknowledged on the quarantine topic.
    fn quarantined(&self, reason: QuarantineReason) {
        let _ = reason;
    }
    /// A replay's record was acknowledged, on whichever topic. Neither `published` nor `quarantined` is called for it, unless no topic
    /// had the delivery before.
    fn replayed(&self) {}
    /// So many deliveries are held now.
    fn held(&self, count: usize) {
        let _ = count;
    }
    /// Publishing did not get on. While trouble lasts, counted again at each attempt or each check (every 10 s or so).
    fn failure(&self, reason: FailureReason) {
        let _ = reason;
    }
    /// A producer was discarded and will be built anew.
    fn rebuilt(&self) {}
    /// So many sequences are lost to damage; the cursor passes them without an outcome.
    fn lost(&self, sequences: u64) {
        let _ = sequences;
    }
    /// So many brokers have a working connection.
    fn brokers_up(&self, count: usize) {
        let _ = count;
    }
    /// When the oldest delivery without outcome was accepted; `None` when there is none.
    fn oldest_pending(&self, accepted_at: Option<Millis>) {
        let _ = accepted_at;
    }
    /// librdkafka's statistics, every `statistics.interval.ms`.
    fn statistics(&self, statistics: Statistics) {
        let _ = statistics;
    }
}

/// A sink that listens to nothing.
pub struct Silent;

impl Sink for Silent {}
