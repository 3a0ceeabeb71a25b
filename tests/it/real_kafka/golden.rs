//! The main job on real input: every documented and observed delivery, from HTTP through `serve` to real Kafka, compared as a whole
//! record with its golden file.

use super::{PATIENCE, serve};
use crate::support::deliveries::fixtures;
use crate::support::golden::{self, GoldenCase};
use crate::support::http;
use crate::support::kafka::RealKafka;
use std::collections::HashMap;

/// The settings that make a variant of golden cases, by the suffix of their names.
const VARIANTS: [(&str, &[(&str, &str)]); 7] = [
    ("", &[]),
    ("structured", &[("CONTENT_MODE", "structured")]),
    ("drop_sender", &[("DROP_SENDER", "true")]),
    (
        "structured_drop_sender",
        &[("CONTENT_MODE", "structured"), ("DROP_SENDER", "true")],
    ),
    (
        "structured_instance",
        &[("CONTENT_MODE", "structured"), ("INSTANCE", "bridge-1")],
    ),
    ("signature_headers", &[("SIGNATURE_HEADERS", "true")]),
    (
        "structured_signature_headers",
        &[
            ("CONTENT_MODE", "structured"),
            ("SIGNATURE_HEADERS", "true"),
        ],
    ),
];

fn cases_of(variant: &str) -> Vec<GoldenCase> {
    let suffix = |name: &str| {
        name.split_once('.')
            .map_or("", |(_, suffix)| suffix)
            .to_owned()
    };
    golden::cases()
        .into_iter()
        .filter(|case| suffix(&case.name) == variant)
        .collect()
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
    let mut compared = 0;
    for (variant, settings) in VARIANTS {
        let topic = kafka.new_topic("golden", 3);
        let quarantine = format!("{topic}.quarantine");
        kafka.create_topic(&quarantine, 3, &[]);
        let mut all = settings.to_vec();
        // Some fixtures are repeats of others; here each of them is to be published.
        all.extend([
            ("WEBHOOK_SECRET_FILE", secrets.to_str().unwrap()),
            ("DUPLICATE_WINDOW", "0"),
        ]);
        let journal = dir.path().join(format!("journal-{variant}"));
        let bridge = super::Serving::start(
            &journal,
            &with_topics(&all, &kafka.bootstrap, &topic, &quarantine),
        );
        let cases = cases_of(variant);
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
        let records = kafka.read_all(&[&topic, &quarantine], cases.len(), PATIENCE);
        assert_eq!(records.len(), cases.len());
        for record in &records {
            let id = record
                .header("ce_id")
                .map(str::to_owned)
                .unwrap_or_else(|| structured_id(record.value.as_deref().unwrap()));
            let case = posted[&id];
            let topic = if record.topic == quarantine {
                "icr.webhooks.quarantine"
            } else {
                "icr.webhooks"
            };
            let headers = record
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_deref().unwrap()));
            let text = golden::text_of(
                topic,
                record.key.as_deref(),
                headers,
                record.value.as_deref().unwrap(),
            );
            golden::assert_golden(&case.name, &text);
            compared += 1;
        }
        super::wait_until_nothing_is_pending(&bridge);
        assert_eq!(bridge.terminate().code(), Some(0));
    }
    assert_eq!(compared, golden::cases().len());
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
            record.header("ce_sequence"),
            Some(format!("{sequence:020}").as_str())
        );
        assert_eq!(record.header("ce_instance"), Some("bridge-1"));
        let time: jiff::Timestamp = record.header("ce_time").unwrap().parse().unwrap();
        assert_eq!(record.timestamp, Some(time.as_millisecond()));
    }
}
