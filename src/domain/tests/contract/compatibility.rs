//! Today's contract breaks nobody who was built on a released one. `deploy/contract/COMPATIBILITY.md` has the rule in words.
//!
//! `deploy/contract/released/<version>` holds the documents as they were last released within that version.
//! `RELEASE_CONTRACT=1 cargo test contract::compatibility` puts today's there, if they break nobody: part of cutting a release.

use super::comparer::breaking_changes;
use super::generator::asyncapi;
use super::generator::schema::SCHEMAS;
use super::{Form, complaints, folder, golden_records, headers_of, validator};
use crate::support::golden::{Found, cases};
use icr_domain::cloudevent::EVENT_SCHEMA;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The version of today's contract.
fn version() -> u32 {
    let (_, version) = EVENT_SCHEMA.rsplit_once(':').unwrap();
    version.parse().unwrap()
}

fn released() -> PathBuf {
    folder().join("released").join(version().to_string())
}

/// The text of a released document; `None` where there was none.
fn released_text(file: &str) -> Option<String> {
    std::fs::read_to_string(released().join(file)).ok()
}

fn released_schema(file: &str) -> Option<Value> {
    released_text(file).map(|text| serde_json::from_str(&text).unwrap())
}

/// What the AsyncAPI document says beside schemas, words and examples: topics, messages, keys, guarantees.
fn facts(document: &Value) -> BTreeMap<String, Value> {
    let mut facts = BTreeMap::new();
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (name, channel) in object(&document["channels"]) {
        let path = format!("channel {name}");
        facts.insert(format!("{path}, address"), channel["address"].clone());
        for message in object(&channel["messages"]).keys() {
            facts.insert(format!("{path}, message {message}"), json!(true));
        }
        let kafka = object(&channel["bindings"]["kafka"]);
        for (name, value) in kafka.iter().filter(|(name, _)| name.starts_with("x-")) {
            facts.insert(format!("{path}, {name}"), value.clone());
        }
        let policy = &channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"];
        facts.insert(format!("{path}, cleanup.policy"), policy.clone());
    }
    for (name, message) in object(&document["components"]["messages"]) {
        let path = format!("message {name}");
        facts.insert(
            format!("{path}, contentType"),
            message["contentType"].clone(),
        );
        for part in ["headers", "payload"] {
            facts.insert(format!("{path}, {part}"), message[part]["$ref"].clone());
        }
        let mut key = object(&message["bindings"]["kafka"]["key"]);
        key.retain(|keyword, _| !["description", "examples"].contains(&keyword.as_str()));
        facts.insert(format!("{path}, key"), Value::Object(key));
    }
    facts
}

/// Facts that are gone or different.
fn changed_facts(old: &Value, new: &Value) -> Vec<String> {
    let new = facts(new);
    facts(old)
        .into_iter()
        .filter(|(name, value)| new.get(name) != Some(value))
        .map(|(name, value)| format!("{name} was {value}, is {:?}", new.get(&name)))
        .collect()
}

/// The file with the records that were golden.
const GOLDEN: &str = "golden.json";

/// Today's golden records, each as one object.
fn golden_of_today() -> BTreeMap<String, Value> {
    cases()
        .into_iter()
        .map(|case| {
            let record = Found::read(&case.name);
            let value: Value = serde_json::from_str(&record.value).unwrap();
            let headers = headers_of(&record);
            let record =
                json!({"topic": record.topic, "key": record.key, "headers": headers, "value": value});
            (case.name, record)
        })
        .collect()
}

/// What is gone or different in `new`; what was added to an object is neither.
fn lost(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, old) in old {
                let path = format!("{path}/{name}");
                match new.get(name) {
                    Some(new) => lost(&path, old, new, found),
                    None => found.push(format!("{path} is gone")),
                }
            }
            let order = |fields: &Map<String, Value>, others: &Map<String, Value>| -> Vec<String> {
                let common = fields.keys().filter(|name| others.contains_key(*name));
                common.cloned().collect()
            };
            if order(old, new) != order(new, old) {
                found.push(format!("{path} has its fields in another order"));
            }
        }
        (old, new) if old != new => found.push(format!("{path} was {old}, is {new}")),
        _ => {}
    }
}

