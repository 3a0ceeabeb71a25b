//! Path and method.

use super::{assert_accepted, genuine};
use crate::support::app::{SECRET, TestApp};
use crate::support::eventually::eventually;
use crate::support::http::{self, Connection};
use crate::support::process::Serving;
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::simulator::Simulator;

fn simulator() -> Simulator {
    Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 1, 1)
}

#[test]
fn an_unknown_path_is_404_and_counts_only_as_a_request() {
    let app = TestApp::start(&[]);
    for path in [
        "/",
        "/webhooks",
        "/webhook/a/b",
        "/metrics",
        "/webhook%20",
        "/WEBHOOK",
    ] {
        let response = http::post(app.ingress, path, &[], b"{}");
        assert_eq!(
            (response.status, response.header("content-type")),
            (404, Some("application/problem+json")),
            "{path}"
        );
    }
    let metrics = app.metrics();
    assert_eq!(
        metrics.value("http_request_duration_seconds_count{code=\"404\"}"),
        6.0
    );
    assert_eq!(metrics.sum("deliveries_rejected_total"), 0.0);
    assert_eq!(
        metrics.value("deliveries_misdirected_total"),
        0.0,
        "none of them was signed"
    );
}

#[test]
fn an_unknown_app_is_404_and_its_label_is_none() {
    let app = TestApp::start(&[]);
    for path in ["/webhook/sandbox", "/webhook//default/", "/webhook/%2e%2e"] {
        assert_eq!(
            app.deliver_to(path, &genuine(&app, 1)).status,
            404,
            "{path}"
        );
    }
    let metrics = app.metrics();
    assert_eq!(
        metrics.value("deliveries_rejected_total{app=\"none\",reason=\"unknown_app\"}"),
        3.0
    );
}

#[test]
fn another_method_is_405_with_allow_and_counts_only_as_a_request() {
    let app = TestApp::start(&[]);
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let response = Connection::open(app.ingress).request(method, "/webhook", &[], b"");
        assert_eq!(
            (response.status, response.header("allow")),
            (405, Some("POST")),
            "{method}"
        );
    }
    let metrics = app.metrics();
    assert_eq!(
        metrics.value("http_request_duration_seconds_count{code=\"405\"}"),
        5.0
    );
    assert_eq!(metrics.sum("deliveries_rejected_total"), 0.0);
}

#[test]
fn the_path_is_judged_before_the_method_and_the_method_before_the_size() {
    let app = TestApp::start(&[("MAX_BODY_BYTES", "1KiB")]);
    let large = vec![b' '; 2000];
    assert_eq!(
        Connection::open(app.ingress)
            .request("PUT", "/nowhere", &[], &large)
            .status,
        404
    );
    assert_eq!(
        Connection::open(app.ingress)
            .request("PUT", "/webhook", &[], &large)
            .status,
        405
    );
    assert_eq!(
        Connection::open(app.ingress)
            .request("POST", "/webhook", &[], &large)
            .status,
        413
    );
}

#[test]
fn surplus_slashes_do_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sandbox");
    std::fs::write(&file, SECRET).unwrap();
    let apps = format!("sandbox={}", file.display());
    let app = TestApp::start(&[
        ("WEBHOOK_SECRET", SECRET),
        ("APP_SECRET_FILES", &apps),
        ("KAFKA_TOPIC", "icr.{app}"),
    ]);
    let default = [
        "/webhook/",
        "//webhook",
        "///webhook//?source=icr",
        "/webhook%2F",
        "/%2fwebhook",
    ];
    let sandbox = [
        "/webhook/sandbox/",
        "/webhook//sandbox",
        "//webhook/%2F/sandbox",
    ];
    for (number, path) in (1..).zip(default.iter().chain(&sandbox)) {
        let response = app.deliver_to(path, &genuine(&app, number));
        assert_eq!(response.status, 202, "{path}");
    }
    let metrics = app.metrics();
    let accepted = |app: &str| {
        let series =
            format!("deliveries_accepted_total{{app=\"{app}\",event=\"organizationTransaction\"}}");
        metrics.value(&series)
    };
    assert_eq!((accepted("default"), accepted("sandbox")), (5.0, 3.0));
}

#[test]
fn a_signed_request_to_a_wrong_url_is_counted_and_the_log_says_to_which() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", "127.0.0.1:1")]);
    let request = simulator().delivery(EventKind::Installed, 1);
    let headers = [("x-icr-signature-256", request.signature.as_str())];
    let long = format!("/webhook{}?token=1", "k".repeat(500));
    for path in ["/web", &long, "/webhook/unknown"] {
        let response = http::post(bridge.ingress, path, &headers, &request.body);
        assert_eq!(response.status, 404, "{path}");
    }
    let response = Connection::open(bridge.ingress).request("PUT", "/webhook", &headers, b"{}");
    assert_eq!(response.status, 405);
    assert_eq!(bridge.metrics().value("deliveries_misdirected_total"), 4.0);
    let line = |words: &str| bridge.log().into_iter().find(|line| line.contains(words));
    let first = eventually("the log says so", || line("to a URL that takes none"));
    assert!(
        first.contains("1 signed deliveries")
            && first.contains(r#"the latest: POST "/web", answered 404"#),
        "{first}"
    );
    // What was held back is reported at the end at the latest.
    bridge.signal(libc::SIGTERM);
    let last = eventually("the log reports the rest", || line("3 signed deliveries"));
    assert!(
        last.contains(r#"the latest: PUT "/webhook", answered 405"#),
        "{last}"
    );
    assert!(!bridge.log().iter().any(|line| line.contains("token")));
}

#[test]
fn a_query_string_does_not_matter() {
    let app = TestApp::start(&[]);
    assert_accepted(&app.deliver_to("/webhook?source=icr", &genuine(&app, 1)));
}

#[test]
fn each_app_has_its_own_path_and_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sandbox");
    std::fs::write(&file, "another secret").unwrap();
    let apps = format!("sandbox={}", file.display());
    let app = TestApp::start(&[
        ("WEBHOOK_SECRET", SECRET),
        ("APP_SECRET_FILES", &apps),
        ("KAFKA_TOPIC", "icr.{app}"),
    ]);
    assert_accepted(&app.deliver(&genuine(&app, 1)));
    assert_eq!(
        app.deliver_to("/webhook/sandbox", &genuine(&app, 2)).status,
        403
    );
    let metrics = app.metrics();
    assert_eq!(
        metrics.value("deliveries_rejected_total{app=\"sandbox\",reason=\"signature_wrong\"}"),
        1.0
    );
    let accepted = "deliveries_accepted_total{app=\"default\",event=\"organizationTransaction\"}";
    assert_eq!(metrics.value(accepted), 1.0);
}
