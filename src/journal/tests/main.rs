//! The journal, driven through its public interface over a filesystem that can fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod corruption;
mod failing_disk;
mod foreign;
mod held;
mod little_room;
mod memo;
mod model;
mod names;
mod ordinary;
mod repair;
mod retention;
mod speed;

use icr_tests_shared as support;
use icr_tests_shared::harness;