/// Everything in today's documents that breaks a consumer of the released ones.
fn breaking() -> Vec<String> {
    let mut found = Vec::new();
    if let Some(old) = released_schema(GOLDEN) {
        let today = golden_of_today();
        for (name, old) in old.as_object().unwrap() {
            match today.get(name) {
                Some(new) => lost(&format!("golden record {name}: "), old, new, &mut found),
                None => found.push(format!("golden record {name} is gone")),
            }
        }
    }
    for schema in SCHEMAS {
        if let Some(old) = released_schema(&schema.file()) {
            let changes = breaking_changes(&old, &schema.schema());
            found.extend(
                changes
                    .into_iter()
                    .map(|change| format!("{}{change}", schema.name)),
            );
        }
    }
    if let Some(old) = released_text(asyncapi::FILE) {
        let old: Value = serde_saphyr::from_str(&old).unwrap();
        found.extend(changed_facts(&old, &asyncapi::document()));
    }
    found
}

/// JSON whose changes can be reviewed line by line.
fn one_a_line(object: &Value) -> String {
    let members = object.as_object().unwrap().iter();
    let lines: Vec<String> = members
        .map(|(name, value)| format!("{}: {value}", json!(name)))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

#[test]
fn nothing_has_changed_that_breaks_a_consumer_of_the_released_contract() {
    let found = breaking();
    assert!(
        found.is_empty(),
        "breaking changes within version {}:\n  {}\nsee deploy/contract/COMPATIBILITY.md",
        version(),
        found.join("\n  ")
    );
    if std::env::var_os("RELEASE_CONTRACT").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(released()).unwrap();
        for schema in SCHEMAS {
            std::fs::write(released().join(schema.file()), schema.text()).unwrap();
        }
        let golden = serde_json::to_value(golden_of_today()).unwrap();
        std::fs::write(released().join(GOLDEN), one_a_line(&golden)).unwrap();
        let yaml = asyncapi::yaml().unwrap();
        std::fs::write(released().join(asyncapi::FILE), yaml).unwrap();
    }
}

#[test]
fn no_released_document_is_missing_today_and_every_released_version_is_known() {
    let versions = std::fs::read_dir(folder().join("released")).unwrap();
    let mut count = 0;
    for entry in versions {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let released: u32 = name.parse().expect("folders are named after versions");
        assert!(
            released <= version(),
            "{released} was released, today's is {}",
            version()
        );
        count += 1;
    }
    assert!(count > 0);
    let Ok(files) = std::fs::read_dir(released()) else {
        return;
    };
    for entry in files {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let today = SCHEMAS.iter().any(|schema| schema.file() == name)
            || [asyncapi::FILE, GOLDEN].contains(&name.as_str());
        assert!(today, "{name} was released and is gone");
    }
}

#[test]
fn every_golden_record_of_today_is_valid_under_the_released_schemas() {
    for form in Form::ALL {
        let (headers, value) = form.schemas();
        let of =
            |name: &str| released_schema(&format!("{name}.schema.json")).map(|it| validator(&it));
        let (Some(headers_validator), Some(value_validator)) = (of(headers), of(value)) else {
            continue;
        };
        for (name, of, headers, value) in golden_records() {
            if of == form {
                let found = complaints(&headers_validator, &headers);
                assert!(found.is_empty(), "{name}, headers: {found:#?}");
                let found = complaints(&value_validator, &value);
                assert!(found.is_empty(), "{name}: {found:#?}");
            }
        }
    }
}

