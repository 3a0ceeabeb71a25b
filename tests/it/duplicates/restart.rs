//! What is known again after a restart, and from where.

use super::{TRANSACTION, accepted, answer, duplicate};
use crate::support::app::{SECRET, TestApp};
use crate::support::door::Door;
use crate::support::eventually::eventually;
use crate::support::gated_disk::GatedDisk;
use crate::support::process::Serving;
use icr_bridge::domain::event::EventKind;
use icr_bridge::mock_kafka::{MockKafka, MockTopic};
use icr_bridge::simulator::Request;
use serde_json::json;
use std::path::{Path, PathBuf};

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
fn the_latest_lifecycle_event_is_known_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::on(dir.path(), &[]).unwrap();
    let suspended = app.simulator().delivery(EventKind::Suspended, 1);
    let unsuspended = app.simulator().delivery(EventKind::Unsuspended, 1);
    accepted(&app, &suspended);
    let second = accepted(&app, &unsuspended);
    drop(app);
    let app = TestApp::on(dir.path(), &[]).unwrap();
    assert_eq!(duplicate(&app, &unsuspended), second);
    let third = accepted(&app, &suspended);
    drop(app);
    let app = TestApp::on(dir.path(), &[]).unwrap();
    assert_eq!(duplicate(&app, &suspended), third);
    assert!(accepted(&app, &unsuspended) > third);
}

#[test]
fn unknown_and_unintelligible_deliveries_are_no_repeats_across_a_restart_either() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::on(dir.path(), &[]).unwrap();
    let without_transaction = app.simulator().sign(&json!({
        "event": "organizationTransaction",
        "installation": {"id": "1", "organization": {"id": "o"}},
    }));
    let requests = [
        app.simulator().delivery(EventKind::Other, 1),
        app.simulator().unintelligible(1),
        without_transaction,
    ];
    for request in &requests {
        accepted(&app, request);
    }
    drop(app);
    let app = TestApp::on(dir.path(), &[]).unwrap();
    for request in &requests {
        accepted(&app, request);
    }
    let metrics = app.metrics();
    assert_eq!(
        metrics.value("deliveries_duplicate_total{app=\"default\"}"),
        0.0
    );
    assert_eq!(app.stop().accepted, 6);
}

/// The journal's segments.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect()
}

/// Overwrites every copy of these bytes in a file; how many there were.
fn blot_out(path: &Path, bytes: &[u8]) -> usize {
    let mut contents = std::fs::read(path).unwrap();
    let places: Vec<usize> = memchr::memmem::find_iter(&contents, bytes).collect();
    for place in &places {
        contents[*place..*place + bytes.len()].fill(0);
    }
    std::fs::write(path, contents).unwrap();
    places.len()
}

#[test]
fn repeats_are_recognised_though_not_one_body_can_be_read_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let kafka = MockKafka::start(&[MockTopic::new("icr.webhooks", 1)]).unwrap();
    let settings = [
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
        ("JOURNAL_SEGMENT_BYTES", "64KiB"),
    ];
    let app = TestApp::on(dir.path(), &settings).unwrap();
    let requests: Vec<Request> = (0..200)
        .map(|number| app.simulator().delivery(TRANSACTION, number))
        .chain([app.simulator().delivery(EventKind::Suspended, 1)])
        .collect();
    let ids: Vec<String> = requests
        .iter()
        .map(|request| accepted(&app, request))
        .collect();
    eventually("all are published", || {
        (app.metrics().value("journal_pending_deliveries") == 0.0).then_some(())
    });
    drop(app);
    let files = segments(dir.path());
    assert!(files.len() > 3, "{} segments", files.len());
    let blotted: usize = requests
        .iter()
        .map(|request| {
            files
                .iter()
                .map(|file| blot_out(file, &request.body))
                .sum::<usize>()
        })
        .sum();
    assert_eq!(blotted, requests.len(), "every body stood there once");
    let app = TestApp::on(dir.path(), &settings).unwrap();
    for (request, id) in requests.iter().zip(&ids) {
        assert_eq!(duplicate(&app, request), *id);
    }
    assert_eq!(app.metrics().value("journal_damaged_segments"), 0.0);
}

#[test]
fn a_start_reads_a_small_part_of_sealed_segments() {
    let dir = tempfile::tempdir().unwrap();
    let disk = GatedDisk::default();
    let settings = [("JOURNAL_SEGMENT_BYTES", "1MiB")];
    let door = Door::open(dir.path(), &disk, &settings);
    let simulator = icr_bridge::simulator::Simulator::new(
        icr_bridge::domain::signature::SecretSet::single(SECRET.as_bytes()).unwrap(),
        1,
        1,
    );
    let large = |number: u64| {
        simulator.sign(&json!({
            "event": "organizationTransaction", "padding": "x".repeat(20_000),
            "transaction": {"id": number.to_string(), "amount": 1},
            "installation": {"id": "1", "organization": {"id": "o"}},
        }))
    };
    let ids: Vec<String> = (0..300)
        .map(|number| answer(&door.deliver(&large(number))).1)
        .collect();
    door.close();
    let on_disk: u64 = segments(dir.path())
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(on_disk > 300 * 20_000, "{on_disk}");
    let before = disk.bytes_read();
    let door = Door::open(dir.path(), &disk, &settings);
    let read = disk.bytes_read() - before;
    assert!(
        0 < read && read < on_disk / 20,
        "{read} of {on_disk} bytes are more than headers and footers"
    );
    for (number, id) in (0..).zip(&ids) {
        assert_eq!(
            answer(&door.deliver(&large(number))),
            ("duplicate".to_owned(), id.clone())
        );
    }
}

