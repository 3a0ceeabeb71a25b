use super::*;
use crate::envelope::Envelope;
use crate::signature::Signature;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use uuid::Uuid;

const KNOWN: &str = r#"{"event":"installed","installation":{"id":"i","organization":{"id":"o\"\u0001é"}},"sender":{"id":"s"}}"#;

fn settings() -> RecordSettings {
    RecordSettings {
        topic: Template::topic("icr.webhooks").unwrap(),
        quarantine_topic: Template::topic("icr.webhooks.quarantine").unwrap(),
        key: Template::key("{event}:{organization}").unwrap(),
        content_mode: ContentMode::Binary,
        redaction: Redaction::default(),
        signature_headers: false,
        instance: None,
    }
}

fn occasion() -> Occasion {
    Occasion {
        sequence: 42,
        now: Millis(2_000),
        replay: false,
    }
}

/// Runs `test` with a delivery of this payload.
fn with_delivery<T>(payload: &str, test: impl FnOnce(&Delivery<'_>) -> T) -> T {
    let body = format!(r#"{{"signedData":"{}"}}"#, BASE64_STANDARD.encode(payload));
    let envelope = Envelope::parse(body.as_bytes()).unwrap();
    test(&Delivery {
        id: Uuid::from_u128(7),
        accepted_at: Millis(1_000),
        app: "sandbox",
        secret_position: 0,
        signature: Signature::from_bytes([0xAB; 32]),
        token: envelope.token(),
        headers: Vec::new(),
        body: body.as_bytes(),
    })
}

fn made(payload: &str, settings: &RecordSettings, occasion: Occasion) -> Record {
    with_delivery(payload, |delivery| record(delivery, settings, occasion))
}

fn header<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
    record
        .headers
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, value)| &**value)
}

fn names(record: &Record) -> Vec<&'static str> {
    record.headers.iter().map(|(name, _)| *name).collect()
}

#[test]
fn an_event_record_carries_every_attribute_in_order() {
    let record = made(KNOWN, &settings(), occasion());
    assert_eq!(
        names(&record),
        [
            "content-type",
            "ce_specversion",
            "ce_id",
            "ce_source",
            "ce_type",
            "ce_subject",
            "ce_time",
            "ce_dataschema",
            "ce_fingerprint",
            "ce_journalsequence"
        ]
    );
    assert_eq!(header(&record, "ce_source"), Some("/icr/sandbox"));
    assert_eq!(
        header(&record, "ce_type"),
        Some("com.carbonregistry.installed")
    );
    assert_eq!(header(&record, "ce_subject"), Some("o\"\u{1}é"));
    assert_eq!(
        header(&record, "ce_journalsequence"),
        Some("00000000000000000042")
    );
    assert_eq!(header(&record, "ce_time"), Some("1970-01-01T00:00:01.000Z"));
    assert_eq!(
        record.key.as_deref(),
        Some("installed:o\"\u{1}é".as_bytes())
    );
    assert_eq!(record.topic, "icr.webhooks");
    assert_eq!(
        (record.kind, record.quarantined),
        (Some(EventKind::Installed), None)
    );
}

