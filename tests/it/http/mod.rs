//! Every line of the HTTP contract, from outside.

mod admin;
mod bodies;
mod connections;
mod deliveries;
mod encodings;
mod signatures;
mod targets;

use crate::support::app::TestApp;
use crate::support::http::Response;
use icr_bridge::domain::event::EventKind;
use icr_bridge::simulator::Request;

/// A genuine delivery that no other call of the same test made.
fn genuine(app: &TestApp, number: u64) -> Request {
    app.simulator()
        .delivery(EventKind::OrganizationTransaction, number)
}

/// Asserts a rejection by status, reason and count.
fn assert_rejected(app: &TestApp, response: &Response, status: u16, reason: &str) {
    assert_eq!(
        (response.status, response.reason().as_str()),
        (status, reason)
    );
    let series = format!("deliveries_rejected_total{{app=\"default\",reason=\"{reason}\"}}");
    assert_eq!(app.metrics().value(&series), 1.0, "{series}");
}

/// Asserts a 202 and gives the id.
fn assert_accepted(response: &Response) -> String {
    assert_eq!(
        response.status,
        202,
        "{}",
        String::from_utf8_lossy(&response.body)
    );
    assert_eq!(response.header("content-type"), Some("application/json"));
    let body = response.json();
    assert_eq!(body["status"], "accepted");
    let id = body["id"].as_str().unwrap().to_owned();
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
    id
}
