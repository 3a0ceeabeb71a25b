//! Tells a change that breaks consumers from one that doesn't.
//!
//! Records of both vintages stand in a topic side by side, and consumers are built on either schema. Hence what one schema says of a
//! record the other must say as well, in both directions; what is left free may change. Whatever is not known to be harmless
//! counts as breaking: a person then decides.
//!
//! Harmless: annotations, another order, a field that need not be there in an object that is open, and one more documented value or
//! type in an open set (an `anyOf` whose last member takes whatever the others do).

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Keywords that say nothing about what is valid.
const ANNOTATIONS: [&str; 10] = [
    "$schema",
    "$id",
    "$defs",
    "$comment",
    "title",
    "description",
    "examples",
    "default",
    "deprecated",
    "readOnly",
];

/// Every change from `old` to `new` that breaks consumers, with the place where it stands; empty if there is none.
pub fn breaking_changes(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison {
        old,
        new,
        compared: BTreeSet::new(),
        found: Vec::new(),
    };
    if old.get("$id") != new.get("$id") {
        comparison.tell("", format!("$id was {}, is {}", old["$id"], new["$id"]));
    }
    comparison.compare("", old, new, Set::Closed);
    comparison.found
}

/// Whether what is compared is all that is allowed, or what is documented of a set that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Set {
    Closed,
    Open,
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    /// References that have been followed together: schemas may contain themselves.
    compared: BTreeSet<(String, String, Set)>,
    found: Vec<String>,
}

/// A schema without references, and the references that led to it.
struct Resolved<'a> {
    keywords: Map<String, Value>,
    references: Vec<&'a str>,
}

/// Follows references; keywords beside one count as well.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> Resolved<'a> {
    let mut resolved = Resolved {
        keywords: Map::new(),
        references: Vec::new(),
    };
    let mut schema = schema;
    loop {
        match schema {
            Value::Bool(true) => {}
            Value::Bool(false) => {
                resolved.keywords.insert("not".to_owned(), json!({}));
            }
            other => {
                let object = other
                    .as_object()
                    .expect("a schema is an object or a boolean");
                for (keyword, value) in object {
                    if keyword != "$ref" && !ANNOTATIONS.contains(&keyword.as_str()) {
                        let before = resolved.keywords.insert(keyword.clone(), value.clone());
                        assert!(before.is_none(), "{keyword} on both sides of a reference");
                    }
                }
            }
        }
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            return resolved;
        };
        resolved.references.push(reference);
        assert!(resolved.references.len() < 20, "references in a circle");
        let pointer = reference
            .strip_prefix('#')
            .expect("references within the document");
        schema = root
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{reference} leads nowhere"));
    }
}

