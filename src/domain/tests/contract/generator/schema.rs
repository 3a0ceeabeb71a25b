//! JSON Schemas (draft 2020-12) of everything that stands in a record, made from the types beside this file.
//!
//! Descriptions are the types' doc comments; a line `Examples:` in one, with JSON texts in backquotes, becomes the keyword `examples`,
//! behind the known values of an open set.
//! A schema describes what is written, so nothing that the bridge publishes fails it.

use super::event::Event;
use super::headers::{EventHeaders, QuarantineHeaders, StructuredEventHeaders};
use super::open::{KNOWN_PROPERTIES, KNOWN_VALUES};
use super::quarantine::QuarantinedBody;
use super::structured::StructuredEvent;
use icr_domain::cloudevent::{EVENT_SCHEMA, QUARANTINE_SCHEMA};
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// One schema of the contract.
#[derive(Debug, Clone, Copy)]
pub struct SchemaDocument {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its `$id`. That of a record's data is what `ce_dataschema` says.
    pub id: &'static str,
    root: fn(SchemaGenerator) -> Schema,
}

const fn document<T: JsonSchema>(name: &'static str, id: &'static str) -> SchemaDocument {
    SchemaDocument {
        name,
        id,
        root: SchemaGenerator::into_root_schema_for::<T>,
    }
}

/// All schemas, in the order in which a reader wants them.
pub const SCHEMAS: [SchemaDocument; 6] = [
    document::<Event>("event", EVENT_SCHEMA),
    document::<EventHeaders>("event-headers", "urn:icr-bridge:event-headers:1"),
    document::<StructuredEvent>("structured-event", "urn:icr-bridge:structured-event:1"),
    document::<StructuredEventHeaders>(
        "structured-event-headers",
        "urn:icr-bridge:structured-event-headers:1",
    ),
    document::<QuarantinedBody>("quarantine", QUARANTINE_SCHEMA),
    document::<QuarantineHeaders>("quarantine-headers", "urn:icr-bridge:quarantine-headers:1"),
];

impl SchemaDocument {
    /// The schema of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SCHEMAS.iter().find(|schema| schema.name == name)
    }

    /// The schema by itself.
    pub fn schema(&self) -> Value {
        let id = self.id;
        let settings = SchemaSettings::draft2020_12()
            .for_serialize()
            .with_transform(Annotations)
            .with_transform(move |schema: &mut Schema| {
                schema.insert("$id".to_owned(), id.into());
            })
            .with_transform(Order);
        (self.root)(settings.into_generator()).to_value()
    }

    /// Its file's name, in `deploy/contract` and under `/schema/`.
    pub fn file(&self) -> String {
        format!("{}.schema.json", self.name)
    }

    /// Its file's text.
    pub fn text(&self) -> String {
        pretty(&self.schema())
    }
}

/// JSON for people: two spaces, and a newline at the end.
pub fn pretty(value: &Value) -> String {
    // A `Value` has no key that is not a string, which is all that could fail.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// Turns doc comments into descriptions and examples.
#[derive(Debug, Clone)]
pub(super) struct Annotations;

impl Transform for Annotations {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(text) = schema.get("description").and_then(Value::as_str) else {
            return;
        };
        let (mut description, mut examples) = (Vec::new(), Vec::new());
        for paragraph in text.split("\n\n") {
            let line = paragraph.split('\n').collect::<Vec<_>>().join(" ");
            match line.strip_prefix("Examples: ") {
                Some(list) => examples.extend(examples_of(list)),
                None => description.push(line),
            }
        }
        let known = schema.get("examples").and_then(Value::as_array);
        examples.splice(..0, known.cloned().unwrap_or_default());
        schema.insert("description".to_owned(), description.join("\n\n").into());
        if !examples.is_empty() {
            schema.insert("examples".to_owned(), Value::Array(examples));
        }
    }
}

/// The order in which a reader wants a schema's keywords; others come last, as they were.
const ORDER: [&str; 24] = [
    "$schema",
    "$id",
    "title",
    "description",
    "$ref",
    "type",
    "const",
    "enum",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "examples",
    KNOWN_VALUES,
    KNOWN_PROPERTIES,
    "properties",
    "required",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "$defs",
    "definitions",
];

/// Puts keywords in [`ORDER`].
#[derive(Debug, Clone)]
pub(super) struct Order;

impl Transform for Order {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(object) = schema.as_object_mut() {
            let mut keywords: Vec<_> = std::mem::take(object).into_iter().collect();
            let rank = |name: &str| ORDER.iter().position(|known| *known == name);
            keywords.sort_by_key(|(name, _)| rank(name).unwrap_or(ORDER.len()));
            object.extend(keywords);
        }
    }
}

/// The JSON texts in backquotes.
fn examples_of(list: &str) -> impl Iterator<Item = Value> {
    let quoted = list.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| serde_json::from_str(text).ok())
}
