//! The main job on real input: every documented and observed delivery, from HTTP through `serve` to real Kafka, compared as a whole
//! record with its golden file.

use super::{PATIENCE, serve};
use crate::support::deliveries::fixtures;
use crate::support::golden::{self, Found, GoldenCase, Identity, Making};
use crate::support::http;
use crate::support::kafka::{RealKafka, unique};
use crate::support::process::run;
use icr_bridge::domain::reasons::QuarantineReason;
use std::collections::HashMap;
use std::path::Path;

/// Cases that one bridge can make: its settings, and how the main topic differs from an ordinary one.
struct Round {
    variant: &'static str,
    making: Making,
    settings: &'static [(&'static str, &'static str)],
    topic: &'static [(&'static str, &'static str)],
}

const fn round(variant: &'static str, settings: &'static [(&str, &str)]) -> Round {
    Round {
        variant,
        making: Making::Ordinary,
        settings,
        topic: &[],
    }
}

const STRUCTURED: (&str, &str) = ("CONTENT_MODE", "structured");

/// A record that no broker takes whose limit this is, and whose quarantine record the default one lets pass.
const TINY: (&str, &str) = ("max.message.bytes", "400");

/// All that a real broker can be made to do; `record_invalid` is compared elsewhere.
const ROUNDS: [Round; 12] = [
    round("", &[]),
    round("structured", &[STRUCTURED]),
    round("drop_sender", &[("DROP_SENDER", "true")]),
    round("signature_headers", &[("SIGNATURE_HEADERS", "true")]),
    round(
        "structured_signature_headers",
        &[STRUCTURED, ("SIGNATURE_HEADERS", "true")],
    ),
    round(
        "structured_drop_sender",
        &[STRUCTURED, ("DROP_SENDER", "true")],
    ),
    round("instance", &[("INSTANCE", "bridge-1")]),
    round(
        "structured_instance",
        &[STRUCTURED, ("INSTANCE", "bridge-1")],
    ),
    Round {
        making: Making::Replayed,
        ..round("replay", &[("INSTANCE", "bridge-1")])
    },
    Round {
        making: Making::Replayed,
        ..round("structured_replay", &[STRUCTURED, ("INSTANCE", "bridge-1")])
    },
    Round {
        variant: "",
        making: Making::Refused(QuarantineReason::RecordTooLarge),
        settings: &[],
        topic: &[TINY],
    },
    Round {
        variant: "structured",
        making: Making::Refused(QuarantineReason::RecordTooLarge),
        settings: &[STRUCTURED],
        topic: &[TINY],
    },
];

impl Round {
    fn cases(&self) -> Vec<GoldenCase> {
        let variant = |name: &str| name.split_once('.').map_or("", |(_, it)| it).to_owned();
        let mut cases = golden::cases();
        cases.retain(|case| variant(&case.name) == self.variant && case.making == self.making);
        cases
    }

