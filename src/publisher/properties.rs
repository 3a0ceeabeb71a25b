//! Which librdkafka properties the producer runs with: the bridge's defaults, the operator's on top.
//!
//! Guarantees: the result names every property once, under one spelling (rdkafka hands properties over in random order, so two
//! spellings of one property would win at random); nothing in it voids the promise that what was accepted reaches Kafka in
//! order; librdkafka has accepted it as a whole, and it can work as far as that shows without a connection (`security`), so that
//! a start does not fail later on what a check could have said. **No problem repeats any part of a value**: values hold passwords,
//! and what stands where a name belongs may be the rest of a password with a comma (`words`).
mod security;
mod words;

pub use words::{Entry, Masks, entries, unknown};

use super::oidc::{self, Oidc};
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;
use rdkafka::types::RDKafkaConfRes;
use std::collections::BTreeMap;

/// What the producer runs with unless the operator says otherwise.
const DEFAULTS: &[(&str, &str)] = &[
    ("acks", "all"),
    // A missing topic is an error to be told, not one to be papered over with the broker's default partitions.
    ("allow.auto.create.topics", "false"),
    ("compression.type", "lz4"),
    ("enable.gapless.guarantee", "true"),
    ("enable.idempotence", "true"),
    ("linger.ms", "5"),
    // Idempotence alone does not keep the order: a broker accepts *any* sequence number from a producer that a partition has
    // not seen yet, so that the second batch of a new producer may be stored though its first was refused. With one request
    // at a time there is no second batch. Throughput does not suffer: batches grow while one is under way.
    ("max.in.flight.requests.per.connection", "1"),
    // Never gives a record up: the journal has it anyway, and idempotence keeps the order over retries.
    ("message.timeout.ms", "0"),
    // The partition that a Java producer picks for the same key.
    ("partitioner", "murmur2_random"),
    ("queue.buffering.max.kbytes", "16384"),
    // The default of 10 s would delay recovery by as much.
    ("reconnect.backoff.max.ms", "1000"),
    // As in the Java client. librdkafka's 30 s pass before the next address of a name is tried where the first one is dead.
    ("socket.connection.setup.timeout.ms", "10000"),
    ("statistics.interval.ms", "1000"),
];

/// Other spellings of a property (CONFIGURATION.md of librdkafka, "Alias for"), and the one used here.
const ALIASES: &[(&str, &str)] = &[
    ("compression.codec", "compression.type"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("message.send.max.retries", "retries"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("request.required.acks", "acks"),
    (
        "sasl.oauthbearer.client.credentials.client.id",
        "sasl.oauthbearer.client.id",
    ),
    (
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.client.secret",
    ),
    ("sasl.mechanisms", "sasl.mechanism"),
];

/// The one spelling of a property's name.
pub fn canonical(name: &str) -> &str {
    // librdkafka itself drops this prefix from properties of a topic; some names of others begin with it.
    let own = ["topic.metadata.", "topic.blacklist"];
    let name = match name.strip_prefix("topic.") {
        Some(rest) if !own.iter().any(|own| name.starts_with(own)) => rest,
        _ => name,
    };
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, canonical)| canonical)
}

/// Whether librdkafka has a property of this name, or this module reads it itself.
pub fn is_known(name: &str) -> bool {
    let name = canonical(name);
    if oidc::PROPERTIES.contains(&name) {
        return true;
    }
    match ClientConfig::new().set(name, "").create_native_config() {
        Ok(_) => true,
        Err(KafkaError::ClientConfig(refusal, ..)) => {
            refusal != RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN
        }
        // A NUL in the name.
        Err(_) => false,
    }
}

/// The properties to run with: defaults with `user`'s on top, or every problem, a sentence each. Idempotent, and connects to nothing.
/// `instance` is the bridge's own name among several, which Kafka's operators then see too.
pub fn effective(
    user: &BTreeMap<String, String>,
    instance: Option<&str>,
) -> Result<BTreeMap<String, String>, Vec<String>> {
    let mut problems = Vec::new();
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    for (given, value) in user {
        if !is_known(given) {
            problems.push(unknown("an entry", given));
            continue;
        }
        let name = canonical(given);
        if let Some(problem) = forbidden(name, value).or_else(|| refused(name, value)) {
            problems.push(format!("{given}: {problem}"));
            continue;
        }
        match properties.insert(name.to_owned(), value.clone()) {
            Some(other) if other != *value => problems.push(format!(
                "{given}: the same property as {name} under another name, with another value; set it once"
            )),
            _ => {}
        }
    }
    problems.extend(security::problems(&properties));
    for (name, value) in DEFAULTS {
        properties
            .entry((*name).to_owned())
            .or_insert_with(|| (*value).to_owned());
    }
    properties
        .entry("client.id".to_owned())
        .or_insert_with(|| match instance {
            Some(instance) => format!("icr-bridge-{instance}"),
            None => "icr-bridge".to_owned(),
        });
    if problems.is_empty()
        && let Err(message) = try_together(&properties)
    {
        problems.push(words::together(&message, &properties));
    }
    if problems.is_empty() {
        Ok(properties)
    } else {
        Err(problems)
    }
}

