//! The golden records that the AsyncAPI document shows.

use serde_json::{Map, Value, json};

/// A golden record of `deploy/contract/golden`.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// Its file's name without `.json`.
    pub name: &'static str,
    /// What it shows.
    pub shows: &'static str,
    text: &'static str,
}

macro_rules! golden {
    ($($name:literal: $shows:literal),+ $(,)?) => {
        [$(Example {
            name: $name,
            shows: $shows,
            text: include_str!(concat!("../../../../../deploy/contract/golden/", $name, ".json")),
        },)+]
    };
}

/// Event records in binary mode.
pub const EVENTS: [Example; 10] = golden![
    "matrix_installed": "The app was installed.",
    "matrix_warehouseTransaction_pending_queue_transfer": "A transaction waits in the queue.",
    "matrix_organizationTransaction_processed_retire": "Credits were retired.",
    "uninstalled_real_world_variant": "Of the shape of a real delivery: further fields, empty strings, odd URLs.",
    "event_unknown": "An event that is not known yet.",
    "status_type_permission_unknown": "A status, a type and a permission that are not known yet.",
    "amount_tiny": "The smallest amount.",
    "texts_from_numbers_and_booleans": "ICR sent numbers and booleans where strings belong.",
    "texts_that_do_not_fit": "ICR sent objects and arrays where strings belong.",
    "doc_example_installed.replay": "Published again because an operator asked for it, by an instance with a name.",
];

/// Event records in structured mode.
pub const STRUCTURED_EVENTS: [Example; 3] = golden![
    "matrix_warehouseTransaction_processed_transfer.structured": "A transaction was processed.",
    "event_unknown_without_organization.structured": "An event that is not known yet and belongs to no organization.",
    "doc_example_installed.structured_signature_headers": "With ICR's signature.",
];

/// Quarantine records.
pub const QUARANTINED: [Example; 3] = golden![
    "base64_not_json": "What was signed is no JSON.",
    "amount_out_of_range": "An amount of more than 100 characters.",
    "record_too_large": "The broker did not take its event record.",
];

impl Example {
    /// The record as an example of an AsyncAPI message, which has no place for key and timestamp.
    pub fn message(&self) -> Value {
        let record: Value = serde_json::from_str(self.text).unwrap_or_default();
        let headers = record.get("headers").and_then(Value::as_array);
        let headers: Map<String, Value> = headers
            .into_iter()
            .flatten()
            .filter_map(|header| {
                Some((header.get(0)?.as_str()?.to_owned(), header.get(1)?.clone()))
            })
            .collect();
        let value = record.get("value").and_then(Value::as_str);
        let payload: Value = value
            .and_then(|value| serde_json::from_str(value).ok())
            .unwrap_or_default();
        json!({"name": self.name, "summary": self.shows, "headers": headers, "payload": payload})
    }
}
