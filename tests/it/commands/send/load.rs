//! Load: schedules, distinctness, expectations, and that every delivery is counted.

use super::{SIGNED, code, send, send_json, text, url};
use crate::support::app::TestApp;
use crate::support::endpoint::{ACCEPTED, ACCEPTED_AND_CLOSED, Endpoint, Nobody, Reply};
use crate::support::eventually::eventually;
use crate::support::process::command;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

const REFUSED: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: 88\r\n\r\n{\"type\":\"urn:icr-bridge:problem:disk_full\",\"status\":503,\"detail\":\"Send it again later.\"}";

/// Starts `send` and leaves it running.
fn started(url: &str, arguments: &[&str]) -> Child {
    let all: Vec<_> = ["send", url].iter().chain(arguments).copied().collect();
    command(&all, SIGNED)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn interrupt(child: &Child) {
    // SAFETY: a signal to a child that has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

#[test]
fn every_delivery_of_two_runs_is_distinct() {
    let app = TestApp::start(&[]);
    for _ in 0..2 {
        let (ended, report) = send_json(&url(&app), &["--count", "210", "--concurrency", "8"]);
        assert_eq!(ended, 0, "{report}");
        assert_eq!(report["words"]["accepted"], 210);
        assert_eq!(
            (&report["deliveries"], &report["unanswered"]),
            (&210.into(), &0.into())
        );
    }
    let metrics = app.metrics();
    assert_eq!(metrics.sum("deliveries_duplicate_total"), 0.0);
    // Seven events take turns.
    for event in [
        "installed",
        "newPermissionsAccepted",
        "organizationTransaction",
    ] {
        let series = format!("deliveries_accepted_total{{app=\"default\",event=\"{event}\"}}");
        assert_eq!(metrics.value(&series), 60.0, "{event}");
    }
    assert_eq!(app.stop().accepted, 420);
}

#[test]
fn shares_are_forged_repeated_and_garbled_and_met_as_they_should_be() {
    let app = TestApp::start(&[]);
    let trouble = ["--forge", "5%", "--repeat", "4%", "--garble", "2%"];
    let load = [
        ["--count", "400", "--concurrency", "4"].as_slice(),
        &trouble,
    ]
    .concat();
    let (ended, report) = send_json(&url(&app), &load);
    assert_eq!(ended, 0, "{report}");
    let sent = |kind: &str| {
        (
            report["kinds"][kind]["sent"].clone(),
            report["kinds"][kind]["as_expected"].clone(),
        )
    };
    for (kind, count) in [
        ("genuine", 356),
        ("forged", 20),
        ("repeated", 16),
        ("garbled", 8),
    ] {
        assert_eq!(sent(kind), (count.into(), count.into()), "{kind}: {report}");
    }
    assert_eq!(
        (&report["alarms"], &report["unexpected"]),
        (&0.into(), &0.into())
    );
    let metrics = app.metrics();
    let rejected = |reason: &str| {
        metrics.value(&format!(
            "deliveries_rejected_total{{app=\"default\",reason=\"{reason}\"}}"
        ))
    };
    assert_eq!(rejected("signature_wrong"), 24.0, "20 forged and 4 altered");
    assert_eq!(rejected("body_not_json"), 4.0, "4 broken off");
    assert_eq!(
        metrics.value("deliveries_duplicate_total{app=\"default\"}"),
        16.0
    );
    assert_eq!(metrics.sum("deliveries_accepted_total"), 356.0);
    assert_eq!(app.stop().accepted, 356);
}

#[test]
fn an_endpoint_that_takes_forgeries_raises_the_alarm() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let load = ["--count", "100", "--forge", "3%", "--garble", "2%"];
    let output = send(&endpoint.url(), &load);
    assert_eq!(code(&output), 1);
    let shown = text(&output);
    assert!(
        shown.contains("ALARM: 5 that should have been turned away were taken"),
        "{shown}"
    );
    let (ended, report) = send_json(&endpoint.url(), &load);
    assert_eq!(
        (ended, &report["alarms"], &report["as_expected"]),
        (1, &5.into(), &false.into())
    );
    let output = send(&endpoint.url(), &["--forge", "100%"]);
    assert_eq!(code(&output), 1);
    assert!(text(&output).contains("ALARM"), "{}", text(&output));
}

#[test]
fn an_endpoint_that_knows_no_repeats_is_noticed() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let load = [
        "--event",
        "warehouseTransaction",
        "--count",
        "50",
        "--repeat",
        "10%",
        "--concurrency",
        "1",
    ];
    let (ended, report) = send_json(&endpoint.url(), &load);
    assert_eq!(
        (ended, &report["unexpected"], &report["alarms"]),
        (1, &5.into(), &0.into())
    );
    assert_eq!(report["kinds"]["repeated"]["as_expected"], 0);
    let bodies: BTreeSet<_> = endpoint.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(
        bodies.len(),
        45,
        "repeats are the same bytes, everything else differs"
    );
}

#[test]
fn genuine_deliveries_that_are_not_taken_end_with_1_and_are_counted() {
    let endpoint = Endpoint::start(|number| match number % 4 {
        0 => Reply::Bytes(REFUSED),
        1 => Reply::Reset,
        _ => Reply::Last(ACCEPTED_AND_CLOSED),
    });
    let output = send(&endpoint.url(), &["--count", "40", "--concurrency", "1"]);
    assert_eq!(code(&output), 1);
    let shown = text(&output);
    for words in [
        "503 disk_full",
        "no answer: reset",
        "Not as expected: 20 of 40",
        "number 0 (genuine): 503",
    ] {
        assert!(shown.contains(words), "{words} in\n{shown}");
    }
    assert_eq!(endpoint.requests(), 40);
}

#[test]
fn deliveries_that_nobody_answers_are_all_counted() {
    let (ended, report) = send_json(&Nobody::new().url(), &["--count", "25"]);
    assert_eq!(ended, 1);
    assert_eq!(
        (&report["no_answer"]["refused"], &report["deliveries"]),
        (&25.into(), &25.into())
    );
    assert!(
        report["latency_ms"].is_null(),
        "there is no answer to speak of"
    );
    let stalls = Endpoint::start(|_| Reply::Gated(ACCEPTED));
    let load = ["--count", "6", "--concurrency", "3", "--timeout", "100ms"];
    let (ended, report) = send_json(&stalls.url(), &load);
    assert_eq!(
        (ended, &report["no_answer"]["timeout"]),
        (1, &6.into()),
        "{report}"
    );
}

#[test]
fn an_open_loop_counts_latency_from_the_schedule() {
    let endpoint = Endpoint::start(|_| Reply::Gated(ACCEPTED));
    let load = [
        "--json",
        "--rate",
        "200",
        "--count",
        "40",
        "--concurrency",
        "2",
    ];
    let child = started(&endpoint.url(), &load);
    endpoint.wait_for_requests(2);
    // All are due within 200 ms of the first. Only two can be under way.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(endpoint.requests(), 2);
    endpoint.open_gate();
    let output = child.wait_with_output().unwrap();
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(
        (&report["statuses"]["202"], &report["unsent"]),
        (&40.into(), &0.into())
    );
    assert_eq!(report["latency_from"], "schedule");
    // Whoever was sent after the stall was answered at once, and had waited all the same.
    assert!(
        report["latency_ms"]["p50"].as_f64().unwrap() >= 300.0,
        "{report}"
    );
    assert!(
        report["latency_ms"]["max"].as_f64().unwrap() >= 450.0,
        "{report}"
    );
}

#[test]
fn a_closed_loop_counts_latency_from_sending() {
    let endpoint = Endpoint::start(|number| match number {
        0 => Reply::Gated(ACCEPTED),
        _ => Reply::Bytes(ACCEPTED),
    });
    let child = started(
        &endpoint.url(),
        &["--json", "--count", "10", "--concurrency", "1"],
    );
    endpoint.wait_for_requests(1);
    std::thread::sleep(Duration::from_millis(400));
    endpoint.open_gate();
    let output = child.wait_with_output().unwrap();
    let report = report(&output);
    let [p50, max] = ["p50", "max"].map(|name| report["latency_ms"][name].as_f64().unwrap());
    assert!(
        max >= 390.0 && p50 < max,
        "only the first was slow: {report}"
    );
    assert_eq!(
        (&report["latency_from"], &report["statuses"]["202"]),
        (&"sending".into(), &10.into())
    );
}

#[test]
fn a_duration_ends_the_run() {
    let app = TestApp::start(&[]);
    let began = Instant::now();
    let (ended, report) = send_json(&url(&app), &["--rate", "100", "--duration", "300ms"]);
    assert_eq!((ended, &report["deliveries"]), (0, &30.into()), "{report}");
    assert!(began.elapsed() >= Duration::from_millis(290));
    let (ended, report) = send_json(&url(&app), &["--duration", "200ms", "--concurrency", "2"]);
    assert_eq!(ended, 0, "{report}");
    assert!(report["deliveries"].as_u64().unwrap() > 2, "{report}");
    assert!(
        report["elapsed_seconds"].as_f64().unwrap() >= 0.2,
        "{report}"
    );
    assert_eq!(
        app.stop().accepted,
        30 + report["deliveries"].as_u64().unwrap()
    );
}

#[test]
fn what_was_due_and_found_no_connection_is_told() {
    let endpoint = Endpoint::start(|_| Reply::Gated(ACCEPTED));
    let load = ["--rate", "100", "--duration", "200ms", "--concurrency", "1"];
    let child = started(&endpoint.url(), &load);
    endpoint.wait_for_requests(1);
    std::thread::sleep(Duration::from_millis(300));
    endpoint.open_gate();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 1);
    let shown = text(&output);
    assert!(
        shown.contains("due and not sent") && shown.contains("Not as expected: 19 of 20"),
        "{shown}"
    );
}

