//! The headers of records, as objects from name to text. In Kafka they are a list of names and bytes; each of these stands once, in this
//! order, and is UTF-8.

use super::attributes::{
    DeliveryId, EventSchema, EventType, Fingerprint, Instance, JournalSequence, JsonContentType,
    QuarantineSchema, QuarantineType, Replay, SignatureHex, SignedData, Source, SpecVersion,
    StructuredContentType, Subject, Time,
};
use super::event::Further;
use super::open;
use super::reasons::KnownReason;
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

/// Headers of an event record in binary mode, which is the default: the CloudEvents attributes, each with the prefix `ce_`. Headers may
/// be added without a new version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Event headers")]
pub struct EventHeaders {
    #[serde(rename = "content-type")]
    pub content_type: JsonContentType,
    pub ce_specversion: SpecVersion,
    pub ce_id: DeliveryId,
    pub ce_source: Source,
    pub ce_type: EventType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Subject")]
    pub ce_subject: Option<Subject>,
    pub ce_time: Time,
    pub ce_dataschema: EventSchema,
    pub ce_fingerprint: Fingerprint,
    pub ce_journalsequence: JournalSequence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instance")]
    pub ce_instance: Option<Instance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Replay")]
    pub ce_replay: Option<Replay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SignedData")]
    pub icr_signed_data: Option<SignedData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SignatureHex")]
    pub icr_signature: Option<SignatureHex>,
    #[serde(flatten)]
    pub further: Further,
}

/// Headers of an event record in structured mode: the attributes stand in the value. Headers may be added without a new version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Structured event headers")]
pub struct StructuredEventHeaders {
    #[serde(rename = "content-type")]
    pub content_type: StructuredContentType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SignedData")]
    pub icr_signed_data: Option<SignedData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SignatureHex")]
    pub icr_signature: Option<SignatureHex>,
    #[serde(flatten)]
    pub further: Further,
}

/// Headers of a quarantine record, whatever the content mode. Headers may be added without a new version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Quarantine headers")]
pub struct QuarantineHeaders {
    #[serde(rename = "content-type")]
    pub content_type: JsonContentType,
    pub ce_specversion: SpecVersion,
    pub ce_id: DeliveryId,
    pub ce_source: Source,
    pub ce_type: QuarantineType,
    pub ce_time: Time,
    pub ce_dataschema: QuarantineSchema,
    pub ce_fingerprint: Fingerprint,
    pub ce_journalsequence: JournalSequence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instance")]
    pub ce_instance: Option<Instance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Replay")]
    pub ce_replay: Option<Replay>,
    /// Why the delivery could not be understood, or its event record not be published. Reasons may be added.
    pub ce_reason: Reason,
    pub icr_signature: SignatureHex,
    #[serde(flatten)]
    pub further: Further,
}

/// Why a delivery was quarantined: one of the bridge's own words, of which there may be more in a later version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, transform = Self::document)]
pub struct Reason(#[schemars(regex(pattern = r"^[a-z_]{1,64}$"))] pub String);

impl Reason {
    fn document(schema: &mut Schema) {
        let known = schema_for!(KnownReason);
        let reasons = known
            .get("oneOf")
            .and_then(|all| all.as_array())
            .into_iter()
            .flatten();
        open::document(
            schema,
            reasons.filter_map(|one| Some((one["const"].as_str()?, one["description"].as_str()?))),
        );
    }
}
