//! One delivery: an event, a payload, a captured one; and where the secret comes from.

use super::{code, send, send_json, text, url};
use crate::support::app::{SECRET, TestApp};
use crate::support::deliveries::{fixture, fixtures};
use crate::support::endpoint::{ACCEPTED, Endpoint, Nobody, Reply};
use crate::support::process::{command, run};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use icr_bridge::domain::envelope::Envelope;
use icr_bridge::domain::signature::{SecretSet, Signature, verify};
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;

const FIXTURES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/deliveries.json"
);

fn payload(body: &[u8]) -> Vec<u8> {
    let envelope = Envelope::parse(body).unwrap();
    BASE64_STANDARD.decode(envelope.signed_data()).unwrap()
}

#[test]
fn without_more_an_installed_delivery_goes_and_its_answer_is_shown() {
    let app = TestApp::start(&[]);
    let output = send(&url(&app), &[]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let shown = text(&output);
    let id = shown.trim().strip_prefix("202 accepted ").unwrap();
    assert_eq!(id.len(), 36, "{shown}");
    assert_eq!(
        app.metrics()
            .value("deliveries_accepted_total{app=\"default\",event=\"installed\"}"),
        1.0
    );
}

#[test]
fn any_event_goes_by_its_name() {
    let app = TestApp::start(&[]);
    for event in ["suspended", "warehouseTransaction", "projectValidated"] {
        let output = send(&url(&app), &["--event", event]);
        assert_eq!(code(&output), 0, "{}", text(&output));
    }
    let metrics = app.metrics();
    for label in ["suspended", "warehouseTransaction", "other"] {
        let series = format!("deliveries_accepted_total{{app=\"default\",event=\"{label}\"}}");
        assert_eq!(metrics.value(&series), 1.0, "{label}");
    }
    let misspelt = text(&send(&url(&app), &["--event", "Suspended"]));
    assert!(misspelt.contains("did you mean suspended?"), "{misspelt}");
}

#[test]
fn what_goes_over_the_wire_is_what_icr_documents() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let output = send(&endpoint.url(), &["--event", "organizationTransaction"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let seen = &endpoint.seen()[0];
    assert!(
        seen.head.starts_with("POST /webhook HTTP/1.1\r\n"),
        "{}",
        seen.head
    );
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("host"), Some(&*endpoint.address.to_string()));
    let signature = seen.header("x-icr-signature-256").unwrap();
    assert!(signature.starts_with("sha256="));
    let secrets = SecretSet::single(SECRET.as_bytes()).unwrap();
    let signature = Signature::from_headers([signature.as_bytes()]).unwrap();
    verify(Envelope::parse(&seen.body).unwrap(), signature, &secrets).unwrap();
    let payload: Value = serde_json::from_slice(&payload(&seen.body)).unwrap();
    assert_eq!(payload["event"], "organizationTransaction");
}

#[test]
fn an_answer_that_is_not_as_expected_ends_with_1_and_says_why() {
    let app = TestApp::start(&[]);
    let settings = [("WEBHOOK_SECRET", "another")];
    let output = run(&["send", &url(&app)], &settings);
    assert_eq!(code(&output), 1);
    let shown = text(&output);
    assert!(
        shown.contains("403 signature_wrong: The signature does not match"),
        "{shown}"
    );
    assert!(shown.contains("should be answered 202 accepted"), "{shown}");
    let output = send(&format!("http://{}/nowhere", app.ingress), &[]);
    assert_eq!(code(&output), 1);
    assert!(text(&output).contains("404"), "{}", text(&output));
    let output = send(&Nobody::new().url(), &[]);
    assert_eq!(code(&output), 1);
    assert!(
        text(&output).contains("no answer (refused)"),
        "{}",
        text(&output)
    );
    assert!(
        text(&output).contains("is the bridge running"),
        "{}",
        text(&output)
    );
}

#[test]
fn the_json_of_a_single_delivery_holds_its_answer() {
    let app = TestApp::start(&[]);
    let (ended, report) = send_json(&url(&app), &[]);
    assert_eq!((ended, &report["as_expected"]), (0, &true.into()));
    assert_eq!(report["answer"]["status"], 202);
    assert_eq!(report["answer"]["word"], "accepted");
    assert_eq!(report["answer"]["id"].as_str().unwrap().len(), 36);
    let (ended, report) = send_json(&url(&app), &["--forge", "100%"]);
    assert_eq!((ended, &report["as_expected"]), (0, &true.into()));
    assert_eq!(report["answer"]["word"], "signature_wrong");
    assert!(report["answer"]["detail"].is_string() && report["answer"]["id"].is_null());
}

#[test]
fn what_a_stranger_answers_does_not_steer_the_terminal() {
    let endpoint = Endpoint::start(|_| {
        Reply::Bytes("HTTP/1.1 500 Oh\r\ncontent-length: 12\r\n\r\n\u{1b}[2J\u{1b}]0;x\u{7}ab")
    });
    let output = send(&endpoint.url(), &[]);
    assert_eq!(code(&output), 1);
    assert!(text(&output).starts_with("500 "), "{:?}", text(&output));
    let steers = |c: char| c.is_control() && c != '\n';
    assert!(!text(&output).contains(steers), "{:?}", text(&output));
}

#[test]
fn the_secret_comes_from_a_file_a_named_variable_or_the_bridges_own_settings() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let current = file("current", &format!("{SECRET}\nolder\n"));
    let sandbox = file("sandbox", "secret of the sandbox\n");
    let apps = format!("sandbox={sandbox}");
    let app = TestApp::start(&[
        ("WEBHOOK_SECRET", SECRET),
        ("APP_SECRET_FILES", &apps),
        ("KAFKA_TOPIC", "icr.{app}"),
    ]);
    let main = url(&app);
    let further = format!("{main}/sandbox");
    let accepted = |arguments: &[&str], settings: &[(&str, &str)]| {
        let output = run(arguments, settings);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output));
    };
    accepted(&["send", &main, "--secret-file", &current], &[]);
    accepted(&["send", &main], &[("WEBHOOK_SECRET", SECRET)]);
    accepted(&["send", &main], &[("WEBHOOK_SECRET_FILE", &current)]);
    accepted(&["send", &further], &[("APP_SECRET_FILES", &apps)]);
    accepted(&["send", &further, "--secret-file", &sandbox], &[]);
    let mut by_name = command(&["send", &main, "--secret-env", "MY_SECRET"], &[]);
    let output = by_name.env("MY_SECRET", SECRET).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    // What is given on the command line goes before the settings.
    let wrong = [("WEBHOOK_SECRET", "wrong")];
    accepted(&["send", &main, "--secret-file", &current], &wrong);
    let metrics = app.metrics();
    let accepted = |app: &str| {
        metrics.value(&format!(
            "deliveries_accepted_total{{app=\"{app}\",event=\"installed\"}}"
        ))
    };
    assert_eq!((accepted("default"), accepted("sandbox")), (5.0, 2.0));
}

