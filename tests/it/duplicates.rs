//! Repeats: one delivery is stored once, and whoever sends it again is told the first id.

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
fn of_concurrent_twins_one_is_stored_and_all_are_told_its_id() {
    let app = TestApp::start(&[]);
    for number in 0..20 {
        let request = app.simulator().delivery(TRANSACTION, number);
        let barrier = std::sync::Barrier::new(8);
        let answers: Vec<(String, String)> = std::thread::scope(|scope| {
            let twin = || {
                barrier.wait();
                answer(&app.deliver(&request))
            };
            let twins: Vec<_> = (0..8).map(|_| scope.spawn(twin)).collect();
            twins.into_iter().map(|twin| twin.join().unwrap()).collect()
        });
        assert_eq!(
            answers
                .iter()
                .filter(|(status, _)| status == "accepted")
                .count(),
            1,
            "{answers:?}"
        );
        assert!(
            answers.iter().all(|(_, id)| *id == answers[0].1),
            "{answers:?}"
        );
    }
    assert_eq!(app.stop().accepted, 20);
}

#[test]
fn a_repeat_is_recognised_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::on(dir.path(), &[]).unwrap();
    let (transaction, suspended) = (
        app.simulator().delivery(TRANSACTION, 1),
        app.simulator().delivery(EventKind::Suspended, 1),
    );
    let first = accepted(&app, &transaction);
    let second = accepted(&app, &suspended);
    drop(app);
    let app = TestApp::on(dir.path(), &[]).unwrap();
    assert_eq!(duplicate(&app, &transaction), first);
    assert_eq!(duplicate(&app, &suspended), second);
    let third = accepted(&app, &app.simulator().delivery(TRANSACTION, 2));
    assert!(third > second && second > first, "ids go on in order");
    assert!(
        app.metrics()
            .maybe("last_accepted_timestamp_seconds{app=\"default\"}")
            .is_some()
    );
}

#[test]
fn the_time_of_the_last_delivery_is_restored_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let series = "last_accepted_timestamp_seconds{app=\"default\"}";
    let app = TestApp::on(dir.path(), &[]).unwrap();
    assert_eq!(
        app.metrics().maybe(series),
        None,
        "nothing was accepted yet"
    );
    accepted(&app, &app.simulator().delivery(TRANSACTION, 1));
    let before = app.metrics().value(series);
    drop(app);
    let app = TestApp::on(dir.path(), &[]).unwrap();
    assert_eq!(app.metrics().value(series), before);
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
fn a_window_of_0_switches_recognition_off() {
    let app = TestApp::start(&[("DUPLICATE_WINDOW", "0")]);
    let request = app.simulator().delivery(TRANSACTION, 1);
    assert_ne!(accepted(&app, &request), accepted(&app, &request));
}

#[test]
fn what_has_left_the_window_is_stored_again() {
    let app = TestApp::start(&[("DUPLICATE_WINDOW", "3")]);
    let request = app.simulator().delivery(TRANSACTION, 1);
    let first = accepted(&app, &request);
    for number in 2..=3 {
        accepted(&app, &app.simulator().delivery(TRANSACTION, number));
    }
    assert_eq!(duplicate(&app, &request), first, "the oldest of three");
    accepted(&app, &app.simulator().delivery(TRANSACTION, 4));
    assert_ne!(accepted(&app, &request), first);
}
