//! Golden records: `tests/fixtures/golden/<name>.json` holds a record as a consumer sees it. They are the contract.
//!
//! What differs from run to run (id, acceptance, sequence, time of a replay) is replaced by a placeholder, so that a record made
//! in memory and one read back from a broker are compared with the same file. `UPDATE_GOLDEN=1 cargo test` writes the files.

use super::deliveries::{Posted, fixture, fixtures, matrix, posted};
use icr_bridge::domain::cloudevent::STRUCTURED;
use icr_bridge::domain::delivery::{Delivery, Millis};
use icr_bridge::domain::envelope::Envelope;
use icr_bridge::domain::normalize::Redaction;
use icr_bridge::domain::record::{ContentMode, Occasion, Record, RecordSettings, Template, record};
use icr_bridge::domain::signature::{SecretSet, Signature, verify};
use serde_json::{Value, json};
use std::path::PathBuf;
use uuid::Uuid;

/// Headers, and in structured mode attributes, whose values differ from run to run.
const VOLATILE: [&str; 4] = ["id", "time", "sequence", "replay"];

/// A delivery, the settings under which its record is made, and the golden file's name.
pub struct GoldenCase {
    /// The file's name without its extension.
    pub name: String,
    /// The delivery.
    pub posted: Posted,
    /// The settings.
    pub settings: RecordSettings,
}