#[test]
fn a_payload_is_signed_as_it_stands() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("payload.json");
    let json = r#"{"event": "x",  "amount":1.50, "z":1, "a":"\ud800"}"#;
    std::fs::write(&path, format!("\n{json}\n")).unwrap();
    let output = send(&endpoint.url(), &["--payload", path.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let arguments = ["send", &endpoint.url(), "--payload", "-"];
    let mut child = command(&arguments, super::SIGNED)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(json.as_bytes())
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let seen = endpoint.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|seen| payload(&seen.body) == json.as_bytes())
    );
}

#[test]
fn a_payload_as_load_differs_in_its_state_alone() {
    let app = TestApp::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("payload.json");
    let body = fixture("warehouseTransaction_failed_retire").posted.body;
    std::fs::write(&path, payload(body.as_bytes())).unwrap();
    let path = path.to_str().unwrap();
    let (ended, report) = send_json(&url(&app), &["--payload", path, "--count", "20"]);
    assert_eq!(
        (ended, &report["words"]["accepted"]),
        (0, &20.into()),
        "{report}"
    );
    // As it stands it is one more, and then a known one: both are answered 202.
    for word in ["accepted", "duplicate"] {
        let (ended, report) = send_json(&url(&app), &["--payload", path]);
        assert_eq!(
            (ended, &report["answer"]["word"]),
            (0, &word.into()),
            "{report}"
        );
    }
}

#[test]
fn captured_deliveries_go_as_they_are() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let names = ["--name", "suspended", "--name", "hex_uppercase"];
    let output = send_without_secret(&endpoint.url(), &names);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let seen = endpoint.seen();
    for (seen, name) in seen.iter().zip(["suspended", "hex_uppercase"]) {
        let posted = fixture(name).posted;
        assert_eq!(seen.body, posted.body.as_bytes(), "{name}");
        assert_eq!(
            seen.header("x-icr-signature-256"),
            posted.signature.as_deref(),
            "{name}"
        );
        assert!(text(&output).contains(name));
    }
    assert_eq!(seen.len(), 2);
}

fn send_without_secret(url: &str, arguments: &[&str]) -> std::process::Output {
    let all: Vec<_> = ["send", url, "--fixture", FIXTURES]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    run(&all, &[])
}

#[test]
fn every_captured_delivery_meets_its_fate_once_it_is_signed_anew() {
    let app = TestApp::start(&[("WEBHOOK_SECRET", "a secret of our own")]);
    let arguments = ["send", &url(&app), "--json", "--fixture", FIXTURES];
    let as_they_are = run(&arguments, &[]);
    assert_eq!(code(&as_they_are), 1, "this bridge has another secret");
    let anew: Vec<_> = arguments.iter().chain(&["--re-sign"]).copied().collect();
    let output = run(&anew, &[("WEBHOOK_SECRET", "a secret of our own")]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rejected = fixtures()
        .iter()
        .filter(|fixture| fixture.expect == "rejected")
        .count();
    assert_eq!(report["kinds"]["captured_wrong"]["as_expected"], rejected);
    assert_eq!(report["statuses"]["202"], fixtures().len() - rejected);
}
