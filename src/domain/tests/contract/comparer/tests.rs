//! Schema changes that break consumers are found, and harmless ones pass.

use super::breaking_changes;
use serde_json::{Value, json};

fn schema() -> Value {
    json!({
        "$id": "urn:x:1",
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "amount": {"type": ["string", "null"], "pattern": "^[0-9]+$"},
            "note": {"type": "string"},
            "version": {"type": "string", "const": "1.0"},
            "level": {"enum": ["low", "high"]},
            "status": {"type": ["string", "null"], "x-known-values": {"open": "Open.", "done": "Done."}},
            "event": {"type": "string", "pattern": "^[a-z]+$", "x-known-values": {"a": "A."}},
            "rights": {
                "type": "object",
                "properties": {"read": {"type": "string", "x-known-values": {"all": "All."}}},
                "additionalProperties": {"type": "string"},
            },
            "limits": {
                "type": "object",
                "x-known-properties": {"day": "A day's."},
                "additionalProperties": {"type": "string"},
            },
            "owner": {"anyOf": [{"$ref": "#/$defs/Owner"}, {"type": "null"}]},
            "part": {"$ref": "#/$defs/Part"},
        },
        "required": ["id", "amount", "part"],
        "additionalProperties": true,
        "allOf": [{"if": {"properties": {"event": {"const": "a"}}}, "then": {"required": ["note"]}}],
        "$defs": {
            "Owner": {"type": "object", "properties": {"name": {"type": "string"}}},
            "Part": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}}},
                "required": ["id"],
                "additionalProperties": false,
            },
        },
    })
}

/// What is found when the value at `pointer` is another (or, with none, is gone).
fn after(pointer: &str, to: Option<Value>) -> Vec<String> {
    let (old, mut new) = (schema(), schema());
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = new.pointer_mut(parent).unwrap();
    match (parent, to) {
        (Value::Object(object), Some(value)) => drop(object.insert(key.to_owned(), value)),
        (Value::Object(object), None) => drop(object.shift_remove(key).unwrap()),
        (Value::Array(list), Some(value)) if key == "-" => list.push(value),
        (Value::Array(list), Some(value)) => list[key.parse::<usize>().unwrap()] = value,
        (Value::Array(list), None) => drop(list.remove(key.parse().unwrap())),
        (other, _) => panic!("{other}"),
    }
    assert_ne!(old, new, "{pointer} changes something");
    breaking_changes(&old, &new)
}

#[test]
fn a_schema_is_compatible_with_itself() {
    assert_eq!(breaking_changes(&schema(), &schema()), [""; 0]);
}

#[test]
fn what_harms_nobody_passes() {
    for (pointer, to) in [
        ("/properties/added", Some(json!({"type": "number"}))),
        (
            "/properties/added",
            Some(json!({"anyOf": [{"type": "string"}, {}]})),
        ),
        ("/properties/id/description", Some(json!("better words"))),
        ("/properties/id/examples", Some(json!(["x"]))),
        ("/title", Some(json!("Title"))),
        ("/allOf/0/description", Some(json!("better words"))),
        ("/$defs/Owner/description", Some(json!("whose it is"))),
        ("/$defs/Further", Some(json!({"type": "string"}))),
        (
            "/properties/status/x-known-values/paused",
            Some(json!("Paused.")),
        ),
        (
            "/properties/status/x-known-values/open",
            Some(json!("Better words.")),
        ),
        (
            "/properties/limits/x-known-properties/hour",
            Some(json!("An hour's.")),
        ),
        (
            "/properties/note/x-known-values",
            Some(json!({"hello": "A greeting."})),
        ),
        (
            "/properties/rights/properties/write",
            Some(json!({"type": "string", "x-known-values": {"all": "All."}})),
        ),
        ("/properties/amount/type", Some(json!(["null", "string"]))),
        ("/required", Some(json!(["part", "amount", "id"]))),
        (
            "/properties/version",
            Some(json!({"type": "string", "enum": ["1.0"]})),
        ),
        (
            "/properties/part",
            Some(json!({
                "type": "object",
                "properties": {"id": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}}},
                "required": ["id"],
                "additionalProperties": false,
            })),
        ),
    ] {
        assert_eq!(after(pointer, to.clone()), [""; 0], "{pointer} as {to:?}");
    }
}

