//! The producer: one librdkafka client, from being built to being discarded.
//!
//! Guarantees: every record handed over is reported exactly once to the inbox, under the client's epoch, at the latest while
//! the client is dropped (which purges what is left). Nothing here decides anything: codes are passed on as they are.
use super::inbox::{Inbox, Report};
use super::policy::Questions;
use super::properties::{self, Masks};
use super::sink::Sink;
use super::statistics;
use super::throttle::Throttle;
use super::tokens::{Registration, Tokens};
use super::verdict::{Class, FailureReason, classify};
use crate::domain::delivery::Millis;
use crate::domain::record::Record;
use crate::journal::Sequence;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the producer's own threads have learned about its connections.
pub struct Health {
    brokers_up: AtomicUsize,
    last_error: Mutex<Option<(Code, String)>>,
    unreachable: Mutex<Vec<String>>,
}

const UNKNOWN: usize = usize::MAX;

impl Health {
    /// How many brokers have a working connection; `None` before the first statistics.
    pub fn brokers_up(&self) -> Option<usize> {
        match self.brokers_up.load(Ordering::Relaxed) {
            UNKNOWN => None,
            count => Some(count),
        }
    }

    /// The addresses that brokers advertise, where none of them can be reached though a bootstrap server can.
    pub fn unreachable(&self) -> Vec<String> {
        self.unreachable.lock().clone()
    }

    /// The last error of a connection, in librdkafka's words.
    pub fn last_error(&self) -> Option<(Code, String)> {
        self.last_error.lock().clone()
    }
}

/// What librdkafka calls back into.
pub struct Context {
    epoch: u64,
    inbox: Arc<Inbox>,
    sink: Arc<dyn Sink>,
    health: Arc<Health>,
    throttle: Arc<Throttle>,
    masks: Masks,
    tokens: Option<Arc<Tokens>>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = &*self.masks.mask(message);
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