#[test]
fn an_unknown_event_keeps_its_name_in_key_and_type_but_not_in_the_topic() {
    let settings = RecordSettings {
        topic: Template::topic("{app}.{event}").unwrap(),
        ..settings()
    };
    let record = made(r#"{"event":"brandNew"}"#, &settings, occasion());
    assert_eq!(record.topic, "sandbox.other");
    assert_eq!(record.key.as_deref(), Some(&b"brandNew:none"[..]));
    assert_eq!(
        header(&record, "ce_type"),
        Some("com.carbonregistry.brandNew")
    );
    assert_eq!(header(&record, "ce_subject"), None);
}

#[test]
fn a_quarantine_record_holds_the_whole_body_the_reason_and_the_signature() {
    let settings = RecordSettings {
        content_mode: ContentMode::Structured,
        signature_headers: true,
        redaction: Redaction { drop_sender: true },
        instance: Some("a".to_owned()),
        quarantine_topic: Template::topic("q.{app}").unwrap(),
        ..settings()
    };
    let record = made(
        r#"{"sender":"me"}"#,
        &settings,
        Occasion {
            replay: true,
            ..occasion()
        },
    );
    assert_eq!(
        names(&record),
        [
            "content-type",
            "ce_specversion",
            "ce_id",
            "ce_source",
            "ce_type",
            "ce_time",
            "ce_dataschema",
            "ce_fingerprint",
            "ce_journalsequence",
            "ce_instance",
            "ce_replay",
            "ce_reason",
            "icr_signature"
        ]
    );
    assert_eq!(header(&record, "content-type"), Some("application/json"));
    assert_eq!(
        header(&record, "ce_type"),
        Some("com.carbonregistry.quarantined")
    );
    assert_eq!(
        header(&record, "ce_dataschema"),
        Some("urn:icr-bridge:quarantine:1")
    );
    assert_eq!(header(&record, "ce_reason"), Some("event_missing"));
    assert_eq!(
        header(&record, "icr_signature"),
        Some("ab".repeat(32).as_str())
    );
    assert_eq!(
        (record.topic.as_str(), &record.key, record.kind),
        ("q.sandbox", &None, None)
    );
    assert_eq!(record.quarantined, Some(QuarantineReason::EventMissing));
    assert!(
        String::from_utf8(record.value)
            .unwrap()
            .starts_with(r#"{"signedData":""#)
    );
}

#[test]
fn structured_mode_wraps_the_same_value_in_one_json_object() {
    let binary = made(KNOWN, &settings(), occasion());
    let settings = RecordSettings {
        content_mode: ContentMode::Structured,
        instance: Some("a".to_owned()),
        ..settings()
    };
    let record = made(
        KNOWN,
        &settings,
        Occasion {
            replay: true,
            ..occasion()
        },
    );
    assert_eq!(
        record.headers,
        [(
            "content-type",
            "application/cloudevents+json; charset=UTF-8".into()
        )]
    );
    assert_eq!(record.key, binary.key);
    let text = String::from_utf8(record.value).unwrap();
    let data = String::from_utf8(binary.value).unwrap();
    assert!(
        text.ends_with(&format!(
            r#","replay":"1970-01-01T00:00:02.000Z","data":{data}}}"#
        )),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["subject"], "o\"\u{1}é");
    assert_eq!(
        json["fingerprint"].as_str(),
        header(
            &made(KNOWN, &self::settings(), occasion()),
            "ce_fingerprint"
        )
    );
    assert_eq!(json["instance"], "a");
    assert_eq!(json["journalsequence"], "00000000000000000042");
}

#[test]
fn signature_headers_let_a_consumer_check_the_proof() {
    for content_mode in [ContentMode::Binary, ContentMode::Structured] {
        let settings = RecordSettings {
            signature_headers: true,
            content_mode,
            ..settings()
        };
        let record = made(KNOWN, &settings, occasion());
        let signed_data = BASE64_STANDARD.encode(KNOWN);
        assert_eq!(
            header(&record, "icr_signed_data"),
            Some(signed_data.as_str())
        );
        assert_eq!(
            header(&record, "icr_signature"),
            Some("ab".repeat(32).as_str())
        );
    }
}

#[test]
fn a_record_is_never_dated_in_the_future_and_a_replay_is_dated_now() {
    let at = |now, replay| {
        made(
            KNOWN,
            &settings(),
            Occasion {
                sequence: 1,
                now: Millis(now),
                replay,
            },
        )
        .timestamp
    };
    assert_eq!(at(2_000, false), Millis(1_000));
    assert_eq!(at(500, false), Millis(500));
    assert_eq!(at(2_000, true), Millis(2_000));
    let replayed = made(
        KNOWN,
        &settings(),
        Occasion {
            replay: true,
            ..occasion()
        },
    );
    assert_eq!(
        header(&replayed, "ce_replay"),
        Some("1970-01-01T00:00:02.000Z")
    );
    assert_eq!(
        header(&made(KNOWN, &settings(), occasion()), "ce_replay"),
        None
    );
}

#[test]
fn a_stored_delivery_that_proves_nothing_is_still_quarantined_whole() {
    with_delivery(KNOWN, |delivery| {
        let broken = Delivery {
            token: 0..3,
            ..delivery.clone()
        };
        let record = record(&broken, &settings(), occasion());
        assert_eq!(
            record.quarantined,
            Some(QuarantineReason::SignedDataUndecodable)
        );
        assert_eq!(record.value, delivery.body);
    });
}
