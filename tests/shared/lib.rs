//! What the tests of more than one crate use: a disk that fails as told, small journals on it, signed deliveries, golden records.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

pub mod deliveries;
pub mod eventually;
pub mod golden;
pub mod harness;
pub mod sim_storage;