/// What librdkafka itself is given: all but what this bridge does in its place.
pub(super) fn for_librdkafka(
    properties: &BTreeMap<String, String>,
) -> impl Iterator<Item = (&String, &String)> {
    let ours = |name: &str| oidc::PROPERTIES.contains(&name);
    properties.iter().filter(move |(name, _)| !ours(name))
}

/// How tokens are fetched, where effective properties ask for that.
pub(super) fn oidc(properties: &BTreeMap<String, String>) -> Option<Oidc> {
    Oidc::is_wanted(properties)
        .then(|| Oidc::of(properties).ok())
        .flatten()
}

/// The largest record that the client takes, in bytes: `message.max.bytes`, or librdkafka's default for it.
pub fn message_max_bytes(user: &BTreeMap<String, String>) -> u64 {
    const DEFAULT: u64 = 1_000_000;
    let set = user
        .iter()
        .find(|(name, _)| canonical(name) == "message.max.bytes");
    set.and_then(|(_, value)| value.parse().ok())
        .unwrap_or(DEFAULT)
}

/// Why this property must not have this value; says what to do instead.
fn forbidden(name: &str, value: &str) -> Option<String> {
    let yes = ["true", "t", "1"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(value));
    let problem = match name {
        "acks" if !["all", "-1"].contains(&value) => {
            "must stay all: with less, Kafka loses acknowledged records when a broker fails"
        }
        "enable.idempotence" if !yes => {
            "must stay true: without it a retry duplicates and reorders records"
        }
        "enable.gapless.guarantee" if !yes => {
            "must stay true: without it a record that failed is overtaken by the next"
        }
        "max.in.flight.requests.per.connection" if value != "1" => {
            "must stay 1: a broker takes the second batch of a new producer even where it refused the first, out of order"
        }
        "delivery.report.only.error" if value != "false" => {
            "must stay false: without reports nothing is known to be published"
        }
        "statistics.interval.ms" if !is_watchful(value) => {
            "must be between 1 and 60000: from the statistics the bridge learns which brokers are there, and when to retry what is held"
        }
        "transactional.id" => {
            "is not supported: the bridge does not run transactions; leave it out"
        }
        "bootstrap.servers" => "is set by the setting for the brokers; leave it out here",
        "test.mock.num.brokers" => {
            "would publish to a cluster that exists in memory only; leave it out"
        }
        _ => return None,
    };
    Some(problem.to_owned())
}

/// Why librdkafka does not take this value, without the value.
fn refused(name: &str, value: &str) -> Option<String> {
    if let Some(problem) = security::choice(name, value) {
        return Some(problem);
    }
    if oidc::PROPERTIES.contains(&name) {
        return None;
    }
    match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(_, message, _, _)) => Some(words::of_one(&message)),
        Err(_) => Some("has a value with a NUL character; remove it".to_owned()),
    }
}

/// Whether statistics come, and often enough.
fn is_watchful(milliseconds: &str) -> bool {
    let number = milliseconds.trim().parse::<u64>();
    number.is_ok_and(|number| (1..=60_000).contains(&number))
}

/// Has librdkafka judge the whole set: contradictions, files that cannot be read. Without brokers it connects to nothing.
fn try_together(properties: &BTreeMap<String, String>) -> Result<(), String> {
    let mut config = ClientConfig::new();
    config.set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    for (name, value) in for_librdkafka(properties) {
        config.set(name, value);
    }
    config.set("statistics.interval.ms", "0");
    match config.create::<BaseProducer>() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(_, message, _, _) | KafkaError::ClientCreation(message)) => {
            Err(message)
        }
        Err(other) => Err(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
