//! Tells a change that breaks consumers from one that doesn't.
//!
//! Records of both vintages stand in a topic side by side, and consumers are built on either schema. Hence what one schema says of a
//! record the other must say as well, in both directions; what is left free may change. Whatever is not known to be harmless
//! counts as breaking: a person then decides.
//!
//! Harmless: annotations, another order, a field that need not be there in an object that is open, and one more known value of an open
//! set.

mod tests;

use super::generator::open::{KNOWN_PROPERTIES, KNOWN_VALUES};
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
    comparison.compare("", old, new);
    comparison.found
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    /// References that have been followed together: schemas may contain themselves.
    compared: BTreeSet<(String, String)>,
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

    fn compare(&mut self, path: &str, old: &Value, new: &Value) {
        let (old_root, new_root) = (self.old, self.new);
        let (old, new) = (resolve(old_root, old), resolve(new_root, new));
        if let (Some(old), Some(new)) = (old.references.last(), new.references.last())
            && !self.compared.insert(((*old).to_owned(), (*new).to_owned()))
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
        self.types(path, &old, &new);
        self.values(path, &old, &new);
        self.known_values(path, &old, &new);
        self.alternatives(path, &old, &new);
        let is_object = ["properties", "additionalProperties"];
        if is_object
            .iter()
            .any(|keyword| old.contains_key(*keyword) || new.contains_key(*keyword))
        {
            self.objects(path, &old, &new);
        }
        let handled = [
            "type",
            "const",
            "enum",
            "oneOf",
            "anyOf",
            KNOWN_VALUES,
            KNOWN_PROPERTIES,
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

    fn types(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
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
        for gained in new.difference(&old) {
            self.tell(path, format!("is of type {gained} as well"));
        }
    }

    fn values(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let (Some(old), Some(new)) = (values(old), values(new)) else {
            if values(old) != values(new) {
                self.tell(path, "is no longer a list of values, or has become one");
            }
            return;
        };
        for lost in old.difference(&new) {
            self.tell(path, format!("is no longer {lost}"));
        }
        for gained in new.difference(&old) {
            self.tell(path, format!("may be {gained} as well"));
        }
    }

    /// More may become known; what is known remains so.
    fn known_values(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let known = |schema: &Map<String, Value>| -> Vec<String> {
            let known = [KNOWN_VALUES, KNOWN_PROPERTIES].map(|keyword| schema.get(keyword));
            let known = known.into_iter().flatten().filter_map(Value::as_object);
            known.flat_map(Map::keys).cloned().collect()
        };
        let (old, new) = (known(old), known(new));
        for lost in old.iter().filter(|value| !new.contains(value)) {
            self.tell(path, format!("no longer knows {lost:?}"));
        }
    }

    fn alternatives(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let list = |schema: &Map<String, Value>| -> Vec<Value> {
            let list = schema.get("anyOf").and_then(Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let (old, new) = (list(old), list(new));
        if old.len() != new.len() {
            return self.tell(path, "has more or fewer alternatives than it had");
        }
        for (old, new) in old.iter().zip(&new) {
            self.compare(path, old, new);
        }
    }

    fn objects(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
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
                Some(new) => self.compare(&path, schema, new),
                None => self.tell(&path, "is gone"),
            }
        }
        for (name, schema) in &new_properties {
            let anything_could_stand_there = resolve(self.old, &old_further).keywords.is_empty();
            if !old_properties.contains_key(name) && !anything_could_stand_there {
                // Those of before were allowed to have it, in the form of any further field.
                self.compare(&format!("{path}/{name}"), &old_further, schema);
            }
        }
        self.compare(&format!("{path}/*"), &old_further, &new_further);
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