const SANDBOX: &str = "last_accepted_timestamp_seconds{app=\"sandbox\"}";

/// Settings of two apps with the same secret, and what holds them.
fn two_apps(dir: &Path) -> String {
    let file = dir.join("secret");
    std::fs::write(&file, SECRET).unwrap();
    format!("sandbox={}", file.display())
}

#[test]
fn when_an_app_last_delivered_is_known_though_the_window_has_left_it_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, apps) = (dir.path().join("journal"), two_apps(dir.path()));
    let settings = [
        ("WEBHOOK_SECRET", SECRET),
        ("APP_SECRET_FILES", &apps),
        ("KAFKA_TOPIC", "icr.{app}"),
        ("DUPLICATE_WINDOW", "10"),
    ];
    let app = TestApp::on(&journal, &settings).unwrap();
    let request = app.simulator().delivery(TRANSACTION, 0);
    assert_eq!(app.deliver_to("/webhook/sandbox", &request).status, 202);
    let at = app.metrics().value(SANDBOX);
    // More than a start looks at.
    for number in 0..1100 {
        accepted(&app, &app.simulator().delivery(TRANSACTION, number));
    }
    assert_eq!(app.metrics().value(SANDBOX), at);
    let mut default = app
        .metrics()
        .value("last_accepted_timestamp_seconds{app=\"default\"}");
    drop(app);
    // Over two restarts: what is only remembered must be carried on.
    for number in 2000..2002 {
        let app = TestApp::on(&journal, &settings).unwrap();
        let series = "last_accepted_timestamp_seconds{app=\"default\"}";
        assert_eq!(app.metrics().value(SANDBOX), at);
        assert_eq!(app.metrics().value(series), default);
        accepted(&app, &app.simulator().delivery(TRANSACTION, number));
        default = app.metrics().value(series);
    }
    // While its path is closed the app is no metric, and comes back with what was known of it.
    let app = TestApp::on(&journal, &settings[..1]).unwrap();
    assert_eq!(app.metrics().maybe(SANDBOX), None);
    drop(app);
    let app = TestApp::on(&journal, &settings).unwrap();
    assert_eq!(app.metrics().value(SANDBOX), at);
}

#[test]
fn when_an_app_last_delivered_is_known_after_a_crash_and_after_retention_took_the_delivery() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, apps) = (dir.path().join("journal"), two_apps(dir.path()));
    let topics = ["icr.default", "icr.sandbox"].map(|topic| MockTopic::new(topic, 1));
    let kafka = MockKafka::start(&topics).unwrap();
    let settings = [
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
        ("WEBHOOK_SECRET", SECRET),
        ("APP_SECRET_FILES", &apps),
        ("KAFKA_TOPIC", "icr.{app}"),
        ("DUPLICATE_WINDOW", "10"),
        ("JOURNAL_SEGMENT_BYTES", "64KiB"),
        ("JOURNAL_RETENTION_BYTES", "0"),
    ];
    let bridge = Serving::start(&journal, &settings);
    let simulator = icr_bridge::simulator::Simulator::new(
        icr_bridge::domain::signature::SecretSet::single(SECRET.as_bytes()).unwrap(),
        5,
        1,
    );
    let deliver = |bridge: &Serving, path: &str, number| {
        let request = simulator.delivery(TRANSACTION, number);
        let headers = [("x-icr-signature-256", request.signature.as_str())];
        let response = crate::support::http::post(bridge.ingress, path, &headers, &request.body);
        assert_eq!(response.status, 202);
    };
    deliver(&bridge, "/webhook/sandbox", 0);
    let at = bridge.metrics().value(SANDBOX);
    eventually("the memo has been written", || {
        let memo = std::fs::read(journal.join("memo")).unwrap_or_default();
        memchr::memmem::find(&memo, b"sandbox ").map(drop)
    });
    (0..1100).for_each(|number| deliver(&bridge, "/webhook", number));
    let first = journal.join(format!("{:020}.log", 1));
    eventually("retention has taken the delivery", || {
        (!first.exists()).then_some(())
    });
    bridge.kill();
    let bridge = Serving::start(&journal, &settings);
    assert_eq!(bridge.metrics().value(SANDBOX), at);
}
