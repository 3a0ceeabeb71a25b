//! Several apps: each with its own path, secrets, source, labels and topic.

use crate::support::app::TestApp;
use crate::support::eventually::within;
use crate::support::http;
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::mock_kafka::{ConsumedRecord, MockKafka, MockTopic, TopicReader};
use icr_bridge::simulator::{Request, Simulator};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const APPS: [&str; 3] = ["default", "sandbox", "staging-2"];

fn path(app: &str) -> String {
    match app {
        "default" => "/webhook".to_owned(),
        other => format!("/webhook/{other}"),
    }
}

/// What ICR would send for an app.
fn simulator(app: &str) -> Simulator {
    let secret = format!("secret of {app}");
    Simulator::new(SecretSet::single(secret.as_bytes()).unwrap(), 2, 1)
}

/// Writes the secret files of all apps; the value of `APP_SECRET_FILES`.
fn secret_files(dir: &Path) -> String {
    let entry = |app: &str| {
        let file = dir.join(app);
        std::fs::write(&file, format!("secret of {app}")).unwrap();
        format!("{app}={}", file.display())
    };
    format!("{},{}", entry(APPS[1]), entry(APPS[2]))
}

fn deliver(bridge: &TestApp, app: &str, request: &Request) -> http::Response {
    bridge.deliver_to(&path(app), request)
}

/// Starts a bridge for all apps that publishes to `<prefix>.<app>` and one quarantine, has each app deliver, and reads everything back.
pub fn each_app_gets_its_own_topic_and_source(brokers: &str, prefix: &str) {
    let dir = tempfile::tempdir().unwrap();
    let files = secret_files(dir.path());
    let (topic, quarantine) = (
        format!("{prefix}.{{app}}"),
        format!("{prefix}.all-quarantined"),
    );
    let bridge = TestApp::start(&[
        ("WEBHOOK_SECRET", "secret of default"),
        ("APP_SECRET_FILES", &files),
        ("KAFKA_BROKERS", brokers),
        ("KAFKA_TOPIC", &topic),
        ("KAFKA_QUARANTINE_TOPIC", &quarantine),
    ]);
    let mut sent: BTreeMap<String, &str> = BTreeMap::new();
    for (index, app) in (1..).zip(APPS) {
        // So that the counts differ too.
        for number in 0..index {
            for request in [
                simulator(app).delivery(EventKind::OrganizationTransaction, number),
                simulator(app).unintelligible(number),
            ] {
                let response = deliver(&bridge, app, &request);
                assert_eq!(response.status, 202);
                sent.insert(response.json()["id"].as_str().unwrap().to_owned(), app);
            }
        }
    }
    let topics: Vec<String> = APPS.iter().map(|app| format!("{prefix}.{app}")).collect();
    let mut all: Vec<&str> = topics.iter().map(String::as_str).collect();
    all.push(&quarantine);
    let mut reader = TopicReader::open(brokers, &all).unwrap();
    for _ in 0..sent.len() {
        let record = reader
            .next(Duration::from_secs(60))
            .unwrap()
            .expect("every delivery arrives");
        let app = sent.remove(record.header("ce_id").unwrap()).unwrap();
        assert_belongs_to(app, &record, prefix, &quarantine);
    }
    assert!(sent.is_empty(), "{sent:?}");
    within(Duration::from_secs(60), "nothing is pending", || {
        (bridge.metrics().value("journal_pending_deliveries") == 0.0).then_some(())
    });
    let metrics = bridge.metrics();
    for (count, app) in [1.0, 2.0, 3.0].into_iter().zip(APPS) {
        for event in ["organizationTransaction", "other"] {
            let series = format!("deliveries_accepted_total{{app=\"{app}\",event=\"{event}\"}}");
            assert_eq!(metrics.value(&series), count, "{series}");
        }
        let series = format!("secret_matched_total{{app=\"{app}\",position=\"0\"}}");
        assert_eq!(metrics.value(&series), 2.0 * count, "{series}");
        let series = format!("last_accepted_timestamp_seconds{{app=\"{app}\"}}");
        assert!(metrics.maybe(&series).is_some(), "{series}");
    }
    let published =
        format!("records_published_total{{event=\"organizationTransaction\",topic=\"{topic}\"}}");
    assert_eq!(metrics.value(&published), 6.0, "the label is the template");
}

