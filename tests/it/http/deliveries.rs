//! Every captured and constructed delivery, each with its own secret on a fresh journal, from HTTP to the topic.

use crate::support::app::TestApp;
use crate::support::deliveries::{Fixture, fixtures};
use crate::support::http;
use icr_bridge::mock_kafka::{MockKafka, MockTopic, TopicReader};
use std::sync::Mutex;
use std::time::Duration;

/// What became of a sample: its expected word and, where there is one, the reason.
fn outcome(sample: &Fixture) -> (String, Option<String>) {
    if sample.reason.as_deref() == Some("does_not_start") {
        let refused = TestApp::try_start(&[("WEBHOOK_SECRET", &sample.posted.secret)]).is_err();
        assert!(
            refused,
            "{}: a bridge starts without a secret",
            sample.posted.name
        );
        return ("rejected".to_owned(), sample.reason.clone());
    }
    let topics = ["main", "quarantine"];
    let kafka = MockKafka::start(&topics.map(|topic| MockTopic::new(topic, 1))).unwrap();
    let app = TestApp::start(&[
        ("WEBHOOK_SECRET", &sample.posted.secret),
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
        ("KAFKA_TOPIC", "main"),
        ("KAFKA_QUARANTINE_TOPIC", "quarantine"),
    ]);
    let signature = sample.posted.signature.as_deref();
    let headers: Vec<(&str, &str)> = signature
        .map(|value| ("x-icr-signature-256", value))
        .into_iter()
        .collect();
    let response = http::post(
        app.ingress,
        "/webhook",
        &headers,
        sample.posted.body.as_bytes(),
    );
    if response.status != 202 {
        return ("rejected".to_owned(), Some(response.reason()));
    }
    let id = response.json()["id"].as_str().unwrap().to_owned();
    let mut reader = TopicReader::open(kafka.bootstrap_servers(), &topics).unwrap();
    let record = reader
        .next(Duration::from_secs(20))
        .unwrap()
        .expect("a record arrives");
    assert_eq!(
        record.header("ce_id"),
        Some(id.as_str()),
        "{}",
        sample.posted.name
    );
    let ledger = app.stop();
    match record.topic.as_str() {
        "quarantine" => {
            assert_eq!(
                (ledger.quarantined, record.value.as_slice()),
                (1, sample.posted.body.as_bytes()),
                "{}",
                sample.posted.name
            );
            (
                "quarantined".to_owned(),
                record.header("ce_reason").map(str::to_owned),
            )
        }
        _ => {
            assert_eq!(ledger.published, 1, "{}", sample.posted.name);
            ("accepted".to_owned(), None)
        }
    }
}

#[test]
fn every_sample_ends_as_expected() {
    let waiting = Mutex::new(fixtures());
    let total = waiting.lock().unwrap().len();
    assert!(total >= 78);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some(sample) = waiting.lock().unwrap().pop() else {
                        return;
                    };
                    let found = outcome(&sample);
                    let expected = (sample.expect.clone(), sample.reason.clone());
                    if found != expected {
                        wrong.lock().unwrap().push(format!(
                            "{}: {found:?}, not {expected:?}",
                            sample.posted.name
                        ));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {total}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