impl Comparison<'_> {
    fn tell(&mut self, path: &str, what: impl Into<String>) {
        let place = if path.is_empty() { "/" } else { path };
        self.found.push(format!("{place}: {}", what.into()));
    }

    fn compare(&mut self, path: &str, old: &Value, new: &Value, set: Set) {
        let (old_root, new_root) = (self.old, self.new);
        let (old, new) = (resolve(old_root, old), resolve(new_root, new));
        if let (Some(old), Some(new)) = (old.references.last(), new.references.last())
            && !self
                .compared
                .insert(((*old).to_owned(), (*new).to_owned(), set))
        {
            return;
        }
        let (old, new) = (old.keywords, new.keywords);
        match (old.is_empty(), new.is_empty()) {
            (true, true) => return,
            (true, false) => return self.tell(path, "was anything, is restricted"),
            (false, true) => return self.tell(path, "was restricted, is anything"),
            (false, false) => {}
        }
        self.types(path, &old, &new, set);
        self.values(path, &old, &new, set);
        self.alternatives(path, &old, &new, set);
        if old.contains_key("properties") || new.contains_key("properties") {
            self.objects(path, &old, &new, set);
        }
        let handled = [
            "type",
            "const",
            "enum",
            "oneOf",
            "anyOf",
            "properties",
            "required",
            "additionalProperties",
        ];
        let keywords: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for keyword in keywords {
            let (old, new) = (old.get(keyword).map(plain), new.get(keyword).map(plain));
            if !handled.contains(&keyword.as_str()) && old != new {
                let text =
                    |value: Option<Value>| value.map_or("absent".to_owned(), |it| it.to_string());
                self.tell(
                    path,
                    format!("{keyword} was {}, is {}", text(old), text(new)),
                );
            }
        }
    }

    fn types(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>, set: Set) {
        let types = |schema: &Map<String, Value>| -> BTreeSet<String> {
            match schema.get("type") {
                None => BTreeSet::new(),
                Some(Value::Array(types)) => types.iter().map(ToString::to_string).collect(),
                Some(one) => BTreeSet::from([one.to_string()]),
            }
        };
        let (old, new) = (types(old), types(new));
        for lost in old.difference(&new) {
            self.tell(path, format!("is no longer of type {lost}"));
        }
        if set == Set::Closed || old.is_empty() {
            for gained in new.difference(&old) {
                self.tell(path, format!("is of type {gained} as well"));
            }
        }
    }

    fn values(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>, set: Set) {
        let (Some(old), Some(new)) = (values(old), values(new)) else {
            if values(old) != values(new) {
                self.tell(path, "is no longer a list of values, or has become one");
            }
            return;
        };
        for lost in old.difference(&new) {
            self.tell(path, format!("is no longer {lost}"));
        }
        if set == Set::Closed {
            for gained in new.difference(&old) {
                self.tell(path, format!("may be {gained} as well"));
            }
        }
    }

    fn alternatives(
        &mut self,
        path: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        set: Set,
    ) {
        let list = |schema: &Map<String, Value>| -> Vec<Value> {
            let list = schema.get("anyOf").and_then(Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let (old_list, new_list) = (list(old), list(new));
        if old_list.len() != new_list.len() {
            return self.tell(path, "has more or fewer alternatives than it had");
        }
        let (was_open, is_open) = (is_open(self.old, &old_list), is_open(self.new, &new_list));
        if was_open != is_open {
            let what = if is_open {
                "was closed, is open"
            } else {
                "was open, is closed"
            };
            return self.tell(path, what);
        }
        let last = old_list.len().saturating_sub(1);
        for (index, (old, new)) in old_list.iter().zip(&new_list).enumerate() {
            // The last member of an open set says what is allowed; the others say what is documented.
            let set = match (was_open, index == last) {
                (true, false) => Set::Open,
                (true, true) => Set::Closed,
                (false, _) => set,
            };
            self.compare(path, old, new, set);
        }
    }

    fn objects(
        &mut self,
        path: &str,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        set: Set,
    ) {
        let empty = Map::new();
        let properties = |schema: &Map<String, Value>| {
            let found = schema.get("properties").and_then(Value::as_object);
            found.cloned().unwrap_or_else(|| empty.clone())
        };
        let required = |schema: &Map<String, Value>| -> BTreeSet<String> {
            let names = schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            names.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let further = |schema: &Map<String, Value>| {
            schema
                .get("additionalProperties")
                .cloned()
                .unwrap_or(json!(true))
        };
        let (old_required, new_required) = (required(old), required(new));
        for name in old_required.difference(&new_required) {
            self.tell(&format!("{path}/{name}"), "need no longer be there");
        }
        for name in new_required.difference(&old_required) {
            self.tell(&format!("{path}/{name}"), "must be there, and had not to");
        }
        let (old_properties, new_properties) = (properties(old), properties(new));
        let (old_further, new_further) = (further(old), further(new));
        for (name, schema) in &old_properties {
            let path = format!("{path}/{name}");
            match new_properties.get(name) {
                Some(new) => self.compare(&path, schema, new, set),
                None => self.tell(&path, "is gone"),
            }
        }
        for (name, schema) in &new_properties {
            let anything_could_stand_there = resolve(self.old, &old_further).keywords.is_empty();
            if !old_properties.contains_key(name) && !anything_could_stand_there {
                // Those of before were allowed to have it, in the form of any further field.
                self.compare(&format!("{path}/{name}"), &old_further, schema, set);
            }
        }
        self.compare(&format!("{path}/*"), &old_further, &new_further, set);
    }
}

/// The values of `const`, `enum`, or a `oneOf` of nothing but constants.
fn values(schema: &Map<String, Value>) -> Option<BTreeSet<String>> {
    let text = |value: &Value| value.to_string();
    if let Some(one) = schema.get("const") {
        return Some(BTreeSet::from([text(one)]));
    }
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(list.iter().map(text).collect());
    }
    let constants = schema.get("oneOf")?.as_array()?.iter();
    Some(
        constants
            .map(|one| text(one.get("const").expect("oneOf is used for constants alone")))
            .collect(),
    )
}

/// Whether the last member takes whatever the others do: it takes anything, or each of their values.
fn is_open(root: &Value, alternatives: &[Value]) -> bool {
    let Some((last, others)) = alternatives.split_last() else {
        return false;
    };
    if resolve(root, last).keywords.is_empty() {
        return true;
    }
    let validator = super::validator(&Value::Object(resolve(root, last).keywords));
    others.iter().all(|one| {
        values(&resolve(root, one).keywords).is_some_and(|values| {
            let mut values = values
                .iter()
                .map(|text| serde_json::from_str(text).unwrap());
            values.all(|value: Value| validator.is_valid(&value))
        })
    })
}

/// A keyword's value without annotations, at any level.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .filter(|(keyword, _)| !ANNOTATIONS.contains(&keyword.as_str()))
            .map(|(keyword, value)| (keyword.clone(), plain(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

mod tests {
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
                "status": {"anyOf": [
                    {"anyOf": [
                        {"oneOf": [{"const": "open"}, {"const": "done"}]},
                        {"type": "null"},
                    ]},
                    {"$ref": "#/$defs/Anything"},
                ]},
                "event": {"anyOf": [
                    {"oneOf": [{"const": "a"}, {"const": "b"}]},
                    {"type": "string", "pattern": "^[a-z]+$"},
                ]},
                "name": {"anyOf": [{"type": ["string", "null"]}, {}]},
                "part": {"$ref": "#/$defs/Part"},
            },
            "required": ["id", "amount", "part"],
            "additionalProperties": true,
            "allOf": [{"if": {"properties": {"event": {"const": "a"}}}, "then": {"required": ["note"]}}],
            "$defs": {
                "Anything": {"description": "anything"},
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
            ("/$defs/Anything/description", Some(json!("whatever"))),
            ("/$defs/Further", Some(json!({"type": "string"}))),
            (
                "/properties/status/anyOf/0/anyOf/0/oneOf/-",
                Some(json!({"const": "paused"})),
            ),
            (
                "/properties/event/anyOf/0/oneOf/-",
                Some(json!({"const": "c"})),
            ),
            (
                "/properties/name/anyOf/0/type",
                Some(json!(["string", "null", "object"])),
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
                "/properties/status/anyOf/0/anyOf/0/oneOf/1",
                None,
                "/status: is no longer \"done\"",
            ),
            (
                "/properties/status/anyOf/0/anyOf/1/type",
                Some(json!("number")),
                "/status: is no longer of type \"null\"",
            ),
            (
                "/properties/status/anyOf/1",
                None,
                "/status: has more or fewer alternatives than it had",
            ),
            (
                "/properties/status/anyOf/1",
                Some(json!({"type": "string"})),
                "/status: was open, is closed",
            ),
            (
                "/properties/event/anyOf/0/oneOf/0",
                None,
                "/event: is no longer \"a\"",
            ),
            (
                "/properties/event/anyOf/1/pattern",
                Some(json!("^[a-z]{1,9}$")),
                "/event: pattern was \"^[a-z]+$\", is \"^[a-z]{1,9}$\"",
            ),
            (
                "/properties/event/anyOf/0/oneOf/-",
                Some(json!({"const": "Not lower case"})),
                "/event: was open, is closed",
            ),
            (
                "/properties/name/anyOf/0/type",
                Some(json!("string")),
                "/name: is no longer of type \"null\"",
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
}
