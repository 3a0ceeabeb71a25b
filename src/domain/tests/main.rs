//! The pure core from outside: fixtures, golden records, and properties that hold for any input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod contract;
mod decimals;
mod encodings;
mod fixtures;
mod golden;
mod normalization;
mod robustness;
mod tree;
mod window;

use icr_tests_shared as support;
