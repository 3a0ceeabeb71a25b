//! What the fuzz targets check: the bridge's parsers against slow, plain statements of the same contract.
//!
//! The modules under test are compiled from the bridge's own source, without HTTP and Kafka: so this builds in a minute, and only
//! what is fuzzed is instrumented. Each module in [`targets`] is a target; its `check` takes arbitrary bytes and panics where the bridge
//! does not do what the contract says.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

// The bridge's tests name the crate that they test.
extern crate self as icr_bridge;

#[path = "../../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../../src/http/encoding.rs"]
mod encoding;
#[path = "../../../src/journal/mod.rs"]
pub mod journal;
#[path = "../../it/support/sim_storage.rs"]
mod sim_storage;

mod json;
pub mod targets;
