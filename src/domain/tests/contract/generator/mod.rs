//! What makes the documents of `deploy/contract`: what stands in a record, as types, JSON Schemas and an AsyncAPI document.
//!
//! **Guarantee.** The types say what the domain writes; they don't write it (`src/domain/normalize.rs` copies ICR's own tokens, so that
//! nothing is lost to re-encoding). That both agree is proven by the tests beside this folder: every golden record, and the records of
//! arbitrary payloads, are valid under these schemas and read back into these types unchanged. The bridge itself knows the documents
//! only as files (`src/contract.rs`); a test keeps them current, and `deploy/contract/COMPATIBILITY.md` says what may change.

pub mod asyncapi;
pub mod attributes;
pub mod event;
pub mod examples;
pub mod headers;
pub mod open;
pub mod quarantine;
pub mod reasons;
pub mod schema;
pub mod structured;
