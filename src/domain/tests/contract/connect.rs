//! Kafka Connect's own form of a schema, for `value.converter.schema.content` of its JsonConverter: made from the JSON Schemas.
//!
//! Everything but the outermost object is optional.

use super::documents::assert_current;
use super::generator::open::KNOWN_PROPERTIES;
use super::generator::schema::{SchemaDocument, pretty};
use serde_json::{Value, json};

/// A schema as Connect has it; `None` where it has none for it.
fn connect(root: &Value, schema: &Value) -> Option<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return connect(root, root.pointer(&reference[1..]).unwrap());
    }
    if let Some(alternatives) = schema["anyOf"].as_array() {
        // An object or null.
        return connect(root, &alternatives[0]);
    }
    if let Some(properties) = schema["properties"].as_object() {
        let fields: Vec<Value> = properties
            .iter()
            .filter_map(|(name, property)| {
                let mut field = connect(root, property)?;
                field["optional"] = json!(true);
                field["field"] = json!(name);
                Some(field)
            })
            .collect();
        return Some(json!({"type": "struct", "fields": fields}));
    }
    if let Some(known) = schema[KNOWN_PROPERTIES].as_object() {
        // Connect's transforms take no maps apart.
        let entry = |name: &String| {
            let mut field = connect(root, &schema["additionalProperties"])?;
            field["optional"] = json!(true);
            field["field"] = json!(name);
            Some(field)
        };
        let fields: Vec<Value> = known.keys().filter_map(entry).collect();
        return Some(json!({"type": "struct", "fields": fields}));
    }
    let is_text = schema["type"] == "string"
        || schema["type"]
            .as_array()
            .is_some_and(|types| types.contains(&json!("string")));
    is_text.then(|| json!({"type": "string"}))
}

fn document(name: &str) -> Value {
    let schema = SchemaDocument::named(name).unwrap().schema();
    let mut connect = connect(&schema, &schema).unwrap();
    connect["optional"] = json!(false);
    connect["name"] = schema["$id"].clone();
    connect
}

#[test]
fn the_schemas_for_kafka_connect_are_made_from_the_json_schemas() {
    for name in ["event", "structured-event"] {
        assert_current(&format!("connect/{name}.json"), &pretty(&document(name)));
    }
}

#[test]
fn they_have_every_documented_field() {
    fn leaves(schema: &Value, path: &str, found: &mut Vec<String>) {
        match schema["fields"].as_array() {
            Some(fields) => {
                for field in fields {
                    leaves(
                        field,
                        &format!("{path}_{}", field["field"].as_str().unwrap()),
                        found,
                    );
                }
            }
            None => found.push(path.trim_start_matches('_').to_owned()),
        }
    }
    let mut event = Vec::new();
    leaves(&document("event"), "", &mut event);
    assert_eq!(event.len(), 27, "{event:#?}");
    for field in [
        "event",
        "transaction_amount",
        "installation_permissions_organization_info",
        "sender_email",
    ] {
        assert!(event.iter().any(|found| found == field), "{field}");
    }
    let mut structured = Vec::new();
    leaves(&document("structured-event"), "", &mut structured);
    assert_eq!(structured.len(), 12 + event.len(), "{structured:#?}");
}
