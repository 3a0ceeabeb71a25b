//! Repeats: one delivery is stored once, and whoever sends it again is told the first id.

mod restart;
mod twins;
mod window;

use crate::support::app::TestApp;
use crate::support::http::Response;
use icr_bridge::domain::event::EventKind;
use icr_bridge::simulator::Request;
use serde_json::json;

const TRANSACTION: EventKind = EventKind::OrganizationTransaction;

/// `status` and `id` of a 202.
fn answer(response: &Response) -> (String, String) {
    assert_eq!(
        response.status,
        202,
        "{}",
        String::from_utf8_lossy(&response.body)
    );
    let body = response.json();
    (
        body["status"].as_str().unwrap().to_owned(),
        body["id"].as_str().unwrap().to_owned(),
    )
}

fn accepted(app: &TestApp, request: &Request) -> String {
    let (status, id) = answer(&app.deliver(request));
    assert_eq!(status, "accepted");
    id
}

fn duplicate(app: &TestApp, request: &Request) -> String {
    let (status, id) = answer(&app.deliver(request));
    assert_eq!(status, "duplicate");
    id
}

#[test]
fn a_repeated_transaction_is_answered_with_the_first_id_and_stored_once() {
    let app = TestApp::start(&[]);
    let request = app.simulator().delivery(TRANSACTION, 1);
    let first = accepted(&app, &request);
    accepted(&app, &app.simulator().delivery(TRANSACTION, 2));
    assert_eq!(duplicate(&app, &request), first);
    let metrics = app.metrics();
    assert_eq!(
        metrics.value("deliveries_duplicate_total{app=\"default\"}"),
        1.0
    );
    assert_eq!(metrics.sum("deliveries_accepted_total"), 2.0);
    assert_eq!(app.stop().accepted, 2);
}

#[test]
fn suspended_unsuspended_suspended_are_three_events_though_two_are_byte_identical() {
    let app = TestApp::start(&[]);
    let suspended = app.simulator().delivery(EventKind::Suspended, 1);
    let unsuspended = app.simulator().delivery(EventKind::Unsuspended, 1);
    let first = accepted(&app, &suspended);
    accepted(&app, &unsuspended);
    let third = accepted(&app, &suspended);
    assert_ne!(first, third);
    assert_eq!(
        duplicate(&app, &suspended),
        third,
        "right after itself it is a repeat"
    );
}

#[test]
fn a_transaction_in_between_does_not_end_a_lifecycle_event_s_being_the_latest() {
    let app = TestApp::start(&[]);
    let suspended = app.simulator().delivery(EventKind::Suspended, 1);
    let first = accepted(&app, &suspended);
    accepted(&app, &app.simulator().delivery(TRANSACTION, 1));
    assert_eq!(duplicate(&app, &suspended), first);
}

#[test]
fn unknown_and_unintelligible_deliveries_are_never_repeats() {
    let app = TestApp::start(&[]);
    let without_transaction = app.simulator().sign(&json!({
        "event": "organizationTransaction",
        "installation": {"id": "1", "organization": {"id": "o"}},
    }));
    let twice_a_key = app.simulator().sign_text(
        br#"{"event":"suspended","event":"suspended","installation":{"id":"1","organization":{"id":"o"}}}"#,
        json!({}),
    );
    for request in [
        app.simulator().delivery(EventKind::Other, 1),
        app.simulator().unintelligible(1),
        without_transaction,
        twice_a_key,
    ] {
        assert_ne!(accepted(&app, &request), accepted(&app, &request));
    }
}

#[test]
fn the_same_bytes_at_two_apps_that_share_a_secret_are_two_deliveries() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, crate::support::app::SECRET).unwrap();
    let apps = format!("sandbox={}", file.display());
    let settings = [
        ("WEBHOOK_SECRET", crate::support::app::SECRET),
        ("APP_SECRET_FILES", &apps),
        ("KAFKA_TOPIC", "icr.{app}"),
    ];
    let journal = dir.path().join("journal");
    let mut app = TestApp::on(&journal, &settings).unwrap();
    for kind in [TRANSACTION, EventKind::Suspended] {
        let request = app.simulator().delivery(kind, 1);
        let first = accepted(&app, &request);
        let (status, other) = answer(&app.deliver_to("/webhook/sandbox", &request));
        assert_eq!(status, "accepted");
        assert_ne!(other, first);
        // Each app knows its own, also after a restart.
        for _ in 0..2 {
            assert_eq!(duplicate(&app, &request), first);
            let repeat = answer(&app.deliver_to("/webhook/sandbox", &request));
            assert_eq!(repeat, ("duplicate".to_owned(), other.clone()));
            drop(app);
            app = TestApp::on(&journal, &settings).unwrap();
        }
    }
    assert_eq!(app.stop().accepted, 4);
}

#[test]
fn a_repeat_is_one_by_its_signed_data_whatever_stands_around_it() {
    let app = TestApp::start(&[]);
    let payload = json!({
        "event": "organizationTransaction",
        "transaction": {"id": "t", "amount": 1},
        "installation": {"id": "1", "organization": {"id": "o"}},
    });
    let payload = payload.to_string();
    let first = accepted(
        &app,
        &app.simulator().sign_text(payload.as_bytes(), json!({})),
    );
    let around = json!({"event": "installed", "more": [1, 2, 3]});
    let again = app.simulator().sign_text(payload.as_bytes(), around);
    assert_eq!(duplicate(&app, &again), first);
    // The same content in other bytes is another delivery.
    let other = format!("{payload} ");
    accepted(
        &app,
        &app.simulator().sign_text(other.as_bytes(), json!({})),
    );
}
