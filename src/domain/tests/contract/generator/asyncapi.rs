//! The AsyncAPI 3.1 document: topics, keys, headers, values, guarantees, and golden records as examples.
//!
//! Schemas are the same as in the files beside it, in the dialect of AsyncAPI's own schema object (JSON Schema draft-07). Examples are
//! golden records, byte for byte; a test compares them and validates them, which AsyncAPI's parser doesn't do.

use super::event::Event;
use super::examples::{EVENTS, Example, QUARANTINED, STRUCTURED_EVENTS};
use super::headers::{EventHeaders, QuarantineHeaders, StructuredEventHeaders};
use super::quarantine::QuarantinedBody;
use super::schema::{Annotations, Order};
use super::structured::StructuredEvent;
use icr_domain::cloudevent;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// The version of AsyncAPI that the document is written in.
pub const ASYNCAPI: &str = "3.1.0";

/// The version of Kafka's bindings for AsyncAPI.
const BINDING: &str = "0.5.0";

/// Where AsyncAPI keeps schemas that are referred to.
const DEFINITIONS: &str = "/components/schemas";

/// Its file's name, in `deploy/contract` and under `/schema/`.
pub const FILE: &str = "asyncapi.yaml";

/// The whole document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft07()
        .for_serialize()
        .with(|settings| {
            settings.definitions_path = DEFINITIONS.into();
            settings.meta_schema = None;
        })
        .with_transform(Annotations)
        .with_transform(Order);
    let mut schemas = settings.into_generator();
    let messages = json!({
        "event": event(&mut schemas),
        "structuredEvent": structured_event(&mut schemas),
        "quarantined": quarantined(&mut schemas),
    });
    json!({
        "asyncapi": ASYNCAPI,
        "id": "urn:icr-bridge:contract:1",
        "info": {
            "title": "icr-bridge: webhooks of the International Carbon Registry on Kafka",
            "version": "1",
            "description": include_str!("texts/about.md"),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": "kafka"}, {"name": "cloudevents"}, {"name": "carbon-credits"}],
        },
        "defaultContentType": cloudevent::JSON,
        "channels": {"events": events_channel(), "quarantine": quarantine_channel()},
        "operations": operations(),
        "components": {
            "messages": messages,
            "schemas": schemas.take_definitions(true),
        },
    })
}

/// The document as YAML.
///
/// # Errors
/// The serializer's; there is none for a document that is made of strings, numbers and lists.
pub fn yaml() -> Result<String, serde_saphyr::ser::Error> {
    let options = serde_saphyr::ser_options! {
        folded_wrap_chars: 120,
    };
    serde_saphyr::to_string_with_options(&document(), options)
}

fn events_channel() -> Value {
    json!({
        "address": "icr.webhooks",
        "title": "Events",
        "summary": "What happened at ICR.",
        "description": include_str!("texts/events.md"),
        "messages": {
            "event": {"$ref": "#/components/messages/event"},
            "structuredEvent": {"$ref": "#/components/messages/structuredEvent"},
        },
        "bindings": {"kafka": topic("icr.webhooks", json!({
            "x-key": "{event}:{organization}",
            "x-partitioner": "murmur2_random",
            "x-delivery-guarantee": "at-least-once",
            "x-order": "acceptance of first occurrences, per key and instance",
        }))},
    })
}

fn quarantine_channel() -> Value {
    json!({
        "address": "icr.webhooks.quarantine",
        "title": "Quarantine",
        "summary": "What is proven and could not be understood.",
        "description": include_str!("texts/quarantine.md"),
        "messages": {"quarantined": {"$ref": "#/components/messages/quarantined"}},
        "bindings": {"kafka": topic("icr.webhooks.quarantine", json!({
            "x-key": null,
            "x-partitioner": "murmur2_random",
            "x-delivery-guarantee": "at-least-once",
            "x-order": "none",
        }))},
    })
}

