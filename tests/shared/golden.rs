//! Golden records: `deploy/contract/golden/<name>.json` holds a record as a consumer sees it, byte for byte. They are the contract,
//! and test data for whoever consumes it.
//!
//! What differs from run to run (id, acceptance, sequence, time of a replay) has a fixed value in the file, derived from the name of the
//! delivery. A record that comes back from a broker gets these values in place of its own ones before it is compared.
//! `UPDATE_GOLDEN=1 cargo test golden` writes the files.

use super::deliveries::{Posted, fixture, fixtures, further, matrix};
use icr_domain::cloudevent::{STRUCTURED, rfc3339};
use icr_domain::delivery::{Delivery, Millis};
use icr_domain::envelope::Envelope;
use icr_domain::normalize::Redaction;
use icr_domain::reasons::QuarantineReason;
use icr_domain::record::{
    ContentMode, Occasion, Record, RecordSettings, Template, quarantine_record, record,
};
use icr_domain::signature::{SecretSet, Signature, verify};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use uuid::Uuid;

/// Headers, and in structured mode attributes, whose values differ from run to run.
const VOLATILE: [&str; 4] = ["id", "time", "journalsequence", "replay"];

/// Of the sequences in golden records: enough that hashes of names don't meet.
const SEQUENCES: u64 = 1_000_000;

/// Acceptance of sequence 0: 2024-09-02T08:30:00.120Z. Each further sequence comes a second later.
const FIRST_ACCEPTANCE: u64 = 1_725_265_800_120;

/// What makes the record of a golden case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Making {
    /// The delivery alone.
    Ordinary,
    /// A broker that refuses its event record.
    Refused(QuarantineReason),
    /// An operator who has it published again.
    Replayed,
}

/// A delivery, the settings under which its record is made, and the golden file's name.
pub struct GoldenCase {
    /// The file's name without its extension: the delivery's, and after a dot the settings' if they are not the default ones.
    pub name: String,
    /// The delivery.
    pub posted: Posted,
    /// The settings.
    pub settings: RecordSettings,
    /// How its record comes about.
    pub making: Making,
}

/// What makes a record one of its own.
#[derive(Debug, Clone)]
pub struct Identity {
    pub id: Uuid,
    pub sequence: u64,
    pub accepted_at: Millis,
    pub replayed_at: Millis,
}

impl Identity {
    /// That of a delivery's golden records, whatever the settings.
    pub fn of(name: &str) -> Self {
        let delivery = name.split_once('.').map_or(name, |(delivery, _)| delivery);
        let hash: [u8; 32] = Sha256::digest(delivery).into();
        let random = u128::from_be_bytes(hash[..16].try_into().unwrap());
        let sequence = (random % u128::from(SEQUENCES)) as u64;
        let accepted_at = FIRST_ACCEPTANCE + 1_000 * sequence;
        let id = uuid::Builder::from_unix_timestamp_millis(
            accepted_at,
            &hash[16..26].try_into().unwrap(),
        )
        .into_uuid();
        Self {
            id,
            sequence,
            accepted_at: Millis(accepted_at),
            replayed_at: Millis(accepted_at + 86_400_000),
        }
    }

