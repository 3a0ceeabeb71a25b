//! The Kafka record of a delivery: topic, key, headers, value, timestamp.
//!
//! **Guarantee.** Every proven delivery has a record: an event record where the payload is understood, else a quarantine record
//! that holds the whole body, the signature and the reason. A record is a pure function of the journal's bytes, the settings
//! and the occasion; topic, key and value don't depend on the clock, so a re-publication equals the first publication except
//! for the timestamp, which Kafka must not find in the future.

use super::cloudevent::{self, Attributes, Headers};
use super::delivery::{Delivery, Millis};
use super::event::EventKind;
use super::normalize::{Event, Redaction, normalize};
use super::reasons::QuarantineReason;
use super::signature::Verified;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

pub use super::template::{Template, TemplateError};

/// How the CloudEvent is put into the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContentMode {
    /// Attributes in `ce_` headers, the event as value.
    #[default]
    Binary,
    /// One JSON envelope as value.
    Structured,
}

/// Everything that decides the form of a record.
#[derive(Debug, Clone)]
pub struct RecordSettings {
    /// Where intelligible deliveries go.
    pub topic: Template,
    /// Where quarantined ones go; `{app}` is allowed, `{event}` is not.
    pub quarantine_topic: Template,
    /// The key of an intelligible delivery's record.
    pub key: Template,
    /// Binary or structured; quarantine is always binary.
    pub content_mode: ContentMode,
    /// What is left out.
    pub redaction: Redaction,
    /// `SIGNATURE_HEADERS`: adds `icr_signed_data` and `icr_signature`.
    pub signature_headers: bool,
    /// `ce_instance`, where configured.
    pub instance: Option<String>,
}

/// A record, ready for a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic's name, placeholders filled in.
    pub topic: String,
    /// The key; `None` in quarantine.
    pub key: Option<Vec<u8>>,
    /// Headers in their order.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The value.
    pub value: Vec<u8>,
    /// min(acceptance, now); now for a replay.
    pub timestamp: Millis,
    /// For metrics: the kind of event, `None` in quarantine.
    pub kind: Option<EventKind>,
    /// Why it is quarantined, if it is.
    pub quarantined: Option<QuarantineReason>,
}

/// When and why a record is made.
#[derive(Debug, Clone, Copy)]
pub struct Occasion {
    /// The delivery's sequence in the journal: `ce_journalsequence`.
    pub sequence: u64,
    /// The clock.
    pub now: Millis,
    /// Whether this is a replay: adds `ce_replay`.
    pub replay: bool,
}

impl Occasion {
    /// Kafka refuses a timestamp in the future and expires one in the past, hence now for a replay.
    fn timestamp(self, delivery: &Delivery<'_>) -> Millis {
        if self.replay {
            self.now
        } else {
            delivery.accepted_at.min(self.now)
        }
    }
}

/// Makes the record of a delivery: an event record, or a quarantine record where it is unintelligible.
///
/// A stored delivery whose token is no JSON string (which the journal's checksums rule out) is quarantined as
/// `signed_data_undecodable`.
pub fn record(delivery: &Delivery<'_>, settings: &RecordSettings, occasion: Occasion) -> Record {
    let Ok(verified) = delivery.verified() else {
        let reason = QuarantineReason::SignedDataUndecodable;
        return quarantine_record(delivery, reason, settings, occasion);
    };
    match normalize(verified.envelope().signed_data(), settings.redaction) {
        Ok(event) => event_record(delivery, &verified, event, settings, occasion),
        Err(reason) => quarantine_record(delivery, reason, settings, occasion),
    }
}

fn event_record(
    delivery: &Delivery<'_>,
    verified: &Verified<'_>,
    event: Event,
    settings: &RecordSettings,
    occasion: Occasion,
) -> Record {
    let app = delivery.app;
    let topic = settings.topic.fill_topic(app, event.kind);
    let organization = event.organization.as_deref();
    let key = settings.key.fill_key(app, &event.name, organization);
    let attributes = Attributes {
        kind: format!("com.carbonregistry.{}", event.name).into(),
        subject: event.organization,
        data_schema: cloudevent::EVENT_SCHEMA,
        ..attributes(
            delivery,
            verified.envelope().fingerprint(),
            settings,
            occasion,
        )
    };
    let (mut headers, value) = match settings.content_mode {
        ContentMode::Binary => (attributes.into_headers(), event.value),
        ContentMode::Structured => (
            vec![("content-type", cloudevent::STRUCTURED.into())],
            attributes.into_envelope(&event.value),
        ),
    };
    if settings.signature_headers {
        let signed_data = verified.envelope().signed_data().to_owned();
        headers.push(("icr_signed_data", signed_data.into()));
        headers.push(signature_header(delivery));
    }
    Record {
        topic,
        key: Some(key.into_bytes()),
        headers,
        value,
        timestamp: occasion.timestamp(delivery),
        kind: Some(event.kind),
        quarantined: None,
    }
}

/// Makes the quarantine record of a delivery whose event record was refused.
///
/// The value is the body as it came, whatever `DROP_SENDER` says: quarantine exists so that nothing is lost.
pub fn quarantine_record(
    delivery: &Delivery<'_>,
    reason: QuarantineReason,
    settings: &RecordSettings,
    occasion: Occasion,
) -> Record {
    let fingerprint = match delivery.verified() {
        Ok(verified) => verified.envelope().fingerprint(),
        Err(_) => Sha256::digest(delivery.body).into(),
    };
    let mut headers: Headers = attributes(delivery, fingerprint, settings, occasion).into_headers();
    headers.push(("ce_reason", reason.name().into()));
    headers.push(signature_header(delivery));
    Record {
        topic: settings
            .quarantine_topic
            .fill_topic(delivery.app, EventKind::Other),
        key: None,
        headers,
        value: delivery.body.to_vec(),
        timestamp: occasion.timestamp(delivery),
        kind: None,
        quarantined: Some(reason),
    }
}

/// The attributes of a quarantine record, and those that every record has in common with it.
fn attributes(
    delivery: &Delivery<'_>,
    fingerprint: [u8; 32],
    settings: &RecordSettings,
    occasion: Occasion,
) -> Attributes {
    Attributes {
        id: delivery.id.to_string(),
        source: format!("/icr/{}", delivery.app),
        kind: cloudevent::QUARANTINE_TYPE.into(),
        subject: None,
        time: cloudevent::rfc3339(delivery.accepted_at),
        data_schema: cloudevent::QUARANTINE_SCHEMA,
        fingerprint: hex::encode(fingerprint),
        journal_sequence: format!("{:020}", occasion.sequence),
        instance: settings.instance.clone(),
        replay: occasion.replay.then(|| cloudevent::rfc3339(occasion.now)),
    }
}

fn signature_header(delivery: &Delivery<'_>) -> (&'static str, Cow<'static, str>) {
    ("icr_signature", delivery.signature.to_hex().into())
}

#[cfg(test)]
mod tests;
