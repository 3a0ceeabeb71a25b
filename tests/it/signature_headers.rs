//! `SIGNATURE_HEADERS`: a consumer who holds the secret verifies ICR's signature itself, with nothing of ours; and size limits hold.

use crate::support::app::{SECRET, TestApp};
use crate::support::eventually::within;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use base64::{Engine, alphabet, engine};
use hmac::{Hmac, KeyInit, Mac};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::mock_kafka::{ConsumedRecord, MockKafka, MockTopic, TopicReader};
use icr_bridge::simulator::Request;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

const MAIN: &str = "main";
const QUARANTINE: &str = "quarantine";
const PATIENCE: Duration = Duration::from_secs(60);

/// What a consumer does: HMAC-SHA256 of the signed data as it stands in the record.
fn is_genuine(secret: &[u8], signed_data: &[u8], signature: &str) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(signed_data);
    mac.verify_slice(&hex::decode(signature).unwrap()).is_ok()
}

/// Signs `signed_data` and writes it into the body as the JSON text `token`, which means the same.
fn request(signed_data: &str, token: &str) -> Request {
    let secrets = SecretSet::single(SECRET.as_bytes()).unwrap();
    Request {
        signature: format!("sha256={}", secrets.sign(signed_data.as_bytes()).to_hex()),
        body: format!("{{\"signedData\":\"{token}\"}}").into_bytes(),
    }
}

fn payload(more: &Value) -> Value {
    let mut payload = json!({
        "event": "organizationTransaction",
        "transaction": {"id": "t>>>???", "amount": 1},
        "installation": {"id": "1", "organization": {"id": "o"}},
    });
    let members = payload.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    payload
}

fn mock() -> MockKafka {
    MockKafka::start(&[MAIN, QUARANTINE].map(|topic| MockTopic::new(topic, 1))).unwrap()
}

fn bridge(brokers: &str, topics: [&str; 2], settings: &[(&str, &str)]) -> TestApp {
    let mut all = vec![
        ("KAFKA_BROKERS", brokers),
        ("KAFKA_TOPIC", topics[0]),
        ("KAFKA_QUARANTINE_TOPIC", topics[1]),
        ("SIGNATURE_HEADERS", "true"),
    ];
    all.extend_from_slice(settings);
    TestApp::start(&all)
}

fn deliver(app: &TestApp, request: &Request) -> String {
    let response = app.deliver(request);
    assert_eq!(response.status, 202);
    response.json()["id"].as_str().unwrap().to_owned()
}

