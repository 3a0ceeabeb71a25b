//! The admin listener.

use super::genuine;
use crate::support::app::TestApp;
use crate::support::http::get;
use icr_bridge::metrics::definitions::{DEFINITIONS, NAMESPACE};

#[test]
fn a_bridge_without_kafka_is_alive_and_ready_and_answers_202() {
    let app = TestApp::start(&[]);
    assert_eq!(get(app.admin, "/healthz").status, 200);
    assert_eq!(get(app.admin, "/readyz").status, 200);
    super::assert_accepted(&app.deliver(&genuine(&app, 1)));
    assert_eq!(get(app.admin, "/elsewhere").status, 404);
}

#[test]
fn metrics_are_only_what_the_table_defines() {
    let app = TestApp::start(&[]);
    app.deliver(&genuine(&app, 1));
    let text = app.metrics().text;
    for line in text.lines().filter(|line| line.starts_with("# HELP ")) {
        let name = line.split(' ').nth(2).unwrap();
        let known = name
            .strip_prefix(&format!("{NAMESPACE}_"))
            .is_some_and(|name| DEFINITIONS.iter().any(|known| known.name == name));
        assert!(
            known || name.starts_with("process_"),
            "{name} stands in no table"
        );
    }
}

#[test]
fn every_defined_metric_without_labels_is_there_from_the_start() {
    let text = TestApp::start(&[]).metrics().text;
    let absent_while_unset = [
        "journal_oldest_pending_timestamp_seconds",
        "last_published_timestamp_seconds",
    ];
    for metric in DEFINITIONS {
        let listed = text.contains(&format!(
            "# TYPE {NAMESPACE}_{} {}\n",
            metric.name, metric.kind
        ));
        let may_be_absent = absent_while_unset.contains(&metric.name)
            || metric.name == "last_accepted_timestamp_seconds";
        assert!(
            listed || may_be_absent,
            "{} is defined and not shown",
            metric.name
        );
    }
}

#[test]
fn probes_may_use_head() {
    let app = TestApp::start(&[]);
    for path in ["/healthz", "/readyz", "/metrics"] {
        let mut connection = crate::support::http::Connection::open(app.admin);
        connection.send(format!("HEAD {path} HTTP/1.0\r\n\r\n").as_bytes());
        assert_eq!(connection.status(), 200, "{path}");
    }
}

#[test]
fn the_webhook_is_not_on_the_admin_listener() {
    let app = TestApp::start(&[]);
    let request = genuine(&app, 1);
    let response = crate::support::http::post(
        app.admin,
        "/webhook",
        &[("x-icr-signature-256", &request.signature)],
        &request.body,
    );
    assert_eq!(response.status, 404);
}
