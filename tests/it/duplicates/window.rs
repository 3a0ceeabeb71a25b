//! How far back a repeat is recognised.

use super::{TRANSACTION, accepted, duplicate};
use crate::support::app::TestApp;
use icr_bridge::domain::event::EventKind;

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

#[test]
fn a_lifecycle_event_that_has_left_the_window_is_stored_again() {
    let app = TestApp::start(&[("DUPLICATE_WINDOW", "3")]);
    let suspended = app.simulator().delivery(EventKind::Suspended, 1);
    let first = accepted(&app, &suspended);
    for number in 1..=2 {
        accepted(&app, &app.simulator().delivery(TRANSACTION, number));
    }
    assert_eq!(duplicate(&app, &suspended), first, "the oldest of three");
    accepted(&app, &app.simulator().delivery(TRANSACTION, 3));
    let second = accepted(&app, &suspended);
    assert_ne!(second, first);
    assert_eq!(duplicate(&app, &suspended), second);
}

#[test]
fn a_repeat_does_not_prolong_its_stay_in_the_window() {
    let app = TestApp::start(&[("DUPLICATE_WINDOW", "2")]);
    let request = app.simulator().delivery(TRANSACTION, 1);
    let first = accepted(&app, &request);
    accepted(&app, &app.simulator().delivery(TRANSACTION, 2));
    for _ in 0..5 {
        assert_eq!(duplicate(&app, &request), first, "repeats take no place");
    }
    accepted(&app, &app.simulator().delivery(TRANSACTION, 3));
    assert_ne!(accepted(&app, &request), first);
}

#[test]
fn the_window_counts_the_deliveries_of_all_apps_and_events() {
    let app = TestApp::start(&[("DUPLICATE_WINDOW", "3")]);
    let request = app.simulator().delivery(TRANSACTION, 1);
    let first = accepted(&app, &request);
    accepted(&app, &app.simulator().delivery(EventKind::Other, 1));
    accepted(&app, &app.simulator().unintelligible(1));
    assert_eq!(duplicate(&app, &request), first);
    accepted(&app, &app.simulator().unintelligible(2));
    assert_ne!(accepted(&app, &request), first);
}

#[test]
fn after_a_restart_the_window_reaches_as_far_back_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("DUPLICATE_WINDOW", "3")];
    let app = TestApp::on(dir.path(), &settings).unwrap();
    let requests: Vec<_> = (1..=5)
        .map(|number| app.simulator().delivery(TRANSACTION, number))
        .collect();
    let ids: Vec<String> = requests
        .iter()
        .map(|request| accepted(&app, request))
        .collect();
    drop(app);
    let app = TestApp::on(dir.path(), &settings).unwrap();
    for (request, id) in requests.iter().zip(&ids).skip(2) {
        assert_eq!(duplicate(&app, request), *id);
    }
    for (request, id) in requests.iter().zip(&ids).take(2) {
        assert_ne!(accepted(&app, request), *id);
    }
}