#[test]
fn a_break_in_the_real_schemas_would_be_noticed() {
    let event = SCHEMAS[0].schema();
    let noticed = |pointer: &str, to: Value| {
        let mut new = event.clone();
        *new.pointer_mut(pointer).unwrap() = to;
        breaking_changes(&event, &new)
    };
    for (pointer, to, told) in [
        (
            "/$defs/Transaction/properties/amount/type",
            json!(["number", "null"]),
            "/transaction/amount: is no longer",
        ),
        (
            "/$defs/Transaction/properties/status/x-known-values",
            json!({"queued": "Waits."}),
            "/transaction/status: no longer knows \"pending_queue\"",
        ),
        (
            "/$defs/Sender/additionalProperties",
            json!(false),
            "/sender/*: was anything, is restricted",
        ),
        (
            "/properties/event/x-known-values",
            json!({}),
            "/event: no longer knows \"installed\"",
        ),
        (
            "/$defs/Installation/properties/createdAt/format",
            json!("date"),
            "/installation/createdAt: format was",
        ),
        (
            "/allOf/0/not/properties/event/enum/0",
            json!("Installed"),
            "/: allOf was",
        ),
        (
            "/required/5",
            json!("event"),
            "/sender: need no longer be there",
        ),
    ] {
        let found = noticed(pointer, to);
        assert!(
            found.iter().any(|found| found.starts_with(told)),
            "{pointer}: {found:#?}"
        );
    }
    // ICR adds a status; the bridge documents it.
    let mut new = event.clone();
    let status = "/$defs/Transaction/properties/status/x-known-values";
    new.pointer_mut(status).unwrap()["reversed"] = json!("Taken back.");
    assert_eq!(breaking_changes(&event, &new), [""; 0]);
}

#[test]
fn another_topic_key_or_guarantee_is_a_break_and_another_message_is_none() {
    let old = asyncapi::document();
    for (pointer, to) in [
        ("/channels/events/address", json!("icr.events")),
        (
            "/channels/events/bindings/kafka/x-partitioner",
            json!("consistent_random"),
        ),
        (
            "/channels/events/bindings/kafka/x-delivery-guarantee",
            json!("at-most-once"),
        ),
        (
            "/channels/events/bindings/kafka/topicConfiguration/cleanup.policy",
            json!(["compact"]),
        ),
        (
            "/components/messages/event/bindings/kafka/key/type",
            json!("number"),
        ),
        (
            "/components/messages/event/contentType",
            json!("application/xml"),
        ),
    ] {
        let mut new = old.clone();
        *new.pointer_mut(pointer).unwrap() = to;
        assert_eq!(changed_facts(&old, &new).len(), 1, "{pointer}");
    }
    let mut new = old.clone();
    new["channels"]["events"]["messages"]["further"] = json!({});
    new["channels"]["events"]["description"] = json!("better words");
    new["channels"]["further"] = json!({"address": "icr.further"});
    assert_eq!(changed_facts(&old, &new), [""; 0]);
}

#[test]
fn a_golden_record_may_gain_fields_and_nothing_else() {
    let old = json!({"a": 1, "b": {"c": [1, null], "d": "x"}});
    let found = |new: Value| {
        let mut found = Vec::new();
        lost("", &old, &new, &mut found);
        found
    };
    let same = json!({"a": 1, "b": {"c": [1, null], "d": "x"}});
    assert_eq!(found(same), [""; 0]);
    let more = json!({"a": 1, "n": 2, "b": {"c": [1, null], "m": {}, "d": "x"}});
    assert_eq!(found(more), [""; 0]);
    for (new, told) in [
        (json!({"b": {"c": [1, null], "d": "x"}}), "/a is gone"),
        (
            json!({"a": 1.5, "b": {"c": [1, null], "d": "x"}}),
            "/a was 1, is 1.5",
        ),
        (
            json!({"a": 1, "b": {"c": [1], "d": "x"}}),
            "/b/c was [1,null], is [1]",
        ),
        (json!({"a": 1, "b": null}), "/b was "),
        (
            json!({"a": 1, "b": {"d": "x", "c": [1, null]}}),
            "/b has its fields in another order",
        ),
    ] {
        let found = found(new);
        assert!(found.len() == 1 && found[0].starts_with(told), "{found:?}");
    }
}
