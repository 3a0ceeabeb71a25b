//! The contract with consumers: its documents are current, true and not empty words, and don't change in a way that breaks anybody.

mod arbitrary;
mod comparer;
mod compatibility;
mod connect;
mod documents;
mod generator;
mod reference;
mod validity;

use crate::support::golden::{Found, cases};
use generator::asyncapi;
use generator::schema::SchemaDocument;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The folder of the contract.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/contract")
}

/// A validator that takes formats seriously.
pub fn validator(schema: &Value) -> Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong with an instance.
pub fn complaints(validator: &Validator, instance: &Value) -> Vec<String> {
    let errors = validator.iter_errors(instance);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// Which schemas describe a record: of headers and of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Binary,
    Structured,
    Quarantine,
}

impl Form {
    pub const ALL: [Self; 3] = [Self::Binary, Self::Structured, Self::Quarantine];

    pub fn of(record: &Found) -> Self {
        match record.header("ce_reason") {
            Some(_) => Self::Quarantine,
            None if record.is_structured() => Self::Structured,
            None => Self::Binary,
        }
    }

    /// The names of its schemas on the command line.
    pub fn schemas(self) -> (&'static str, &'static str) {
        match self {
            Self::Binary => ("event-headers", "event"),
            Self::Structured => ("structured-event-headers", "structured-event"),
            Self::Quarantine => ("quarantine-headers", "quarantine"),
        }
    }

    /// The name of its message in the AsyncAPI document.
    pub fn message(self) -> &'static str {
        match self {
            Self::Binary => "event",
            Self::Structured => "structuredEvent",
            Self::Quarantine => "quarantined",
        }
    }

    /// Validators from the schemas by themselves.
    pub fn validators(self) -> (Validator, Validator) {
        let (headers, value) = self.schemas();
        let named = |name| SchemaDocument::named(name).unwrap().schema();
        (validator(&named(headers)), validator(&named(value)))
    }

    /// Validators from the AsyncAPI document, whose schemas are of JSON Schema's draft 07.
    pub fn asyncapi_validators(self) -> (Validator, Validator) {
        let document = asyncapi::document();
        let message = &document["components"]["messages"][self.message()];
        let of = |part: &str| {
            validator(&json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "allOf": [message[part]],
                "components": document["components"],
            }))
        };
        (of("headers"), of("payload"))
    }
}

/// The headers of a record as the schemas see them.
pub fn headers_of(record: &Found) -> Value {
    let headers = record.headers.iter();
    let headers: Map<String, Value> = headers
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    Value::Object(headers)
}

/// Every golden record: name, form, headers and value.
pub fn golden_records() -> Vec<(String, Form, Value, Value)> {
    let all = cases().into_iter();
    all.map(|case| {
        let record = Found::read(&case.name);
        let value = serde_json::from_str(&record.value)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        (case.name, Form::of(&record), headers_of(&record), value)
    })
    .collect()
}