    fn value(&self, volatile: &str) -> String {
        match volatile {
            "id" => self.id.to_string(),
            "time" => rfc3339(self.accepted_at),
            "journalsequence" => format!("{:020}", self.sequence),
            "replay" => rfc3339(self.replayed_at),
            other => panic!("{other} does not differ from run to run"),
        }
    }
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

/// Every golden case: all deliveries that are proven in both content modes, then some under other settings.
pub fn cases() -> Vec<GoldenCase> {
    let proven = fixtures()
        .into_iter()
        .filter(|fixture| fixture.expect != "rejected");
    let mut cases = Vec::new();
    for posted in proven
        .map(|fixture| fixture.posted)
        .chain(matrix())
        .chain(further())
    {
        cases.push(case(&posted, "", default_settings(), Making::Ordinary));
        cases.push(case(&posted, "structured", structured(), Making::Ordinary));
        if SHAPES.contains(&posted.name.as_str()) {
            for (variant, settings) in variants() {
                if variant != "structured" {
                    cases.push(case(&posted, variant, settings, Making::Ordinary));
                }
            }
            for (variant, settings) in [
                ("replay", instance(default_settings())),
                ("structured_replay", instance(structured())),
            ] {
                cases.push(case(&posted, variant, settings, Making::Replayed));
            }
        }
    }
    for reason in [
        QuarantineReason::RecordTooLarge,
        QuarantineReason::RecordInvalid,
    ] {
        let posted = Posted {
            name: reason.name().to_owned(),
            shows: "Understood, but no broker took its event record.".to_owned(),
            ..fixture("warehouseTransaction_processed_transfer_retire").posted
        };
        cases.push(case(
            &posted,
            "",
            default_settings(),
            Making::Refused(reason),
        ));
        cases.push(case(
            &posted,
            "structured",
            structured(),
            Making::Refused(reason),
        ));
    }
    cases
}

fn case(posted: &Posted, variant: &str, settings: RecordSettings, making: Making) -> GoldenCase {
    GoldenCase {
        name: match variant {
            "" => posted.name.clone(),
            variant => format!("{}.{variant}", posted.name),
        },
        posted: posted.clone(),
        settings,
        making,
    }
}

/// What differs under other settings than the defaults: events of each family, with and without a sender, with fields nobody knows, with
/// characters that need escapes, with what does not fit its name; and what is quarantined, decoded or not.
const SHAPES: [&str; 14] = [
    "doc_example_installed",
    "uninstalled_real_world_variant",
    "amount_tiny",
    "transaction_sender_absent",
    "unknown_fields_everywhere",
    "outer_tampered_event_and_org",
    "unicode_nul_escape",
    "event_unknown",
    "event_unknown_without_organization",
    "texts_that_do_not_fit",
    "sender_that_is_no_object",
    "event_missing",
    "organization_missing_inside_only",
    "known_answer_not_base64",
];

fn structured() -> RecordSettings {
    RecordSettings {
        content_mode: ContentMode::Structured,
        ..default_settings()
    }
}

fn drop_sender(settings: RecordSettings) -> RecordSettings {
    RecordSettings {
        redaction: Redaction { drop_sender: true },
        ..settings
    }
}

fn signature_headers(settings: RecordSettings) -> RecordSettings {
    RecordSettings {
        signature_headers: true,
        ..settings
    }
}

fn instance(settings: RecordSettings) -> RecordSettings {
    RecordSettings {
        instance: Some("bridge-1".to_owned()),
        ..settings
    }
}

/// Settings other than the defaults, each with the suffix of its golden files.
pub fn variants() -> [(&'static str, RecordSettings); 7] {
    let defaults = default_settings;
    [
        ("structured", structured()),
        ("drop_sender", drop_sender(defaults())),
        ("structured_drop_sender", drop_sender(structured())),
        ("signature_headers", signature_headers(defaults())),
        (
            "structured_signature_headers",
            signature_headers(structured()),
        ),
        ("instance", instance(defaults())),
        ("structured_instance", instance(structured())),
    ]
}

/// The record of a golden case, made in memory.
pub fn made(case: &GoldenCase) -> Record {
    let identity = Identity::of(&case.name);
    with_delivery(&case.posted, &identity, |delivery| {
        let occasion = Occasion {
            sequence: identity.sequence,
            now: identity.replayed_at,
            replay: case.making == Making::Replayed,
        };
        match case.making {
            Making::Refused(reason) => {
                quarantine_record(delivery, reason, &case.settings, occasion)
            }
            Making::Ordinary | Making::Replayed => record(delivery, &case.settings, occasion),
        }
    })
}

/// The delivery of a golden case as the journal keeps it.
pub fn stored(case: &GoldenCase) -> Vec<u8> {
    with_delivery(&case.posted, &Identity::of(&case.name), |delivery| {
        let mut bytes = Vec::new();
        delivery.encode(&mut bytes);
        bytes
    })
}

/// Proves a delivery and hands it over as the journal would keep it.
fn with_delivery<T>(
    posted: &Posted,
    identity: &Identity,
    then: impl FnOnce(&Delivery<'_>) -> T,
) -> T {
    let header = posted.signature.as_deref().unwrap();
    let signature = Signature::from_headers([header.as_bytes()]).unwrap();
    let secrets = SecretSet::single(posted.secret.as_bytes()).unwrap();
    let envelope = Envelope::parse(posted.body.as_bytes()).unwrap();
    let verified = verify(envelope, signature, &secrets).unwrap();
    then(&Delivery {
        id: identity.id,
        accepted_at: identity.accepted_at,
        app: "default",
        secret_position: verified.secret_position(),
        signature: *verified.signature(),
        token: verified.envelope().token(),
        headers: vec![("content-type", b"application/json")],
        body: posted.body.as_bytes(),
    })
}

/// A record as it was found somewhere, keys, headers and value being UTF-8.
#[derive(Debug, Clone)]
pub struct Found {
    pub topic: String,
    pub key: Option<String>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub headers: Vec<(String, String)>,
    pub value: String,
}

impl From<&Record> for Found {
    fn from(record: &Record) -> Self {
        let headers = record.headers.iter();
        Self {
            topic: record.topic.clone(),
            key: record.key.clone().map(utf8),
            timestamp: i64::try_from(record.timestamp.0).unwrap(),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), value.to_string()))
                .collect(),
            value: utf8(record.value.clone()),
        }
    }
}

