//! `send` as a shell sees it: what goes over the wire, what is printed, how it ends.

mod load;
mod single;
mod terminal;
mod tls;
mod usage;

use super::{code, text};
use crate::support::app::{SECRET, TestApp};
use crate::support::process::run;
use serde_json::Value;
use std::process::Output;

/// The settings with which `send` finds the tests' secret.
const SIGNED: &[(&str, &str)] = &[("WEBHOOK_SECRET", SECRET)];

fn url(app: &TestApp) -> String {
    format!("http://{}/webhook", app.ingress)
}

/// Runs `send` to an endpoint with the tests' secret.
fn send(url: &str, arguments: &[&str]) -> Output {
    let all: Vec<_> = ["send", url].iter().chain(arguments).copied().collect();
    run(&all, SIGNED)
}

/// The same with `--json`: the exit code and the object.
fn send_json(url: &str, arguments: &[&str]) -> (i32, Value) {
    let all: Vec<_> = ["--json"].iter().chain(arguments).copied().collect();
    let output = send(url, &all);
    assert!(output.stderr.is_empty(), "{}", text(&output));
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output)));
    (code(&output), report)
}
