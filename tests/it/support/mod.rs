//! What the tests share.
#![allow(dead_code)]

pub mod deliveries;
pub mod golden;
pub mod sim_storage;
