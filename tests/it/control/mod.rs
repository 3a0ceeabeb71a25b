//! The control socket and the commands that use it: against the real binary, with and without a running bridge.

mod address;
mod drain;
mod replay;
mod reverify;
mod socket;

use crate::support::app::SECRET;
use crate::support::eventually::within;
use crate::support::http;
use crate::support::process::{Serving, run};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::mock_kafka::{MockKafka, MockTopic};
use icr_bridge::simulator::{Request, Simulator};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Output};
use std::time::Duration;

/// No broker will ever be there.
const NO_KAFKA: (&str, &str) = ("KAFKA_BROKERS", "127.0.0.1:1");

fn kafka() -> MockKafka {
    MockKafka::start(
        &["icr.webhooks", "icr.webhooks.quarantine"].map(|topic| MockTopic::new(topic, 3)),
    )
    .unwrap()
}

fn simulator() -> Simulator {
    Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 3, 1)
}

/// Posts a delivery that must be accepted; its id.
fn accept(bridge: &Serving, request: &Request) -> String {
    let response = http::post(
        bridge.ingress,
        "/webhook",
        &[("x-icr-signature-256", &request.signature)],
        &request.body,
    );
    assert_eq!(response.status, 202);
    response.json()["id"].as_str().unwrap().to_owned()
}

/// Accepts transactions with these numbers; their ids.
fn accept_transactions(bridge: &Serving, numbers: std::ops::Range<u64>) -> Vec<String> {
    let simulator = simulator();
    numbers
        .map(|number| {
            let request = simulator.delivery(EventKind::OrganizationTransaction, number);
            accept(bridge, &request)
        })
        .collect()
}

/// Runs a command on a journal with nothing else configured.
fn on(journal: &Path, arguments: &[&str]) -> Output {
    run(arguments, &[("JOURNAL_DIR", journal.to_str().unwrap())])
}

/// Its exit code, and all that it said.
fn said(output: &Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

/// Waits for its end; what it says fits into the pipes.
fn finish(mut child: Child) -> Output {
    within(Duration::from_secs(90), "the command ends", || {
        child.try_wait().unwrap()
    });
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output).1))
}
