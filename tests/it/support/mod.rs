//! What the tests share.
#![allow(dead_code, unused_imports)]

pub mod app;
pub mod door;
pub mod endpoint;
pub mod gated_disk;
pub mod hollow;
pub mod http;
pub mod journal;
pub mod kafka;
pub mod metrics;
pub mod process;
pub mod promtool;
pub mod service_manager;
pub mod token_endpoint;

#[allow(unused_imports, reason = "each test takes what it needs")]
pub use icr_tests_shared::{deliveries, eventually, golden, harness, sim_storage};