/// The topic as production should have it.
fn topic(name: &str, mut binding: Value) -> Value {
    let common = json!({
        "topic": name,
        "partitions": 6,
        "replicas": 3,
        "topicConfiguration": {"cleanup.policy": ["delete"], "min.insync.replicas": 2},
        "bindingVersion": BINDING,
    });
    if let (Some(binding), Value::Object(common)) = (binding.as_object_mut(), common) {
        let own = std::mem::replace(binding, common);
        binding.extend(own);
    }
    binding
}

fn operations() -> Value {
    let operation = |channel: &str, messages: &[&str], summary: &str, description: &str| {
        let messages: Vec<_> = messages
            .iter()
            .map(|name| json!({"$ref": format!("#/channels/{channel}/messages/{name}")}))
            .collect();
        json!({
            "action": "send",
            "channel": {"$ref": format!("#/channels/{channel}")},
            "summary": summary,
            "description": description,
            "bindings": {"kafka": {
                "groupId": {"type": "string", "description": "Each consuming application has a group of its own; the bridge joins none."},
                "bindingVersion": BINDING,
            }},
            "messages": messages,
        })
    };
    json!({
        "publishEvents": operation(
            "events",
            &["event", "structuredEvent"],
            "The bridge publishes what ICR delivered and what it understood.",
            "At least once, with `acks=all` and an idempotent producer. All records of a topic are in one content mode, unless the operator changed it: tell them apart by the header `content-type`.",
        ),
        "publishQuarantine": operation(
            "quarantine",
            &["quarantined"],
            "The bridge publishes what ICR delivered and what it did not understand.",
            "At least once, with `acks=all` and an idempotent producer.",
        ),
    })
}

fn event(schemas: &mut SchemaGenerator) -> Value {
    json!({
        "name": "event",
        "title": "Event, binary mode",
        "summary": "Attributes in headers, the event as value: the default.",
        "contentType": cloudevent::JSON,
        "headers": schemas.subschema_for::<EventHeaders>(),
        "payload": schemas.subschema_for::<Event>(),
        "bindings": event_key(),
        "examples": examples(&EVENTS),
    })
}

fn structured_event(schemas: &mut SchemaGenerator) -> Value {
    json!({
        "name": "structuredEvent",
        "title": "Event, structured mode",
        "summary": "The whole CloudEvent as value: with CONTENT_MODE=structured.",
        "contentType": cloudevent::STRUCTURED,
        "headers": schemas.subschema_for::<StructuredEventHeaders>(),
        "payload": schemas.subschema_for::<StructuredEvent>(),
        "bindings": event_key(),
        "examples": examples(&STRUCTURED_EVENTS),
    })
}

fn quarantined(schemas: &mut SchemaGenerator) -> Value {
    json!({
        "name": "quarantined",
        "title": "Quarantined delivery",
        "summary": "The HTTP body as it came, and why it stands here.",
        "contentType": cloudevent::JSON,
        "headers": schemas.subschema_for::<QuarantineHeaders>(),
        "payload": schemas.subschema_for::<QuarantinedBody>(),
        "bindings": {"kafka": {
            "key": {"type": "null", "description": "Quarantine records have no key."},
            "bindingVersion": BINDING,
        }},
        "examples": examples(&QUARANTINED),
    })
}

fn event_key() -> Value {
    json!({"kafka": {
        "key": {
            "type": "string",
            "description": "`<event>:<organization id>` in UTF-8; `<event>:none` where an unknown event has no organization. `KAFKA_KEY` may set it otherwise.",
            "pattern": "^[A-Za-z0-9_.-]{1,100}:.+$",
            "examples": ["installed:e3f779a2-0000-4000-8000-000000000003", "registry.maintenance:none"],
        },
        "bindingVersion": BINDING,
    }})
}

fn examples(examples: &[Example]) -> Vec<Value> {
    examples.iter().map(Example::message).collect()
}
