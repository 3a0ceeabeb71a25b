//! What the tests share.
#![allow(dead_code)]

pub mod app;
pub mod deliveries;
pub mod door;
pub mod endpoint;
pub mod eventually;
pub mod gated_disk;
pub mod golden;
pub mod http;
pub mod journal;
pub mod kafka;
pub mod metrics;
pub mod process;
pub mod promtool;
pub mod service_manager;
pub mod sim_storage;