pub fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("keys, headers and values are UTF-8")
}

impl Found {
    /// Reads a golden file.
    pub fn read(name: &str) -> Self {
        let path = folder().join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let golden: Value = serde_json::from_str(&text).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let headers = golden["headers"].as_array().unwrap();
        Self {
            topic: text(&golden["topic"]),
            key: golden["key"].as_str().map(str::to_owned),
            timestamp: golden["timestamp"].as_i64().unwrap(),
            headers: headers
                .iter()
                .map(|header| (text(&header[0]), text(&header[1])))
                .collect(),
            value: text(&golden["value"]),
        }
    }

    /// The header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    /// Whether the value is the whole CloudEvent.
    pub fn is_structured(&self) -> bool {
        self.header("content-type") == Some(STRUCTURED)
    }

    /// The golden text of a record: **the** generator.
    pub fn text(&self) -> String {
        let headers = self.headers.iter();
        let lines: Vec<String> = headers
            .map(|(name, value)| format!("    {}", json!([name, value])))
            .collect();
        format!(
            "{{\n  \"topic\": {},\n  \"key\": {},\n  \"timestamp\": {},\n  \"headers\": [\n{}\n  ],\n  \"value\": {}\n}}\n",
            json!(self.topic),
            json!(self.key),
            self.timestamp,
            lines.join(",\n"),
            json!(self.value)
        )
    }

    /// The same record with an identity in place of its own, whose form is checked.
    pub fn with(mut self, identity: &Identity) -> Self {
        let acceptance = if self.is_structured() {
            self.replace_attributes(identity)
        } else {
            self.replace_headers(identity)
        };
        let acceptance: jiff::Timestamp = acceptance.parse().unwrap();
        let acceptance = acceptance.as_millisecond();
        let stands_for = if self.is_replay() {
            assert!(self.timestamp > acceptance, "that of the replay");
            identity.replayed_at
        } else {
            assert_eq!(self.timestamp, acceptance, "that of acceptance");
            identity.accepted_at
        };
        self.timestamp = i64::try_from(stands_for.0).unwrap();
        self
    }

    /// Whether it was published again because somebody asked for it.
    pub fn is_replay(&self) -> bool {
        let structured = || self.value.contains(",\"replay\":\"2");
        self.header("ce_replay").is_some() || self.is_structured() && structured()
    }

    /// Returns the time of acceptance that stood there.
    fn replace_headers(&mut self, identity: &Identity) -> String {
        let mut acceptance = None;
        for (name, value) in &mut self.headers {
            if let Some(attribute) = name
                .strip_prefix("ce_")
                .filter(|attribute| VOLATILE.contains(attribute))
            {
                let own = std::mem::replace(value, identity.value(attribute));
                check_form(attribute, &own);
                acceptance = acceptance.or((attribute == "time").then_some(own));
            }
        }
        acceptance.expect("ce_time")
    }

    /// Attributes stand before `data` and strings are escaped, so the first `"name":"` is the attribute.
    fn replace_attributes(&mut self, identity: &Identity) -> String {
        let mut acceptance = None;
        for name in VOLATILE {
            let opening = format!(",\"{name}\":\"");
            let head = self.value.find(",\"data\":").unwrap();
            if let Some(at) = self.value[..head].find(&opening) {
                let start = at + opening.len();
                let end = start + self.value[start..].find('"').unwrap();
                let own = self.value[start..end].to_owned();
                self.value.replace_range(start..end, &identity.value(name));
                check_form(name, &own);
                acceptance = acceptance.or((name == "time").then_some(own));
            }
        }
        acceptance.expect("time")
    }
}

fn check_form(attribute: &str, value: &str) {
    let sound = match attribute {
        "id" => value.parse::<Uuid>().unwrap().get_version_num() == 7,
        "journalsequence" => value.len() == 20 && value.bytes().all(|byte| byte.is_ascii_digit()),
        _ => value.len() == 24 && value.parse::<jiff::Timestamp>().is_ok(),
    };
    assert!(sound, "{attribute}: {value}");
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
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/contract/golden")
}
