//! The producer: one librdkafka client, from being built to being discarded.
//!
//! Guarantees: every record handed over is reported exactly once to the inbox, under the client's epoch, at the latest while
//! the client is dropped (which purges what is left). Nothing here decides anything: codes are passed on as they are.
use super::code::Code;
use super::compression::Compression;
use super::health::Health;
use super::inbox::{Inbox, Report};
use super::librdkafka::{Delivered, Listener, Producer};
use super::pace::Pace;
use super::policy::Questions;
use super::properties::{self, Masks};
use super::sink::Sink;
use super::statistics;
use super::throttle::Throttle;
use super::tokens::{Registration, Tokens};
use super::topics::Creation;
use super::verdict::{Class, FailureReason, classify};
use crate::domain::delivery::Millis;
use crate::domain::record::Record;
use crate::journal::Sequence;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What librdkafka calls back into.
struct Context {
    epoch: u64,
    inbox: Arc<Inbox>,
    sink: Arc<dyn Sink>,
    health: Health,
    throttle: Arc<Throttle>,
    masks: Masks,
    tokens: Option<Arc<Tokens>>,
    pace: Pace,
}

impl Listener for Context {
    fn delivered(&self, delivered: &Delivered) {
        self.inbox.report(Report {
            epoch: self.epoch,
            sequence: delivered.opaque as Sequence,
            at: now(),
            result: delivered.result,
            broker: delivered.broker,
        });
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = &*self.masks.mask(message);
        // Behind the name of librdkafka's thread.
        let words = message
            .split_once("]: ")
            .map_or(message, |(_, words)| words);
        match facility {
            "GETPID" => self.health.no_producer_id(words),
            // That a broker has ended a connection is no error for librdkafka: it stands in its log alone.
            "FAIL" => self.health.error(Code::LOCAL_TRANSPORT, words),
            _ => {}
        }
        match level {
            // Fatal errors are told with what is done about them.
            _ if facility == "FATAL" => {
                tracing::debug!("librdkafka {facility}: {message}");
            }
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::debug!("librdkafka {facility}: {message}");
            }
            // "Experimental": our own default, and meant.
            _ if facility == "CONFWARN" && message.contains("enable.gapless.guarantee") => {}
            // There may be several at once, each of another property.
            _ if facility == "CONFWARN" => {
                if self.throttle.pass("librdkafka", message).is_some() {
                    tracing::warn!("librdkafka {facility}: {message}");
                }
            }
            // A broker that is down is complained of at every attempt to connect.
            _ => {
                if self.throttle.pass("librdkafka", facility).is_some() {
                    tracing::warn!("librdkafka {facility}: {message}");
                }
            }
        }
    }

    fn statistics(&self, json: &[u8]) {
        if let Some(statistics) = statistics::parse(json) {
            self.health.count_brokers(statistics.brokers_up);
            self.health.advertise(statistics::unreachable(json));
            self.sink.brokers_up(statistics.brokers_up);
            self.sink.statistics(statistics);
        }
    }

    fn error(&self, code: Code, reason: &str) {
        if code == Code::LOCAL_ALL_BROKERS_DOWN {
            self.health.count_brokers(0);
            self.sink.brokers_up(0);
            return;
        }
        if code == Code::LOCAL_AUTHENTICATION
            && let Some(tokens) = &self.tokens
        {
            tokens.refused();
        }
        let reason = self.masks.mask(reason);
        tracing::debug!("librdkafka: {code:?}: {reason}");
        self.health.error(code, &reason);
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn connection(&self, broker: &str, state: &str) {
        if state == "UP" {
            Pace::connected();
        }
        self.health.connection(broker, state);
    }

    fn hung_up(&self, broker: i32) {
        self.health.hung_up(broker);
        self.inbox.nudge();
    }
}

/// The clock, in the unit of the journal.
pub fn now() -> Millis {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// The producer's queue is full: wait for reports.
    Full,
    /// librdkafka's word.
    Refused(Code),
}

