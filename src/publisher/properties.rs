//! Which librdkafka properties the producer runs with: the bridge's defaults, the operator's on top.
//!
//! Guarantees: the result names every property once, under one spelling (rdkafka hands properties over in random order, so two
//! spellings of one property would win at random); nothing in it voids the promise that what was accepted reaches Kafka in
//! order; librdkafka has accepted it as a whole, so that a start does not fail later on what a check could have said.
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
    ("client.id", "icr-bridge"),
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
    // librdkafka itself drops this prefix from properties of a topic.
    let name = name.strip_prefix("topic.").unwrap_or(name);
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, canonical)| canonical)
}

/// The properties to run with: defaults with `user`'s on top, or every problem, a sentence each. Idempotent, and connects to nothing.
pub fn effective(user: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Vec<String>> {
    let mut problems = Vec::new();
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    for (given, value) in user {
        let name = canonical(given);
        if let Some(problem) = forbidden(name, value) {
            problems.push(format!("{given}: {problem}"));
            continue;
        }
        if let Err(KafkaError::ClientConfig(refusal, message, _, _)) = ClientConfig::new()
            .set(name, value)
            .create_native_config()
            .map(drop)
        {
            let unknown = refusal == RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
            problems.push(if unknown && !name.contains('.') {
                // It may be the rest of a password: hence not shown.
                "an entry without a dot in its name is no librdkafka property; a value that contains a comma needs the file"
                    .to_owned()
            } else {
                format!("{given}: librdkafka says: {message}")
            });
            continue;
        }
        match properties.insert(name.to_owned(), value.clone()) {
            Some(other) if other != *value => problems.push(format!(
                "{given}: the same property as {name} under another name, with another value; set it once"
            )),
            _ => {}
        }
    }
    for (name, value) in DEFAULTS {
        properties
            .entry((*name).to_owned())
            .or_insert_with(|| (*value).to_owned());
    }
    if problems.is_empty()
        && let Err(message) = try_together(&properties)
    {
        problems.push(format!(
            "librdkafka refuses these properties together: {message}"
        ));
    }
    if problems.is_empty() {
        Ok(properties)
    } else {
        Err(problems)
    }
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
fn forbidden(name: &str, value: &str) -> Option<&'static str> {
    let yes = ["true", "t", "1"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(value));
    match name {
        "acks" if !["all", "-1"].contains(&value) => {
            Some("must stay all: with less, Kafka loses acknowledged records when a broker fails")
        }
        "enable.idempotence" if !yes => {
            Some("must stay true: without it a retry duplicates and reorders records")
        }
        "enable.gapless.guarantee" if !yes => {
            Some("must stay true: without it a record that failed is overtaken by the next")
        }
        "max.in.flight.requests.per.connection" if value != "1" => Some(
            "must stay 1: a broker takes the second batch of a new producer even where it refused the first, out of order",
        ),
        "delivery.report.only.error" if value != "false" => {
            Some("must stay false: without reports nothing is known to be published")
        }
        "statistics.interval.ms" if !is_watchful(value) => Some(
            "must be between 1 and 60000: from the statistics the bridge learns which brokers are there, and when to retry what is held",
        ),
        "transactional.id" => {
            Some("is not supported: the bridge does not run transactions; leave it out")
        }
        "bootstrap.servers" => Some("is set by the setting for the brokers; leave it out here"),
        "test.mock.num.brokers" => {
            Some("would publish to a cluster that exists in memory only; leave it out")
        }
        _ => None,
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
    for (name, value) in properties {
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
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<BTreeMap<String, String>, Vec<String>> {
        effective(
            &pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn the_defaults_are_those_of_the_design() {
        let properties = with(&[]).unwrap();
        assert_eq!(properties["acks"], "all");
        assert_eq!(properties["message.timeout.ms"], "0");
        assert_eq!(properties["enable.idempotence"], "true");
        assert_eq!(properties["partitioner"], "murmur2_random");
    }

    #[test]
    fn what_is_effective_stays_so_when_asked_again() {
        let once = with(&[("delivery.timeout.ms", "60000"), ("topic.acks", "-1")]).unwrap();
        assert_eq!(effective(&once).unwrap(), once);
    }

    #[test]
    fn an_alias_overrides_the_default_under_its_canonical_name() {
        let properties = with(&[
            ("delivery.timeout.ms", "60000"),
            ("queue.buffering.max.ms", "50"),
            ("compression.codec", "zstd"),
        ])
        .unwrap();
        assert_eq!(properties["message.timeout.ms"], "60000");
        assert_eq!(properties["linger.ms"], "50");
        assert_eq!(properties["compression.type"], "zstd");
        assert!(!properties.contains_key("delivery.timeout.ms"));
        assert!(!properties.contains_key("compression.codec"));
    }

    #[test]
    fn two_names_of_one_property_must_agree() {
        assert!(with(&[("linger.ms", "5"), ("queue.buffering.max.ms", "5")]).is_ok());
        let problems = with(&[("linger.ms", "5"), ("queue.buffering.max.ms", "6")]).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("linger.ms"), "{problems:?}");
    }

    #[test]
    fn what_would_void_the_promise_is_refused_and_every_problem_is_told_at_once() {
        let problems = with(&[
            ("request.required.acks", "1"),
            ("enable.idempotence", "false"),
            ("enable.gapless.guarantee", "false"),
            ("delivery.report.only.error", "true"),
            ("transactional.id", "x"),
            ("max.in.flight", "5"),
            ("metadata.broker.list", "elsewhere:9092"),
            ("test.mock.num.brokers", "3"),
            ("no.such.property", "1"),
        ])
        .unwrap_err();
        assert_eq!(problems.len(), 9, "{problems:#?}");
        assert!(
            problems
                .iter()
                .any(|p| p.contains("No such configuration property: \"no.such.property\"")),
            "{problems:#?}"
        );
    }

    #[test]
    fn statistics_cannot_be_turned_off_or_made_rare() {
        for value in ["0", "00", "60001", "0x0", "never", ""] {
            let problems = with(&[("statistics.interval.ms", value)]).unwrap_err();
            assert!(
                problems[0].contains("between 1 and 60000"),
                "{value}: {problems:?}"
            );
        }
        for value in ["1", "100", "60000"] {
            with(&[("statistics.interval.ms", value)]).unwrap();
        }
    }

    #[test]
    fn a_contradiction_is_told_in_librdkafkas_own_words() {
        let problems = with(&[("retries", "0")]).unwrap_err();
        assert!(problems[0].contains("retries"), "{problems:?}");
    }

    #[test]
    fn tls_and_sasl_with_scram_are_built_in() {
        with(&[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "u"),
            ("sasl.password", "p"),
        ])
        .unwrap();
    }
}