#[test]
fn ctrl_c_ends_early_with_the_summary() {
    let app = TestApp::start(&[]);
    let child = started(&url(&app), &["--json", "--rate", "100"]);
    eventually("ten deliveries are accepted", || {
        (app.metrics().sum("deliveries_accepted_total") >= 10.0).then_some(())
    });
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report = report(&output);
    let accepted = app.metrics().sum("deliveries_accepted_total");
    assert_eq!(report["words"]["accepted"].as_f64(), Some(accepted));
    assert_eq!(
        (&report["unsent"], &report["unanswered"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_answers() {
    let endpoint = Endpoint::start(|_| Reply::Gated(ACCEPTED));
    let mut child = started(
        &endpoint.url(),
        &[
            "--json",
            "--duration",
            "1h",
            "--timeout",
            "1h",
            "--concurrency",
            "3",
        ],
    );
    endpoint.wait_for_requests(3);
    // The first signal may come before the second is listened for: they are repeated until it ends.
    eventually("it ends", || {
        interrupt(&child);
        std::thread::sleep(Duration::from_millis(20));
        child.try_wait().unwrap()
    });
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 1);
    assert_eq!(report(&output)["no_answer"]["given_up"], 3);
}

#[test]
fn bodies_have_the_size_asked_for() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let (ended, _) = send_json(&endpoint.url(), &["--count", "14", "--size", "10001"]);
    assert_eq!(ended, 0);
    let seen = endpoint.seen();
    assert!(seen.len() == 14 && seen.iter().all(|seen| seen.body.len() == 10_001));
    let app = TestApp::start(&[]);
    let (ended, report) = send_json(&url(&app), &["--count", "7", "--size", "64KiB"]);
    assert_eq!(
        (ended, &report["words"]["accepted"]),
        (0, &7.into()),
        "{report}"
    );
}

#[test]
fn load_to_another_machine_is_asked_for_by_name() {
    // An address of this machine that does not say so.
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let elsewhere = format!("http://0.0.0.0:{}/webhook", endpoint.address.port());
    for load in [
        ["--count", "101"],
        ["--rate", "101"],
        ["--duration", "1s"],
        ["--rate", "1"],
    ] {
        let output = send(&elsewhere, &load);
        assert_eq!(code(&output), 64, "{load:?}");
        assert!(
            text(&output).contains("--allow-remote-load"),
            "{}",
            text(&output)
        );
    }
    assert_eq!(endpoint.requests(), 0);
    assert_eq!(code(&send(&elsewhere, &["--count", "100"])), 0);
    assert_eq!(
        code(&send(
            &elsewhere,
            &["--count", "101", "--allow-remote-load"]
        )),
        0
    );
    assert_eq!(endpoint.requests(), 201);
}

#[test]
fn the_summary_tells_throughput_and_percentiles() {
    let app = TestApp::start(&[]);
    let output = send(&url(&app), &["--rate", "200", "--count", "60"]);
    assert_eq!(code(&output), 0);
    let shown = text(&output);
    for words in [
        "60 deliveries to http://127.0.0.1:",
        "answers a second",
        "202 accepted",
        "from the scheduled time",
        "p50 ",
        "p90 ",
        "p99 ",
        "p99.9 ",
        "max ",
        "Everything was answered as expected.",
    ] {
        assert!(shown.contains(words), "{words} in\n{shown}");
    }
    let (_, report) = send_json(&url(&app), &["--count", "30"]);
    let latencies = report["latency_ms"].as_object().unwrap();
    let in_order: Vec<_> = ["p50", "p90", "p99", "p99_9", "max"]
        .iter()
        .map(|name| latencies[*name].as_f64().unwrap())
        .collect();
    assert!(in_order[0] > 0.0 && in_order.is_sorted(), "{report}");
    assert!(report["answers_per_second"].as_f64().unwrap() > 0.0);
}
