//! The integration tests: one crate that drives the real thing from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod apps;
mod commands;
mod config;
mod contract;
mod control;
mod deploy;
mod docs;
mod duplicates;
mod handover;
mod http;
mod layering;
mod licences;
mod lifecycle;
mod load;
mod metrics;
mod promtool;
mod publisher;
mod real_kafka;
mod rejected;
mod secrets;
mod signature_headers;
mod support;
mod survey;
mod tls;
mod trouble;
mod upgrade;