/// What a topic turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It can be written to; `short` says how many of its partitions miss replicas or a leader.
    Usable {
        /// Partitions whose replicas are not all in sync, or that have no leader.
        short: usize,
    },
    /// It cannot be written to now, and why, in Kafka's words.
    Unusable(FailureReason, String),
}

/// How a producer differs from the ordinary one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Batching {
    /// Each record alone in its batch.
    pub alone: bool,
    /// `batch.size`, where experience says that the ordinary one is too much for the topic.
    pub size: Option<usize>,
}

/// What is common to all producers of a publisher.
#[derive(Clone)]
pub struct Surroundings {
    /// `host:port,…`.
    pub brokers: String,
    /// The effective properties.
    pub properties: BTreeMap<String, String>,
    /// Deliveries in flight at most.
    pub window: u64,
    pub inbox: Arc<Inbox>,
    pub sink: Arc<dyn Sink>,
    /// Keeps the log readable.
    pub throttle: Arc<Throttle>,
    /// Keeps it free of secrets.
    pub masks: Masks,
    /// Tokens to log in with, where the properties ask for them.
    pub tokens: Option<Arc<Tokens>>,
    /// With which codec batches are compressed.
    pub compression: Arc<Compression>,
}

/// Starts fetching tokens, where effective properties ask for them.
pub fn tokens(
    properties: &BTreeMap<String, String>,
    throttle: &Arc<Throttle>,
) -> std::io::Result<Option<Arc<Tokens>>> {
    let oidc = properties::oidc(properties);
    let tokens = oidc.map(|oidc| Tokens::start(oidc, Arc::clone(throttle)));
    Ok(tokens.transpose()?.map(Arc::new))
}

impl Surroundings {
    /// The configuration of a client.
    pub fn config(&self, batching: Batching) -> ClientConfig {
        let mut config = ClientConfig::new();
        // rdkafka's default follows a logger that this program does not use.
        config.set_log_level(if self.properties.contains_key("debug") {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Info
        });
        for (name, value) in properties::for_librdkafka(&self.properties) {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        if !self.properties.contains_key("queue.buffering.max.messages") {
            // librdkafka's default would bound the window where the operator has asked for a larger one.
            let room = self.window.clamp(100_000, 10_000_000);
            config.set("queue.buffering.max.messages", room.to_string());
        }
        if let Some(codec) = self.compression.instead() {
            config.set("compression.type", codec);
        }
        if let Some(size) = batching.size {
            config.set("batch.size", size.to_string());
        }
        if batching.alone {
            config.set("batch.num.messages", "1");
            config.set("linger.ms", "0");
        }
        config
    }
}

/// A producer.
pub struct Client {
    /// Goes before the producer.
    _tokens: Option<Registration>,
    /// They go before the producer, too.
    pub(super) questions: Questions,
    producer: Producer<Context>,
}

impl Client {
    /// Builds a producer, which begins to connect. The error is librdkafka's.
    pub fn build(
        surroundings: &Surroundings,
        config: &ClientConfig,
        epoch: u64,
    ) -> Result<Self, String> {
        let context = Context {
            epoch,
            inbox: Arc::clone(&surroundings.inbox),
            sink: Arc::clone(&surroundings.sink),
            health: Health::default(),
            throttle: Arc::clone(&surroundings.throttle),
            masks: surroundings.masks.clone(),
            tokens: surroundings.tokens.clone(),
            pace: Pace::of(&surroundings.properties),
        };
        let producer = Producer::build(config, context)
            .map_err(|words| surroundings.masks.mask(&words).into_owned())?;
        let registration = surroundings.tokens.as_ref().map(|tokens| {
            // SAFETY: fields are dropped in their order, so the registration goes before the producer.
            unsafe { tokens.register(producer.native()) }
        });
        Ok(Self {
            _tokens: registration,
            // SAFETY: as above.
            questions: unsafe { Questions::new(producer.native()) },
            producer,
        })
    }