fn assert_belongs_to(app: &str, record: &ConsumedRecord, prefix: &str, quarantine: &str) {
    assert_eq!(
        record.header("ce_source"),
        Some(format!("/icr/{app}").as_str())
    );
    if record.header("ce_reason").is_some() {
        assert_eq!(record.topic, quarantine);
    } else {
        assert_eq!(record.topic, format!("{prefix}.{app}"));
    }
}

#[test]
fn each_app_has_its_own_topic_source_and_labels() {
    let topics = APPS.map(|app| format!("icr.{app}"));
    let mut topics: Vec<MockTopic> = topics.iter().map(|name| MockTopic::new(name, 2)).collect();
    topics.push(MockTopic::new("icr.all-quarantined", 2));
    let kafka = MockKafka::start(&topics).unwrap();
    each_app_gets_its_own_topic_and_source(kafka.bootstrap_servers(), "icr");
}

#[test]
fn what_is_signed_for_one_app_is_refused_at_every_other() {
    let dir = tempfile::tempdir().unwrap();
    let files = secret_files(dir.path());
    let bridge = TestApp::start(&[
        ("WEBHOOK_SECRET", "secret of default"),
        ("APP_SECRET_FILES", &files),
        ("KAFKA_TOPIC", "icr.{app}"),
    ]);
    for signed_for in APPS {
        let request = simulator(signed_for).delivery(EventKind::Installed, 1);
        for at in APPS.iter().filter(|at| **at != signed_for) {
            let response = deliver(&bridge, at, &request);
            assert_eq!(
                (response.status, response.reason().as_str()),
                (403, "signature_wrong"),
                "of {signed_for} at {at}"
            );
        }
        assert_eq!(deliver(&bridge, signed_for, &request).status, 202);
    }
    let metrics = bridge.metrics();
    for app in APPS {
        let rejected =
            format!("deliveries_rejected_total{{app=\"{app}\",reason=\"signature_wrong\"}}");
        assert_eq!(metrics.value(&rejected), 2.0, "{rejected}");
        let accepted = format!("deliveries_accepted_total{{app=\"{app}\",event=\"installed\"}}");
        assert_eq!(metrics.value(&accepted), 1.0, "{accepted}");
    }
}

#[test]
fn an_unknown_app_is_404_whatever_its_name_and_never_a_label() {
    let dir = tempfile::tempdir().unwrap();
    let files = secret_files(dir.path());
    let bridge = TestApp::start(&[("APP_SECRET_FILES", &files), ("KAFKA_TOPIC", "icr.{app}")]);
    let request = simulator("sandbox").delivery(EventKind::Installed, 1);
    let unknown = [
        "/webhook/none",
        "/webhook/other",
        "/webhook/Sandbox",
        "/webhook/sandbox%20",
    ];
    for path in unknown {
        assert_eq!(bridge.deliver_to(path, &request).status, 404, "{path}");
    }
    // Without a secret of its own the default app is one of these.
    for path in ["/webhook", "/webhook/default"] {
        assert_eq!(bridge.deliver_to(path, &request).status, 404, "{path}");
    }
    let metrics = bridge.metrics();
    let none = "deliveries_rejected_total{app=\"none\",reason=\"unknown_app\"}";
    assert_eq!(metrics.value(none), 6.0);
    for label in ["other", "Sandbox", "default"] {
        assert!(
            !metrics.text.contains(&format!("app=\"{label}\"")),
            "{label}"
        );
    }
}
