//! HTTP: the ingress listener that takes deliveries, and the admin listener.
//!
//! The order of checks is the contract's: path, method, size, encoding, JSON, `signedData`, signature, storage. Only [`problem`]
//! knows status codes. A request's body is read before any answer, so that a connection stays usable after an error.

pub mod admin;
pub mod body;
mod connection;
pub mod connections;
mod encoding;
mod framing;
pub mod guard;
mod meter;
pub mod problem;
pub mod server;
mod socket;
pub mod stream;
pub mod webhook;
mod wire;
