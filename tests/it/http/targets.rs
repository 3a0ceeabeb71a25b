//! Path and method.

use super::{assert_accepted, genuine};
use crate::support::app::{SECRET, TestApp};
use crate::support::http::{self, Connection};

#[test]
fn an_unknown_path_is_404_and_counts_only_as_a_request() {
    let app = TestApp::start(&[]);
    for path in [
        "/",
        "/webhooks",
        "/webhook/a/b",
        "/metrics",
        "/webhook/",
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
    // `/webhook/` names the app with the empty name.
    assert_eq!(metrics.sum("deliveries_rejected_total"), 1.0);
}

#[test]
fn an_unknown_app_is_404_and_its_label_is_none() {
    let app = TestApp::start(&[]);
    for path in ["/webhook/sandbox", "/webhook/default", "/webhook/%2e%2e"] {
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
