//! icr-bridge receives the webhooks of the International Carbon Registry (ICR), proves that ICR sent them, puts them on stable
//! storage, and publishes them to Kafka in one clean, documented form.
//!
//! ```text
//! ICR ──POST──▶ http::webhook ─▶ domain: verify ─▶ journal.append ──fdatasync──▶ 202
//!                    │ rejected: 4xx, counted; plausible ones kept in the rejected ring
//!                    ▼
//!              journal (segments on disk) ──tail──▶ publisher ─▶ domain: normalize ─▶ Kafka topic ─▶ cursor advances
//!                                                                 └ proven but unintelligible ─▶ quarantine topic
//! ```
//!
//! **The promise.** ICR never sends a webhook twice. Hence a 202 means: proven to come from ICR, and on stable storage. From then on the
//! delivery reaches Kafka at least once, through crashes, power cuts, full disks and days without Kafka; or it stands in
//! quarantine, whole, with the reason.
//!
//! **The door stays open.** Whatever is wrong inside, a delivery that can be stored is stored and answered 202. Trouble raises an
//! alarm, it does not refuse.
//!
//! # Where to read
//! A request is one function, [`ingest::Ingest::take`], behind [`http::webhook`]. A publication is [`publisher`]. What ICR sends and
//! what a record looks like is [`domain`], which is pure. The log on disk is [`journal`], which knows nothing but bytes; [`survey`] looks
//! through it for deliveries. What is turned away for its signature alone is kept for a while in [`rejected`], to be judged again.
//! [`secrets`] watches the secret files, [`tls`] certificate and key. [`app`] wires them; [`cli`] holds the commands, which reach a running bridge through [`control`];
//! [`config`] and [`metrics`] are the two tables that operators meet, [`contract`] is what consumers meet. [`simulator`] makes deliveries as
//! ICR does, and [`load`] sends them and tells what became of each. [`http_client`] is what the bridge itself asks
//! others with: tokens for Kafka, so far. [`throttle`] reports many alike events in few log lines.
//!
//! [`domain`] and [`journal`] are crates of their own, so that the compiler keeps them apart from all else. Dependencies point one way:
//! `main → cli → app → http → ingest → {rejected, domain, journal}`, `rejected → {domain, journal}`,
//! `app → publisher → {survey, domain, journal, http_client}`, `{app, http} → tls → secrets → domain`, `{app, cli} → control → {publisher, ingest}`,
//! `cli → survey → {domain, journal}`, `{cli, http} → contract → domain`. `tests/it/layering.rs` asserts what the compiler cannot see of it.

pub mod app;
pub mod cli;
pub mod config;
pub mod contract;
pub mod control;
pub mod descriptors;
pub mod handover;
pub mod http;
pub mod http_client;
pub mod ingest;
pub mod load;
pub mod metrics;
pub mod mock_kafka;
pub mod publisher;
pub mod readiness;
pub mod rejected;
pub mod secrets;
pub mod shutdown;
pub mod simulator;
pub mod supervision;
pub mod survey;
pub mod telemetry;
pub mod throttle;
pub mod tls;
pub mod version;
pub mod work;

pub use icr_domain as domain;
pub use icr_journal as journal;