#[test]
fn what_breaks_a_consumer_is_told() {
    for (pointer, to, told) in [
        ("/properties/note", None, "/note: is gone"),
        (
            "/properties/amount/type",
            Some(json!("string")),
            "/amount: is no longer of type \"null\"",
        ),
        (
            "/properties/amount/type",
            Some(json!(["string", "null", "number"])),
            "/amount: is of type \"number\" as well",
        ),
        (
            "/properties/amount",
            Some(json!({"type": "number"})),
            "/amount: is no longer of type \"string\"",
        ),
        (
            "/properties/amount/pattern",
            Some(json!("^[0-9]$")),
            "/amount: pattern was \"^[0-9]+$\", is \"^[0-9]$\"",
        ),
        (
            "/properties/amount/pattern",
            None,
            "/amount: pattern was \"^[0-9]+$\", is absent",
        ),
        (
            "/properties/amount/maxLength",
            Some(json!(9)),
            "/amount: maxLength was absent, is 9",
        ),
        (
            "/properties/id",
            Some(json!({})),
            "/id: was restricted, is anything",
        ),
        (
            "/properties/version/const",
            Some(json!("2.0")),
            "/version: is no longer \"1.0\"",
        ),
        (
            "/properties/version/const",
            None,
            "/version: is no longer a list of values, or has become one",
        ),
        (
            "/properties/level/enum/-",
            Some(json!("middle")),
            "/level: may be \"middle\" as well",
        ),
        (
            "/properties/level/enum/0",
            None,
            "/level: is no longer \"low\"",
        ),
        ("/required/0", None, "/id: need no longer be there"),
        (
            "/required/-",
            Some(json!("note")),
            "/note: must be there, and had not to",
        ),
        (
            "/additionalProperties",
            Some(json!(false)),
            "/*: was anything, is restricted",
        ),
        (
            "/additionalProperties",
            Some(json!({"type": "string"})),
            "/*: was anything, is restricted",
        ),
        (
            "/properties/status/x-known-values/done",
            None,
            "/status: no longer knows \"done\"",
        ),
        (
            "/properties/status/x-known-values",
            None,
            "/status: no longer knows \"open\"",
        ),
        (
            "/properties/status/type",
            Some(json!("string")),
            "/status: is no longer of type \"null\"",
        ),
        (
            "/properties/status",
            Some(json!({"enum": ["open", "done", null]})),
            "/status: is no longer of type \"string\"",
        ),
        (
            "/properties/status",
            Some(json!({"anyOf": [{"type": ["string", "null"]}, {}]})),
            "/status: is no longer of type \"string\"",
        ),
        (
            "/properties/event/pattern",
            Some(json!("^[a-z]{1,9}$")),
            "/event: pattern was \"^[a-z]+$\", is \"^[a-z]{1,9}$\"",
        ),
        (
            "/properties/event/enum",
            Some(json!(["a"])),
            "/event: is no longer a list of values, or has become one",
        ),
        (
            "/properties/rights/additionalProperties",
            Some(json!({})),
            "/rights/*: was restricted, is anything",
        ),
        (
            "/properties/rights/properties/write",
            Some(json!({"type": "number"})),
            "/rights/write: is no longer of type \"string\"",
        ),
        (
            "/properties/limits/x-known-properties/day",
            None,
            "/limits: no longer knows \"day\"",
        ),
        (
            "/properties/limits/additionalProperties/type",
            Some(json!(["string", "number"])),
            "/limits/*: is of type \"number\" as well",
        ),
        (
            "/properties/owner/anyOf/1",
            None,
            "/owner: has more or fewer alternatives than it had",
        ),
        (
            "/properties/owner/anyOf/1/type",
            Some(json!("string")),
            "/owner: is no longer of type \"null\"",
        ),
        (
            "/$defs/Owner/properties/name/type",
            Some(json!("number")),
            "/owner/name: is no longer of type \"string\"",
        ),
        (
            "/allOf/0/then/required/-",
            Some(json!("id")),
            "/: allOf was ",
        ),
        ("/allOf", None, "/: allOf was "),
        (
            "/$defs/Part/properties/id/type",
            Some(json!("number")),
            "/part/id: is no longer of type \"string\"",
        ),
        (
            "/$defs/Part/properties/added",
            Some(json!({"type": "string"})),
            "/part/added: ",
        ),
        (
            "/$defs/Part/additionalProperties",
            None,
            "/part/*: was restricted, is anything",
        ),
        (
            "/$id",
            Some(json!("urn:x:2")),
            "/: $id was \"urn:x:1\", is \"urn:x:2\"",
        ),
    ] {
        let found = after(pointer, to.clone());
        assert!(
            found.iter().any(|found| found.starts_with(told)),
            "{pointer} as {to:?}: {found:#?}"
        );
    }
}
