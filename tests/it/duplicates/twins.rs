//! Deliveries that come while the same one is being stored, and those whose storing fails.

use super::{TRANSACTION, answer};
use crate::support::app::TestApp;
use crate::support::door::Door;
use crate::support::eventually::eventually;
use crate::support::gated_disk::GatedDisk;
use crate::support::http::{Connection, Response};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::mock_kafka::{MockKafka, MockTopic};
use icr_bridge::simulator::{Request, Simulator};
use std::time::Duration;
use tempfile::TempDir;

const MATCHED: &str = "secret_matched_total{app=\"default\",position=\"0\"}";
const DUPLICATES: &str = "deliveries_duplicate_total{app=\"default\"}";
const REFUSED: &str = "deliveries_refused_total{reason=\"storage_error\"}";

/// How long whoever must not answer is listened to.
const A_WHILE: Duration = Duration::from_millis(300);

fn simulator() -> Simulator {
    Simulator::new(
        SecretSet::single(crate::support::app::SECRET.as_bytes()).unwrap(),
        5,
        1,
    )
}

/// A bridge that has stored one delivery, so that its segment is open and every further sync is a delivery's.
fn door(settings: &[(&str, &str)]) -> (TempDir, GatedDisk, Door) {
    let (dir, disk) = (tempfile::tempdir().unwrap(), GatedDisk::default());
    let door = Door::open(dir.path(), &disk, settings);
    assert_eq!(
        door.deliver(&simulator().delivery(TRANSACTION, 1_000_000))
            .status,
        202
    );
    (dir, disk, door)
}

/// Sends a delivery and leaves the answer for later; returns when the bridge has proven it.
fn send(door: &Door, request: &Request) -> Connection {
    let before = door.metrics().value(MATCHED);
    let mut connection = Connection::open(door.ingress);
    let head = format!(
        "POST /webhook HTTP/1.1\r\nhost: b\r\nx-icr-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
        request.signature,
        request.body.len()
    );
    connection.send(&[head.as_bytes(), &request.body].concat());
    eventually("the delivery is proven", || {
        (door.metrics().value(MATCHED) > before).then_some(())
    });
    connection
}

/// Sends a delivery whose sync waits at the gate.
fn send_first(door: &Door, disk: &GatedDisk, request: &Request) -> Connection {
    disk.shut();
    let connection = send(door, request);
    eventually("its sync waits", || (disk.waiting() == 1).then_some(()));
    connection
}

fn refused(response: &Response) -> String {
    assert_eq!(response.status, 503);
    assert_eq!(response.header("retry-after"), Some("1"));
    response.reason()
}

/// Sends again until it is stored; a journal that has failed takes a moment to find a new segment.
fn accepted_at_last(door: &Door, request: &Request) -> String {
    eventually("it is stored", || {
        let response = door.deliver(request);
        (response.status == 202).then(|| {
            let (status, id) = answer(&response);
            assert_eq!(status, "accepted");
            id
        })
    })
}

