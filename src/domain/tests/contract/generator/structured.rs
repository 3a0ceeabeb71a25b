//! The value of an event record in structured mode.

use super::attributes::{
    DataContentType, DeliveryId, EventSchema, EventType, Fingerprint, Instance, JournalSequence,
    Replay, Source, SpecVersion, Subject, Time,
};
use super::event::{Event, Further};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An event record's value with `CONTENT_MODE=structured`: one CloudEvent 1.0 in JSON, the attributes in this order, and as `data` the
/// same bytes that are the value in binary mode. Attributes may be added without a new version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Structured event")]
pub struct StructuredEvent {
    pub specversion: SpecVersion,
    pub id: DeliveryId,
    pub source: Source,
    #[serde(rename = "type")]
    pub kind: EventType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Subject")]
    pub subject: Option<Subject>,
    pub time: Time,
    pub datacontenttype: DataContentType,
    pub dataschema: EventSchema,
    pub fingerprint: Fingerprint,
    pub journalsequence: JournalSequence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instance")]
    pub instance: Option<Instance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Replay")]
    pub replay: Option<Replay>,
    /// The event: the same bytes, and the same fields, that are the value in binary mode.
    pub data: Event,
    #[serde(flatten)]
    pub further: Further,
}
