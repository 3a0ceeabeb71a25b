//! What icr-bridge knows of ICR: pure functions and types.
//!
//! Nothing here reads a clock, a file or a socket; time and bytes are passed in. `tests/it/layering.rs` asserts it. That nothing
//! here knows actix, rdkafka or the journal is said by `Cargo.toml`.
#![warn(missing_docs, clippy::missing_errors_doc)]

pub mod cloudevent;
pub mod decimal;
pub mod delivery;
pub mod duplicate;
pub mod envelope;
pub mod event;
mod fields;
pub mod glance;
pub mod json;
pub mod normalize;
pub mod outcome;
pub mod printable;
pub mod privacy;
pub mod reasons;
pub mod record;
pub mod selection;
pub mod signature;
mod signed_data;
pub mod tag;
pub mod template;
mod time;