#[test]
fn of_concurrent_twins_one_is_stored_and_all_are_told_its_id() {
    let kafka = MockKafka::start(&[MockTopic::new("icr.webhooks", 2)]).unwrap();
    let app = TestApp::start(&[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
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
    eventually("all are published", || {
        (app.metrics().value("journal_pending_deliveries") == 0.0).then_some(())
    });
    let metrics = app.metrics();
    assert_eq!(metrics.value(DUPLICATES), 140.0);
    assert_eq!(metrics.sum("deliveries_accepted_total"), 20.0);
    assert_eq!(metrics.sum("records_published_total"), 20.0);
    let ledger = app.stop();
    assert_eq!((ledger.accepted, ledger.published), (20, 20));
}

#[test]
fn a_twin_is_not_answered_before_the_first_is_synced() {
    let (_dir, disk, door) = door(&[]);
    for kind in [TRANSACTION, EventKind::Suspended] {
        let request = simulator().delivery(kind, 1);
        let mut first = send_first(&door, &disk, &request);
        let mut twins = [(); 3].map(|()| send(&door, &request));
        assert!(first.is_silent(A_WHILE));
        assert!(twins.iter_mut().all(|twin| twin.is_silent(A_WHILE)));
        let before = door.metrics().value(DUPLICATES);
        disk.open_gate();
        let (status, id) = answer(&first.response());
        assert_eq!(status, "accepted");
        for mut twin in twins {
            assert_eq!(
                answer(&twin.response()),
                ("duplicate".to_owned(), id.clone())
            );
        }
        assert_eq!(door.metrics().value(DUPLICATES), before + 3.0);
    }
    assert_eq!(door.journal.last_sequence(), 3, "two, and the one before");
}

#[test]
fn where_the_first_cannot_be_stored_its_twins_are_refused_too_and_a_later_repeat_is_accepted() {
    let (_dir, disk, door) = door(&[]);
    let mut count = 0.0;
    for kind in [TRANSACTION, EventKind::Suspended] {
        let request = simulator().delivery(kind, 1);
        let mut first = send_first(&door, &disk, &request);
        let mut twin = send(&door, &request);
        disk.fail(true);
        disk.open_gate();
        assert_eq!(refused(&first.response()), "storage_error");
        assert_eq!(refused(&twin.response()), "storage_error");
        count += 2.0;
        assert_eq!(door.metrics().value(REFUSED), count, "each is counted");
        assert_eq!(door.metrics().value(DUPLICATES), (count - 2.0) / 2.0);
        disk.fail(false);
        let refused_before = door.metrics().value(REFUSED);
        let id = accepted_at_last(&door, &request);
        count += door.metrics().value(REFUSED) - refused_before;
        let repeat = ("duplicate".to_owned(), id);
        assert_eq!(answer(&door.deliver(&request)), repeat);
    }
}

#[test]
fn a_lifecycle_event_that_could_not_be_stored_is_not_the_latest() {
    let (_dir, disk, door) = door(&[]);
    let suspended = simulator().delivery(EventKind::Suspended, 1);
    let unsuspended = simulator().delivery(EventKind::Unsuspended, 1);
    let first = accepted_at_last(&door, &suspended);
    disk.fail(true);
    assert_eq!(refused(&door.deliver(&unsuspended)), "storage_error");
    disk.fail(false);
    let repeat = ("duplicate".to_owned(), first.clone());
    assert_eq!(
        answer(&door.deliver(&suspended)),
        repeat,
        "still the latest"
    );
    accepted_at_last(&door, &unsuspended);
    assert_ne!(accepted_at_last(&door, &suspended), first);
}

#[test]
fn what_found_no_place_in_the_queue_is_forgotten() {
    let (_dir, disk, door) = door(&[("JOURNAL_QUEUE", "1")]);
    let mut waiting = vec![send_first(
        &door,
        &disk,
        &simulator().delivery(TRANSACTION, 0),
    )];
    let full = (1..5).find_map(|number| {
        let request = simulator().delivery(TRANSACTION, number);
        let mut connection = send(&door, &request);
        if connection.is_silent(A_WHILE) {
            waiting.push(connection);
            return None;
        }
        assert_eq!(refused(&connection.response()), "queue_full");
        Some(request)
    });
    let full = full.expect("the queue is full at last");
    let series = "deliveries_refused_total{reason=\"queue_full\"}";
    assert_eq!(door.metrics().value(series), 1.0);
    disk.open_gate();
    for mut connection in waiting {
        assert_eq!(answer(&connection.response()).0, "accepted");
    }
    accepted_at_last(&door, &full);
}

#[test]
fn a_sender_who_goes_away_leaves_a_delivery_that_is_stored_and_known() {
    let (_dir, disk, door) = door(&[]);
    let request = simulator().delivery(TRANSACTION, 1);
    drop(send_first(&door, &disk, &request));
    let mut twin = send(&door, &request);
    disk.open_gate();
    assert_eq!(answer(&twin.response()).0, "duplicate");
    assert_eq!(answer(&door.deliver(&request)).0, "duplicate");
    assert_eq!(door.journal.last_sequence(), 2);
}