/// The defaults of the configuration.
pub fn default_settings() -> RecordSettings {
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

/// Every golden case: all proven fixtures and the matrix under the default settings, then some under others.
pub fn cases() -> Vec<GoldenCase> {
    let proven = fixtures()
        .into_iter()
        .filter(|fixture| fixture.expect != "rejected");
    let mut cases: Vec<_> = proven
        .map(|fixture| fixture.posted)
        .chain(matrix())
        .chain([without_organization()])
        .map(|posted| GoldenCase {
            name: posted.name.clone(),
            posted,
            settings: default_settings(),
        })
        .collect();
    let shapes = SHAPES.map(|name| fixture(name).posted);
    for posted in shapes.into_iter().chain([without_organization()]) {
        for (variant, settings) in variants() {
            cases.push(GoldenCase {
                name: format!("{}.{variant}", posted.name),
                posted: posted.clone(),
                settings,
            });
        }
    }
    cases
}

/// What differs under other settings than the defaults: events of each family, with and without a sender, with fields nobody knows, with
/// characters that need escapes; and what is quarantined, decoded or not.
const SHAPES: [&str; 11] = [
    "doc_example_installed",
    "uninstalled_real_world_variant",
    "amount_tiny",
    "transaction_sender_absent",
    "unknown_fields_everywhere",
    "outer_tampered_event_and_org",
    "unicode_nul_escape",
    "event_unknown",
    "event_missing",
    "organization_missing_inside_only",
    "known_answer_not_base64",
];

/// An event without subject.
fn without_organization() -> Posted {
    posted(
        "event_unknown_without_organization",
        r#"{"event":"maintenanceAnnounced","at":"2026-01-01T00:00:00Z","sender":{"id":"s","email":"person@example.org"}}"#,
    )
}

/// Settings other than the defaults, each with the suffix of its golden files.
pub fn variants() -> [(&'static str, RecordSettings); 6] {
    let structured = || RecordSettings {
        content_mode: ContentMode::Structured,
        ..default_settings()
    };
    let redaction = Redaction { drop_sender: true };
    [
        ("structured", structured()),
        (
            "drop_sender",
            RecordSettings {
                redaction,
                ..default_settings()
            },
        ),
        (
            "structured_drop_sender",
            RecordSettings {
                redaction,
                ..structured()
            },
        ),
        (
            "signature_headers",
            RecordSettings {
                signature_headers: true,
                ..default_settings()
            },
        ),
        (
            "structured_signature_headers",
            RecordSettings {
                signature_headers: true,
                ..structured()
            },
        ),
        (
            "structured_instance",
            RecordSettings {
                instance: Some("bridge-1".to_owned()),
                ..structured()
            },
        ),
    ]
}

/// The record of a golden case, made in memory.
pub fn made(case: &GoldenCase) -> Record {
    with_delivery(&case.posted, |delivery| {
        let occasion = Occasion {
            sequence: 42,
            now: Millis(1_725_264_905_000),
            replay: false,
        };
        record(delivery, &case.settings, occasion)
    })
}

/// Proves a delivery and hands it over as the journal would keep it.
pub fn with_delivery<T>(posted: &Posted, then: impl FnOnce(&Delivery<'_>) -> T) -> T {
    let header = posted.signature.as_deref().unwrap();
    let signature = Signature::from_headers([header.as_bytes()]).unwrap();
    let secrets = SecretSet::single(posted.secret.as_bytes()).unwrap();
    let envelope = Envelope::parse(posted.body.as_bytes()).unwrap();
    let verified = verify(envelope, signature, &secrets).unwrap();
    then(&Delivery {
        id: Uuid::from_u128(0x0191_b1e5_7e78_7000_8000_0000_0000_0001),
        accepted_at: Millis(1_725_264_900_120),
        app: "default",
        secret_position: verified.secret_position(),
        signature: *verified.signature(),
        token: verified.envelope().token(),
        headers: vec![("content-type", b"application/json")],
        body: posted.body.as_bytes(),
    })
}

/// The golden text of a record: **the** generator.
pub fn text(record: &Record) -> String {
    let headers = record
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()));
    text_of(&record.topic, record.key.as_deref(), headers, &record.value)
}

/// The golden text of a record that came back from a broker.
pub fn text_of<'a>(
    topic: &str,
    key: Option<&[u8]>,
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    value: &[u8],
) -> String {
    let utf8 = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).expect("keys, headers and values are UTF-8")
    };
    let headers: Vec<(&str, String)> = headers
        .into_iter()
        .map(|(name, value)| (name, utf8(value)))
        .collect();
    let structured = headers
        .iter()
        .any(|(name, value)| *name == "content-type" && value == STRUCTURED);
    let value = if structured {
        steady_envelope(utf8(value))
    } else {
        utf8(value)
    };
    let headers: Vec<Value> = headers
        .into_iter()
        .map(|(name, value)| {
            let volatile = name
                .strip_prefix("ce_")
                .filter(|attribute| VOLATILE.contains(attribute));
            json!([
                name,
                volatile.map_or(value, |attribute| format!("<{attribute}>"))
            ])
        })
        .collect();
    let key = key.map(utf8);
    let lines: Vec<String> = headers
        .iter()
        .map(|header| format!("    {header}"))
        .collect();
    format!(
        "{{\n  \"topic\": {},\n  \"key\": {},\n  \"headers\": [\n{}\n  ],\n  \"value\": {}\n}}\n",
        json!(topic),
        json!(key),
        lines.join(",\n"),
        json!(value)
    )
}

/// Attributes stand before `data` and strings are escaped, so the first `"name":"` is the attribute.
fn steady_envelope(mut value: String) -> String {
    for name in VOLATILE {
        let opening = format!(",\"{name}\":\"");
        let head = value.find(",\"data\":").unwrap();
        if let Some(at) = value.get(..head).and_then(|head| head.find(&opening)) {
            let start = at + opening.len();
            let length = value[start..].find('"').unwrap();
            value.replace_range(start..start + length, &format!("<{name}>"));
        }
    }
    value
}

/// Compares a golden text with its file, or writes the file where `UPDATE_GOLDEN=1`.
pub fn assert_golden(name: &str, text: &str) {
    let path = folder().join(format!("{name}.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(
        text, expected,
        "{name} differs from its golden file; UPDATE_GOLDEN=1 rewrites it, if that is meant"
    );
}

/// Where the golden files are.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden")
}
