//! What the fuzz targets check: the bridge's parsers against slow, plain statements of the same contract.
//!
//! What is under test are the bridge's own crates `icr-domain` and `icr-journal`, and one module of the application that is compiled
//! from its source, without HTTP and Kafka: so this builds in a minute. Each module in [`targets`] is a target; its `check` takes
//! arbitrary bytes and panics where the bridge does not do what the contract says.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

#[path = "../../../src/http/encoding.rs"]
mod encoding;
mod json;
pub mod targets;

// As the application crate names them.
pub use icr_domain as domain;
pub use icr_journal as journal;