    fn stats_raw(&self, json: &[u8]) {
        if let Some(statistics) = statistics::parse(json) {
            self.health
                .brokers_up
                .store(statistics.brokers_up, Ordering::Relaxed);
            if statistics.brokers_up > 0 {
                self.health.last_error.lock().take();
            }
            *self.health.unreachable.lock() = statistics::unreachable(json);
            self.sink.brokers_up(statistics.brokers_up);
            self.sink.statistics(statistics);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else {
            return;
        };
        if code == Code::AllBrokersDown {
            self.health.brokers_up.store(0, Ordering::Relaxed);
            self.sink.brokers_up(0);
            return;
        }
        if code == Code::Authentication
            && let Some(tokens) = &self.tokens
        {
            tokens.refused();
        }
        let reason = self.masks.mask(reason);
        tracing::debug!("librdkafka: {code:?}: {reason}");
        *self.health.last_error.lock() = Some((code, reason.into_owned()));
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        self.inbox.report(Report {
            epoch: self.epoch,
            sequence: opaque as Sequence,
            at: now(),
            result: match result {
                Ok(message) => Ok((message.partition(), message.offset())),
                Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
            },
        });
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

pub struct Client {
    /// Goes before the producer.
    _tokens: Option<Registration>,
    /// They go before the producer, too.
    pub(super) questions: Questions,
    tokens: Option<Arc<Tokens>>,
    producer: ThreadedProducer<Context>,
    health: Arc<Health>,
}

impl Client {
    /// Builds a producer, which begins to connect. The error is librdkafka's.
    pub fn build(
        surroundings: &Surroundings,
        config: &ClientConfig,
        epoch: u64,
    ) -> Result<Self, String> {
        let health = Arc::new(Health {
            brokers_up: AtomicUsize::new(UNKNOWN),
            last_error: Mutex::new(None),
            unreachable: Mutex::default(),
        });
        let context = Context {
            epoch,
            inbox: Arc::clone(&surroundings.inbox),
            sink: Arc::clone(&surroundings.sink),
            health: Arc::clone(&health),
            throttle: Arc::clone(&surroundings.throttle),
            masks: surroundings.masks.clone(),
            tokens: surroundings.tokens.clone(),
        };
        let producer: ThreadedProducer<Context> = config
            .create_with_context(context)
            .map_err(|error| surroundings.masks.mask(&error.to_string()).into_owned())?;
        let registration = surroundings.tokens.as_ref().map(|tokens| {
            // SAFETY: fields are dropped in their order, so the registration goes before the producer.
            unsafe { tokens.register(producer.client().native_ptr()) }
        });
        Ok(Self {
            _tokens: registration,
            // SAFETY: as above.
            questions: unsafe { Questions::new(producer.client().native_ptr()) },
            tokens: surroundings.tokens.clone(),
            producer,
            health,
        })
    }

    /// Hands a record over; a report follows if, and only if, it is taken.
    pub fn send(&self, sequence: Sequence, record: &Record) -> Result<(), NotTaken> {
        let headers = record.headers.iter().fold(
            OwnedHeaders::new_with_capacity(record.headers.len()),
            |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value.as_ref()),
                })
            },
        );
        // Sequences are counted from 1; on a 32-bit machine four billion of them would have to pass first.
        let opaque = usize::try_from(sequence).unwrap_or(usize::MAX);
        let mut message = BaseRecord::<[u8], [u8], usize>::with_opaque_to(&record.topic, opaque)
            .payload(&record.value)
            .timestamp(i64::try_from(record.timestamp.0).unwrap_or(i64::MAX))
            .headers(headers);
        if let Some(key) = &record.key {
            message = message.key(key);
        }
        self.producer
            .send(message)
            .map_err(|(error, _)| match error.rdkafka_error_code() {
                Some(Code::QueueFull) => NotTaken::Full,
                Some(code) => NotTaken::Refused(code),
                None => NotTaken::Refused(Code::Unknown),
            })
    }

    /// Asks the cluster for a topic: whether it exists and may be written to.
    pub fn probe(&self, topic: &str, timeout: Duration) -> Probe {
        let metadata = match self.producer.client().fetch_metadata(Some(topic), timeout) {
            Ok(metadata) => metadata,
            Err(error) => return self.unreachable(&error),
        };
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Probe::Unusable(
                FailureReason::UnknownTopic,
                "the cluster does not know it".to_owned(),
            );
        };
        if let Some(error) = found.error() {
            let code = Code::from(error);
            return match classify(code, 0) {
                // A leader is being elected: librdkafka waits for it by itself.
                _ if code == Code::LeaderNotAvailable => Probe::Usable { short: 1 },
                Class::Failure(reason) => Probe::Unusable(reason, code.to_string()),
                _ => Probe::Unusable(FailureReason::Other, code.to_string()),
            };
        }
        let short = found
            .partitions()
            .iter()
            .filter(|partition| {
                partition.leader() < 0 || partition.isr().len() < partition.replicas().len()
            })
            .count();
        Probe::Usable { short }
    }

    /// What is wrong where bootstrap servers answer, and no broker can be reached at the address that it advertises.
    pub fn not_as_advertised(&self) -> Option<String> {
        let addresses = self.health.unreachable();
        (!addresses.is_empty()).then(|| {
            format!(
                "a bootstrap server answers, but the addresses that the brokers advertise ({}) cannot be reached from here; open the \
                 way to them, or correct advertised.listeners at the brokers",
                addresses.join(", ")
            )
        })
    }

    /// Why there is no metadata.
    fn unreachable(&self, error: &KafkaError) -> Probe {
        if let Some(words) = self.tokens.as_ref().and_then(|tokens| tokens.trouble()) {
            return Probe::Unusable(FailureReason::Authentication, words);
        }
        if let Some((code, words)) = self.health.last_error()
            && let Class::Failure(FailureReason::Authentication) = classify(code, 0)
        {
            return Probe::Unusable(FailureReason::Authentication, words);
        }
        if let Some(words) = self.not_as_advertised() {
            return Probe::Unusable(FailureReason::NoBroker, words);
        }
        let words = match self.health.last_error() {
            Some((_, words)) => words,
            None => error.to_string(),
        };
        // Connected, but no answer: the brokers are there.
        let reason = match self.health.brokers_up() {
            Some(up) if up > 0 => FailureReason::TimedOut,
            _ => FailureReason::NoBroker,
        };
        Probe::Unusable(reason, words)
    }

    /// librdkafka's own handle, alive as long as this.
    pub(super) fn native_ptr(&self) -> *mut rdkafka::bindings::rd_kafka_t {
        self.producer.client().native_ptr()
    }

    /// What is known of its connections.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Sends what lingers at once and waits until all is reported, at most `limit`.
    pub fn flush(&self, limit: Duration) {
        // Whatever it did not manage stays in the journal.
        let _ = self.producer.flush(limit);
    }
}