/// The next so many records of these topics, in any order.
fn consume(brokers: &str, topics: [&str; 2], count: usize) -> Vec<ConsumedRecord> {
    let mut reader = TopicReader::open(brokers, &topics).unwrap();
    let mut next = || reader.next(PATIENCE).unwrap().expect("a record arrives");
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_consumer_verifies_icr_s_signature_with_the_record_and_the_secret_alone() {
    for mode in ["binary", "structured"] {
        let kafka = mock();
        let app = bridge(
            kafka.bootstrap_servers(),
            [MAIN, QUARANTINE],
            &[("CONTENT_MODE", mode)],
        );
        let text = payload(&json!({})).to_string();
        let standard = BASE64_STANDARD.encode(&text);
        let broken = format!("{}\n{}", &standard[..40], &standard[40..]);
        assert!(
            standard.contains('+') || standard.contains('/'),
            "{standard}"
        );
        let spellings = [
            // As JSON may write it: the message is what it means.
            (
                standard.clone(),
                standard.replace('/', "\\/").replace('+', "\\u002b"),
            ),
            (broken.clone(), broken.replace('\n', "\\n")),
            (
                BASE64_URL_SAFE_NO_PAD.encode(&text),
                BASE64_URL_SAFE_NO_PAD.encode(&text),
            ),
        ];
        for (signed_data, token) in &spellings {
            deliver(&app, &request(signed_data, token));
        }
        let records = consume(
            kafka.bootstrap_servers(),
            [MAIN, QUARANTINE],
            spellings.len(),
        );
        for (record, (signed_data, _)) in records.iter().zip(&spellings) {
            assert_eq!(record.topic, MAIN);
            let (said, signature) = (
                record.header("icr_signed_data").unwrap(),
                record.header("icr_signature").unwrap(),
            );
            assert_eq!(said, signed_data);
            assert!(is_genuine(SECRET.as_bytes(), said.as_bytes(), signature));
            assert!(!is_genuine(b"another secret", said.as_bytes(), signature));
            assert!(!is_genuine(
                SECRET.as_bytes(),
                &said.as_bytes()[1..],
                signature
            ));
            let value: Value = serde_json::from_slice(&record.value).unwrap();
            let event = if mode == "structured" {
                &value["data"]
            } else {
                &value
            };
            assert_eq!(
                event["transaction"]["id"],
                proven(said)["transaction"]["id"]
            );
            assert_eq!(event["event"], proven(said)["event"]);
        }
    }
}

/// What the signature proves.
fn proven(signed_data: &str) -> Value {
    let digits: String = signed_data
        .chars()
        .filter(|digit| !digit.is_whitespace() && *digit != '=')
        .map(|digit| match digit {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let unpadded =
        engine::GeneralPurpose::new(&alphabet::STANDARD, engine::general_purpose::NO_PAD);
    serde_json::from_slice(&unpadded.decode(digits).unwrap()).unwrap()
}

#[test]
fn what_is_quarantined_can_be_verified_too() {
    let kafka = mock();
    let app = bridge(kafka.bootstrap_servers(), [MAIN, QUARANTINE], &[]);
    let sent = app.simulator().unintelligible(1);
    deliver(&app, &sent);
    let record = &consume(kafka.bootstrap_servers(), [MAIN, QUARANTINE], 1)[0];
    assert_eq!(
        (record.topic.as_str(), &record.value),
        (QUARANTINE, &sent.body)
    );
    assert_eq!(
        record.header("icr_signed_data"),
        None,
        "it stands in the body"
    );
    let body: Value = serde_json::from_slice(&record.value).unwrap();
    let signed_data = body["signedData"].as_str().unwrap();
    let signature = record.header("icr_signature").unwrap();
    assert!(is_genuine(
        SECRET.as_bytes(),
        signed_data.as_bytes(),
        signature
    ));
}

/// Text that no compression makes smaller by much.
fn noise(length: usize) -> String {
    let block = |number: u64| BASE64_STANDARD.encode(Sha256::digest(number.to_le_bytes()));
    let mut text: String = (0..length as u64 / 43 + 1).map(block).collect();
    text.truncate(length);
    text
}

/// A delivery whose body has exactly this many bytes, nearly all of them signed data.
fn of_size(bytes: usize) -> Request {
    let signed_data_bytes = (bytes - r#"{"signedData":""}"#.len()) / 4 * 4;
    let empty = payload(&json!({"padding": ""})).to_string().len();
    let padding = noise(signed_data_bytes / 4 * 3 - empty);
    let signed_data = BASE64_STANDARD.encode(payload(&json!({"padding": padding})).to_string());
    assert_eq!(signed_data.len(), signed_data_bytes);
    let mut request = request(&signed_data, &signed_data);
    request.body.resize(bytes, b' ');
    request
}

fn until_nothing_is_pending(app: &TestApp) {
    within(PATIENCE, "nothing is pending", || {
        (app.metrics().value("journal_pending_deliveries") == 0.0).then_some(())
    });
}

/// The largest body that the settings allow becomes an ordinary record.
fn the_largest_body_is_published(
    brokers: &str,
    topics: [&str; 2],
    bytes: usize,
    settings: &[(&str, &str)],
) {
    let app = bridge(brokers, topics, settings);
    let largest = of_size(bytes);
    assert_eq!(largest.body.len(), bytes);
    deliver(&app, &largest);
    until_nothing_is_pending(&app);
    let records = consume(brokers, topics, 1);
    assert_eq!(
        records[0].topic,
        topics[0],
        "{:?}",
        records[0].header("ce_reason")
    );
    let signed_data = records[0].header("icr_signed_data").unwrap();
    let size = signed_data.len() + records[0].value.len();
    assert!(
        size > bytes / 100 * 174,
        "{size} bytes of a body of {bytes}"
    );
    let signature = records[0].header("icr_signature").unwrap();
    assert!(is_genuine(
        SECRET.as_bytes(),
        signed_data.as_bytes(),
        signature
    ));
    let ledger = app.stop();
    assert_eq!((ledger.published, ledger.quarantined), (1, 0));
}

/// With the defaults: half a mebibyte, in a record of more than 900 KB.
pub fn the_largest_body_of_the_defaults_is_published(brokers: &str, topics: [&str; 2]) {
    the_largest_body_is_published(brokers, topics, 512 << 10, &[]);
}

#[test]
fn the_largest_body_fits_with_its_signed_data() {
    for mode in ["binary", "structured"] {
        let kafka = mock();
        let brokers = kafka.bootstrap_servers();
        let settings = [
            ("CONTENT_MODE", mode),
            ("MAX_BODY_BYTES", "64KiB"),
            // The least that the configuration allows.
            ("KAFKA_PROPERTIES", "message.max.bytes=131072"),
        ];
        the_largest_body_is_published(brokers, [MAIN, QUARANTINE], 64 << 10, &settings);
    }
    let kafka = mock();
    the_largest_body_of_the_defaults_is_published(kafka.bootstrap_servers(), [MAIN, QUARANTINE]);
}

/// One record is too large, among others: it goes to quarantine, whole, and the others to their topic, in order.
pub fn only_the_one_that_is_too_large_is_quarantined(
    brokers: &str,
    topics: [&str; 2],
    large: &Request,
) {
    let app = bridge(brokers, topics, &[]);
    let ordinary = |number| {
        app.simulator()
            .delivery(EventKind::OrganizationTransaction, number)
    };
    let mut ids: Vec<String> = (0..5)
        .map(|number| deliver(&app, &ordinary(number)))
        .collect();
    let too_large = deliver(&app, large);
    ids.extend((5..10).map(|number| deliver(&app, &ordinary(number))));
    until_nothing_is_pending(&app);
    let series = "records_quarantined_total{reason=\"record_too_large\"}";
    assert_eq!(app.metrics().value(series), 1.0);
    assert_eq!(app.metrics().sum("records_published_total"), 10.0);
    let records = consume(brokers, topics, 11);
    let (quarantined, mut published): (Vec<_>, Vec<_>) = records
        .into_iter()
        .partition(|record| record.topic == topics[1]);
    assert_eq!(quarantined.len(), 1);
    assert_eq!(quarantined[0].header("ce_id"), Some(too_large.as_str()));
    assert_eq!(quarantined[0].header("ce_reason"), Some("record_too_large"));
    assert_eq!(quarantined[0].value, large.body);
    published.sort_by_key(|record| record.header("ce_journalsequence").unwrap().to_owned());
    let found: Vec<&str> = published
        .iter()
        .filter_map(|record| record.header("ce_id"))
        .collect();
    assert_eq!(found, ids);
}

#[test]
fn a_record_that_becomes_too_large_all_the_same_is_quarantined_and_stops_nobody() {
    let kafka = mock();
    // The organization's id stands in value, key, subject and signed data: over a megabyte of a body of 450 KB.
    let installation = json!({"id": "1", "organization": {"id": noise(330_000)}});
    let text = payload(&json!({"installation": installation})).to_string();
    let signed_data = BASE64_STANDARD.encode(text);
    let large = request(&signed_data, &signed_data);
    assert!(large.body.len() < 512 << 10);
    only_the_one_that_is_too_large_is_quarantined(
        kafka.bootstrap_servers(),
        [MAIN, QUARANTINE],
        &large,
    );
}

/// For a topic that takes no more than 600,000 bytes: the record has 900 KB, the body alone fits.
pub fn larger_than_a_topic_of_600_000_bytes() -> Request {
    of_size(512 << 10)
}
