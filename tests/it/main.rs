//! The integration tests: one crate that drives the real thing from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod domain;
mod journal;
mod layering;
mod publisher;
mod support;
