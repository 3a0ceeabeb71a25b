//! The contract with consumers: what stands in a record, as types, JSON Schemas and an AsyncAPI document.
//!
//! **Guarantee.** The types say what the domain writes; they don't write it (`src/domain/normalize.rs` copies ICR's own tokens, so that
//! nothing is lost to re-encoding). That both agree is proven by tests: every golden record, and the records of arbitrary payloads, are
//! valid under these schemas and read back into these types unchanged. `deploy/contract` holds the documents as files, and a test
//! keeps them current; `deploy/contract/COMPATIBILITY.md` says what may change.
//!
//! Like the domain, this knows no HTTP, no Kafka client and no clock.

pub mod asyncapi;
pub mod attributes;
pub mod event;
pub mod examples;
pub mod headers;
pub mod open;
pub mod quarantine;
pub mod schema;
pub mod structured;
