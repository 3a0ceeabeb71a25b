//! The contract with consumers: its documents, as `deploy/contract` holds them.
//!
//! **Guarantee.** What the command `schema` prints and the admin listener serves is the committed text, byte for byte. Nothing is
//! made while the bridge runs: `src/domain/tests/contract` makes the documents from types, and its tests compare them with these
//! files and with what the domain writes. `deploy/contract/COMPATIBILITY.md` says what may change.

use crate::domain::cloudevent::{EVENT_SCHEMA, QUARANTINE_SCHEMA};

/// A JSON Schema (draft 2020-12) of something that a record is made of.
#[derive(Debug, Clone, Copy)]
pub struct SchemaDocument {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its `$id`. That of a record's data is what `ce_dataschema` says.
    pub id: &'static str,
    /// What it describes.
    pub about: &'static str,
    /// Its file's name, in `deploy/contract` and under `/schema/`.
    pub file: &'static str,
    /// Its file's text: JSON with an indent of two spaces, and a newline at the end.
    pub text: &'static str,
}

macro_rules! schemas {
    ($($name:literal, $id:expr, $about:literal;)+) => {
        /// All schemas, in the order in which a reader wants them.
        pub const SCHEMAS: &[SchemaDocument] = &[$(SchemaDocument {
            name: $name,
            id: $id,
            about: $about,
            file: concat!($name, ".schema.json"),
            text: include_str!(concat!("../deploy/contract/", $name, ".schema.json")),
        },)+];
    };
}

schemas! {
    "event", EVENT_SCHEMA, "value of an event record";
    "event-headers", "urn:icr-bridge:event-headers:1", "headers of an event record";
    "structured-event", "urn:icr-bridge:structured-event:1", "value of an event record in structured mode";
    "structured-event-headers", "urn:icr-bridge:structured-event-headers:1", "headers of an event record in structured mode";
    "quarantine", QUARANTINE_SCHEMA, "value of a quarantine record";
    "quarantine-headers", "urn:icr-bridge:quarantine-headers:1", "headers of a quarantine record";
}

/// The name of the AsyncAPI document's file, in `deploy/contract` and under `/schema/`.
pub const ASYNCAPI_FILE: &str = "asyncapi.yaml";

/// The AsyncAPI document: topics, keys, headers, values, guarantees, and golden records as examples.
pub const ASYNCAPI: &str = include_str!("../deploy/contract/asyncapi.yaml");

impl SchemaDocument {
    pub fn named(name: &str) -> Option<&'static Self> {
        SCHEMAS.iter().find(|schema| schema.name == name)
    }
}

/// All schemas in one document, indented as they are. As a schema, it is that of an event record's value.
pub fn bundle() -> String {
    let schemas: Vec<String> = SCHEMAS
        .iter()
        .map(|schema| {
            // In JSON a newline stands between tokens only, so an indent changes no text.
            let text = schema.text.trim_end().replace('\n', "\n    ");
            format!("    \"{}\": {text}", schema.name)
        })
        .collect();
    format!(
        r#"{{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "urn:icr-bridge:contract:1",
  "title": "All schemas of icr-bridge's records",
  "$ref": "{EVENT_SCHEMA}",
  "$defs": {{
{}
  }}
}}
"#,
        schemas.join(",\n")
    )
}