    /// Posts its cases to a bridge and compares what arrives; how many.
    fn run(&self, kafka: &RealKafka, dir: &Path, secrets: &Path) -> usize {
        let topic = unique("golden");
        kafka.create_topic(&topic, 3, self.topic);
        let quarantine = format!("{topic}.quarantine");
        kafka.create_topic(&quarantine, 3, &[]);
        let mut settings = self.settings.to_vec();
        // Some fixtures are repeats of others; here each of them is to be published.
        settings.extend([
            ("WEBHOOK_SECRET_FILE", secrets.to_str().unwrap()),
            ("DUPLICATE_WINDOW", "0"),
        ]);
        let journal = dir.join(&topic);
        let bridge = super::Serving::start(
            &journal,
            &with_topics(&settings, &kafka.bootstrap, &topic, &quarantine),
        );
        let cases = self.cases();
        let posted: HashMap<String, &GoldenCase> = cases
            .iter()
            .map(|case| {
                let signature = case.posted.signature.as_deref().unwrap();
                let response = http::post(
                    bridge.ingress,
                    "/webhook",
                    &[("x-icr-signature-256", signature)],
                    case.posted.body.as_bytes(),
                );
                assert_eq!(response.status, 202, "{}", case.name);
                (response.json()["id"].as_str().unwrap().to_owned(), case)
            })
            .collect();
        let mut expected = cases.len();
        if self.making == Making::Replayed {
            super::wait_until_nothing_is_pending(&bridge);
            let settings = [("JOURNAL_DIR", journal.to_str().unwrap())];
            let output = run(&["replay", "--all"], &settings);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            expected *= 2;
        }
        let records = kafka.read_all(&[&topic, &quarantine], expected, PATIENCE);
        assert_eq!(records.len(), expected);
        let mut compared = 0;
        for record in records {
            let id = record
                .header("ce_id")
                .map(str::to_owned)
                .unwrap_or_else(|| structured_id(record.value.as_deref().unwrap()));
            let case = posted[&id];
            let headers = record.headers.into_iter();
            let found = Found {
                topic: record.topic.replace(&topic, "icr.webhooks"),
                key: record.key.map(golden::utf8),
                timestamp: record.timestamp.unwrap(),
                headers: headers
                    .map(|(name, value)| (name, golden::utf8(value.unwrap())))
                    .collect(),
                value: golden::utf8(record.value.unwrap()),
            };
            if found.is_replay() == (self.making == Making::Replayed) {
                let identity = Identity::of(&case.name);
                golden::assert_golden(&case.name, &found.with(&identity).text());
                compared += 1;
            }
        }
        assert_eq!(compared, cases.len());
        super::wait_until_nothing_is_pending(&bridge);
        assert_eq!(bridge.terminate().code(), Some(0));
        cases.len()
    }
}

#[test]
fn every_delivery_arrives_as_its_golden_record() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let secrets = dir.path().join("secrets");
    let mut known: Vec<String> = fixtures()
        .into_iter()
        .map(|fixture| fixture.posted.secret)
        .collect();
    known.retain(|secret| !secret.is_empty());
    known.dedup();
    std::fs::write(&secrets, known.join("\n")).unwrap();
    let compared: usize = ROUNDS
        .iter()
        .map(|round| round.run(&kafka, dir.path(), &secrets))
        .sum();
    let elsewhere = golden::cases()
        .iter()
        .filter(|case| case.making == Making::Refused(QuarantineReason::RecordInvalid))
        .count();
    assert_eq!(compared + elsewhere, golden::cases().len());
}

fn with_topics<'a>(
    settings: &[(&'a str, &'a str)],
    bootstrap: &'a str,
    topic: &'a str,
    quarantine: &'a str,
) -> Vec<(&'a str, &'a str)> {
    let mut all = settings.to_vec();
    all.extend([
        ("KAFKA_BROKERS", bootstrap),
        ("KAFKA_TOPIC", topic),
        ("KAFKA_QUARANTINE_TOPIC", quarantine),
    ]);
    all
}

fn structured_id(value: &[u8]) -> String {
    let event: serde_json::Value = serde_json::from_slice(value).unwrap();
    event["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_record_s_timestamp_is_that_of_acceptance_and_its_sequence_counts() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let topic = kafka.new_topic("golden", 1);
    let bridge = serve(
        dir.path(),
        &kafka.bootstrap,
        &topic,
        &[("INSTANCE", "bridge-1")],
    );
    super::accept_transactions(&bridge, 0..3);
    let records = kafka.read_all(&[&topic], 3, PATIENCE);
    for (sequence, record) in (1..).zip(&records) {
        assert_eq!(
            record.header("ce_journalsequence"),
            Some(format!("{sequence:020}").as_str())
        );
        assert_eq!(record.header("ce_instance"), Some("bridge-1"));
        let time: jiff::Timestamp = record.header("ce_time").unwrap().parse().unwrap();
        assert_eq!(record.timestamp, Some(time.as_millisecond()));
    }
}