    /// Hands a record over; a report follows if, and only if, it is taken.
    pub fn send(&self, sequence: Sequence, record: &Record) -> Result<(), NotTaken> {
        // Sequences are counted from 1; on a 32-bit machine four billion of them would have to pass first.
        let opaque = usize::try_from(sequence).unwrap_or(usize::MAX);
        let timestamp = i64::try_from(record.timestamp.0).unwrap_or(i64::MAX);
        let headers = record.headers.iter();
        let headers = headers.map(|(key, value)| (*key, value.as_bytes()));
        let (key, value) = (record.key.as_deref(), record.value.as_ref());
        self.producer
            .send(&record.topic, key, value, headers, timestamp, opaque)
            .map_err(|code| match code {
                Code::LOCAL_QUEUE_FULL => NotTaken::Full,
                code => NotTaken::Refused(code),
            })
    }

    /// Asks the cluster for a topic: whether it exists and may be written to.
    pub fn probe(&self, topic: &str, timeout: Duration) -> Probe {
        let found = match self.producer.metadata(topic, timeout) {
            Ok(Some(found)) => found,
            Ok(None) => {
                let words = "the cluster does not know it".to_owned();
                return Probe::Unusable(FailureReason::UnknownTopic, words);
            }
            Err(code) => return self.unreachable(code),
        };
        match found.code {
            Code::NO_ERROR if found.partitions == 0 => {
                let words = "the cluster lists it without a partition".to_owned();
                Probe::Unusable(FailureReason::UnknownTopic, words)
            }
            Code::NO_ERROR => Probe::Usable { short: found.short },
            // A leader is being elected: librdkafka waits for it by itself.
            Code::LEADER_NOT_AVAILABLE => Probe::Usable { short: 1 },
            code => match classify(code) {
                Class::Failure(reason) => Probe::Unusable(reason, code.to_string()),
                _ => Probe::Unusable(FailureReason::Other, code.to_string()),
            },
        }
    }

    /// Creates a topic; the error says why not.
    pub fn create(&self, topic: &str, creation: Creation) -> Result<(), String> {
        let Creation {
            partitions,
            replication,
        } = creation;
        let config = [super::topics::CLEANUP];
        let limit = super::topics::PATIENCE;
        match self
            .producer
            .create_topic(topic, partitions, replication, &config, limit)
        {
            Ok(()) | Err((Code::TOPIC_ALREADY_EXISTS, _)) => Ok(()),
            Err((_, words)) => Err(words),
        }
    }

    /// Why there is no metadata.
    fn unreachable(&self, code: Code) -> Probe {
        let tokens = self.producer.listener().tokens.as_ref();
        if let Some(words) = tokens.and_then(|tokens| tokens.trouble()) {
            return Probe::Unusable(FailureReason::Authentication, words);
        }
        let words = code.to_string();
        match self.health().cause() {
            Some((reason, words)) => Probe::Unusable(reason, words),
            // Connected, but no answer: the brokers are there.
            None if self.health().brokers_up().is_some_and(|up| up > 0) => {
                Probe::Unusable(FailureReason::TimedOut, words)
            }
            None => Probe::Unusable(FailureReason::NoBroker, words),
        }
    }

    /// What a code means that speaks of the producer as a whole: librdkafka gives it up for a reason, and then hands back
    /// everything with a code of its own.
    pub fn explain(&self, code: Code) -> (FailureReason, String) {
        let Some((cause, words)) = self.producer.fatal() else {
            return (FailureReason::Fatal, code.to_string());
        };
        match classify(cause) {
            Class::Failure(reason) => (reason, words),
            _ => (FailureReason::Fatal, words),
        }
    }

    /// librdkafka's own handle, alive as long as this.
    pub(super) fn native_ptr(&self) -> *mut rdkafka::bindings::rd_kafka_t {
        self.producer.native()
    }

    /// What is known of its connections.
    pub fn health(&self) -> &Health {
        &self.producer.listener().health
    }

    /// Sends what lingers at once and waits until all is reported, at most `limit`.
    pub fn flush(&self, limit: Duration) {
        // Whatever it did not manage stays in the journal.
        self.producer.flush(limit);
    }
}
