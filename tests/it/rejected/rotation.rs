//! A rotation in the wrong order, from outside: changed at ICR first, then here. HTTP in, Kafka out, the real process.

use crate::support::app::{NO_KAFKA, TestApp};
use crate::support::eventually::eventually;
use crate::support::http;
use crate::support::process::Serving;
use icr_bridge::domain::cloudevent::rfc3339;
use icr_bridge::domain::event::EventKind;
use icr_bridge::ingest::wall_clock;
use icr_bridge::journal::storage::Disk;
use icr_bridge::journal::view::View;
use icr_bridge::mock_kafka::{ConsumedRecord, MockKafka, MockTopic, TopicReader};
use icr_bridge::simulator::{Request, Simulator};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const TRANSACTION: EventKind = EventKind::OrganizationTransaction;

fn simulator(secret: &str) -> Simulator {
    super::rig::simulator(secret, 5)
}

fn post(ingress: SocketAddr, path: &str, request: &Request) -> u16 {
    let headers = [("x-icr-signature-256", request.signature.as_str())];
    http::post(ingress, path, &headers, &request.body).status
}

fn deliver(bridge: &Serving, secret: &str, number: u64) -> u16 {
    post(
        bridge.ingress,
        "/webhook",
        &simulator(secret).delivery(TRANSACTION, number),
    )
}

fn ring_file(journal: &Path) -> std::path::PathBuf {
    journal.join("rejected/ring-1")
}

#[test]
fn what_was_rejected_between_two_changes_of_the_secret_reaches_kafka_with_its_time_of_arrival() {
    let topics = ["icr.webhooks", "icr.webhooks.quarantine"];
    let kafka = MockKafka::start(&topics.map(|topic| MockTopic::new(topic, 1))).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (journal, secret) = (dir.path().join("journal"), dir.path().join("secret"));
    std::fs::write(&secret, "old\n").unwrap();
    let settings = [
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
        ("WEBHOOK_SECRET_FILE", secret.to_str().unwrap()),
    ];
    let bridge = Serving::start(&journal, &settings);
    assert_eq!(deliver(&bridge, "old", 0), 202);

    // ICR signs with the new secret from now on.
    let before = wall_clock();
    (1..=20).for_each(|number| assert_eq!(deliver(&bridge, "new", number), 403));
    let unintelligible = simulator("new").unintelligible(21);
    assert_eq!(post(bridge.ingress, "/webhook", &unintelligible), 403);
    let after = wall_clock();
    let line = "20 rejected deliveries that name an appId proven before are kept, and 1 others";
    let told = |bridge: &Serving| bridge.log().iter().any(|logged| logged.contains(line));
    eventually("the ring is filled", || {
        (bridge.metrics().value("rejected_ring_bytes") >= 20.0 * 2048.0).then_some(())
    });
    assert_eq!(
        bridge.metrics().value("rejected_ring_capacity_bytes"),
        67_108_864.0
    );
    // Nothing of that is lost with the process.
    eventually("all of it is kept", || {
        let file = std::fs::metadata(ring_file(&journal)).ok()?;
        (file.len() as f64 == bridge.metrics().value("rejected_ring_bytes")
            && bridge
                .metrics()
                .value("deliveries_rejected_total{app=\"default\",reason=\"signature_wrong\"}")
                == 21.0
            && file.len() > 20 * 2048)
            .then_some(())
    });
    // Killed before, it would publish the first delivery twice.
    eventually("the cursor has passed what was published", || {
        let view = View::open(Arc::new(Disk), &journal).ok()?;
        (view.ledger().ok()?.pending == 0).then_some(())
    });
    bridge.kill();
    let bridge = Serving::start(&journal, &settings);
    eventually("a line says what is kept and what to do", || {
        told(&bridge).then_some(())
    });
    let log = bridge.log().join("\n");
    assert!(log.contains("icr-bridge reverify"), "{log}");
    assert_eq!(bridge.metrics().value("deliveries_reverified_total"), 0.0);

    // And now here.
    std::fs::write(&secret, "new\nold\n").unwrap();
    bridge.signal(libc::SIGHUP);
    let metrics = eventually("all are published", || {
        let metrics = bridge.metrics();
        let published =
            metrics.sum("records_published_total") + metrics.sum("records_quarantined_total");
        (published == 21.0).then_some(metrics)
    });
    assert_eq!(deliver(&bridge, "old", 30), 202);
    for (series, value) in [
        ("deliveries_reverified_total", 21.0),
        (
            "deliveries_accepted_total{app=\"default\",event=\"organizationTransaction\"}",
            20.0,
        ),
        (
            "deliveries_accepted_total{app=\"default\",event=\"other\"}",
            1.0,
        ),
        ("deliveries_duplicate_total{app=\"default\"}", 0.0),
        ("secret_matched_total{app=\"default\",position=\"0\"}", 21.0),
        ("rejected_ring_bytes", 0.0),
        ("rejected_ring_dropped_total", 0.0),
        ("unaccounted_deliveries", 0.0),
    ] {
        assert_eq!(metrics.value(series), value, "{series}");
    }
    let published = read(&kafka, &topics, 23);
    let late: Vec<&ConsumedRecord> = published
        .iter()
        .filter(|record| sequence(record) > 1 && sequence(record) <= 22)
        .collect();
    assert_eq!(late.len(), 21);
    for record in late {
        let time = record.header("ce_time").unwrap();
        let (from, to) = (rfc3339(before), rfc3339(after));
        assert!(
            *from <= *time && *time <= *to,
            "{time} not within {from} and {to}"
        );
        assert_eq!(rfc3339_of(record.timestamp.unwrap()), time);
    }
    let order: Vec<&str> = published
        .iter()
        .filter(|record| record.topic == "icr.webhooks" && (2..=22).contains(&sequence(record)))
        .map(|record| record.header("ce_time").unwrap())
        .collect();
    assert!(order.is_sorted(), "in the order of arrival: {order:?}");
    assert_eq!(bridge.terminate().code(), Some(0));
}

fn sequence(record: &ConsumedRecord) -> u64 {
    record
        .header("ce_journalsequence")
        .unwrap()
        .parse()
        .unwrap()
}

fn rfc3339_of(millis: i64) -> String {
    rfc3339(icr_bridge::domain::delivery::Millis(millis as u64))
}

fn read(kafka: &MockKafka, topics: &[&str], count: usize) -> Vec<ConsumedRecord> {
    let mut reader = TopicReader::open(kafka.bootstrap_servers(), topics).unwrap();
    let next = || {
        reader
            .next(Duration::from_secs(20))
            .unwrap()
            .expect("a record")
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn a_secret_in_a_variable_takes_effect_on_what_was_rejected_with_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let app = TestApp::on(&journal, &[("WEBHOOK_SECRET", "old")]).unwrap();
    for number in 0..10 {
        let request = simulator("new").delivery(TRANSACTION, number);
        assert_eq!(app.deliver(&request).status, 403);
    }
    assert_eq!(app.stop().accepted, 0);
    let app = TestApp::on(&journal, &[("WEBHOOK_SECRET", "new")]).unwrap();
    eventually("all are back", || {
        (app.metrics().value("deliveries_reverified_total") == 10.0).then_some(())
    });
    let repeat = app.deliver(&simulator("new").delivery(TRANSACTION, 3));
    assert_eq!(repeat.json()["status"], "duplicate");
    assert_eq!(app.metrics().value("rejected_ring_bytes"), 0.0);
    assert_eq!(app.stop().accepted, 10);
}

#[test]
fn each_app_s_rejected_deliveries_are_judged_with_its_own_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    std::fs::write(&one, "old one").unwrap();
    std::fs::write(&two, "old two").unwrap();
    let files = format!("one={},two={}", one.display(), two.display());
    let settings = [
        ("APP_SECRET_FILES", files.as_str()),
        ("KAFKA_TOPIC", "{app}"),
    ];
    let app = TestApp::on(&journal, &settings).unwrap();
    for path in ["/webhook/one", "/webhook/two"] {
        assert_eq!(
            post(
                app.ingress,
                path,
                &simulator("new").delivery(TRANSACTION, 1)
            ),
            403
        );
    }
    drop(app);
    std::fs::write(&two, "new").unwrap();
    let app = TestApp::on(&journal, &settings).unwrap();
    eventually("one is back", || {
        (app.metrics().value("deliveries_reverified_total") == 1.0).then_some(())
    });
    let accepted = |app: &TestApp, name| {
        let series = format!(
            "deliveries_accepted_total{{app=\"{name}\",event=\"organizationTransaction\"}}"
        );
        app.metrics().value(&series)
    };
    assert_eq!((accepted(&app, "one"), accepted(&app, "two")), (0.0, 1.0));
    assert!(
        app.metrics().value("rejected_ring_bytes") > 0.0,
        "the other stays"
    );
}

#[test]
fn only_what_fails_for_its_secret_alone_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::on(dir.path(), &[]).unwrap();
    let forged = app.simulator().forged(TRANSACTION, 1);
    let with = |signature: &str| {
        let headers: &[(&str, &str)] = &[("x-icr-signature-256", signature)];
        http::post(app.ingress, "/webhook", headers, &forged.body).status
    };
    let without = http::post(app.ingress, "/webhook", &[], &forged.body).status;
    assert_eq!((with("sha256=12"), without), (403, 403));
    let headers = [("x-icr-signature-256", forged.signature.as_str())];
    for body in [&b"{}"[..], b"{\"signedData\":1}", b"not JSON"] {
        assert_eq!(
            http::post(app.ingress, "/webhook", &headers, body).status,
            400
        );
    }
    assert_eq!(app.metrics().value("rejected_ring_bytes"), 0.0);
    // Sent after the others: once it is kept, they would have been.
    (0..3).for_each(|_| assert_eq!(app.deliver(&forged).status, 403));
    eventually("the one is kept", || {
        (app.metrics().value("rejected_ring_bytes") > 0.0).then_some(())
    });
    assert_eq!(app.metrics().value("rejected_ring_dropped_total"), 0.0);
    let bytes = app.metrics().value("rejected_ring_bytes");
    drop(app);
    let (size, file) = (forged.body.len() as u64, ring_file(dir.path()));
    let file = std::fs::metadata(file).unwrap().len();
    assert!(
        file > size && file < size * 3 / 2 + 512,
        "{file} for {size}"
    );
    assert_eq!(bytes, file as f64);
}

#[test]
fn the_files_are_the_owner_s_alone() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let app = TestApp::on(&journal, &[]).unwrap();
    app.deliver(&app.simulator().delivery(TRANSACTION, 1));
    app.deliver(&app.simulator().forged(TRANSACTION, 2));
    drop(app);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&journal.join("rejected")), 0o700);
    assert_eq!(mode(&ring_file(&journal)), 0o600);
    assert_eq!(mode(&journal.join("rejected/known-1")), 0o600);
}

#[test]
fn a_size_of_0_keeps_nothing_and_deletes_what_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let app = TestApp::on(&journal, &[]).unwrap();
    app.deliver(&app.simulator().forged(TRANSACTION, 1));
    drop(app);
    assert!(ring_file(&journal).exists());
    let app = TestApp::on(&journal, &[("REJECTED_RING_BYTES", "0")]).unwrap();
    assert!(!ring_file(&journal).exists());
    assert_eq!(
        app.deliver(&app.simulator().forged(TRANSACTION, 2)).status,
        403
    );
    let metrics = app.metrics();
    assert_eq!(metrics.value("rejected_ring_capacity_bytes"), 0.0);
    assert_eq!(metrics.value("rejected_ring_bytes"), 0.0);
    assert_eq!(metrics.value("rejected_ring_dropped_total"), 0.0);
    drop(app);
    assert!(!ring_file(&journal).exists());
}

#[test]
fn damaged_files_keep_nothing_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    std::fs::create_dir_all(journal.join("rejected")).unwrap();
    std::fs::write(ring_file(&journal), vec![0x5a; 100_000]).unwrap();
    std::fs::write(journal.join("rejected/known-1"), b"icrknow1 and no more").unwrap();
    let bridge = Serving::start(&journal, &[("KAFKA_BROKERS", NO_KAFKA)]);
    let genuine = super::rig::simulator(crate::support::app::SECRET, 5);
    assert_eq!(
        post(
            bridge.ingress,
            "/webhook",
            &genuine.delivery(TRANSACTION, 1)
        ),
        202
    );
    assert_eq!(
        post(bridge.ingress, "/webhook", &genuine.forged(TRANSACTION, 1)),
        403
    );
    eventually("it is kept", || {
        (bridge.metrics().value("rejected_ring_bytes") > 0.0).then_some(())
    });
    assert_eq!(bridge.terminate().code(), Some(0));
}

#[test]
fn a_journal_folder_whose_subfolder_cannot_be_made_keeps_nothing_from_being_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    std::fs::create_dir_all(&journal).unwrap();
    // A file where the folder should be.
    std::fs::write(journal.join("rejected"), b"").unwrap();
    let app = TestApp::on(&journal, &[]).unwrap();
    assert_eq!(
        app.deliver(&app.simulator().forged(TRANSACTION, 1)).status,
        403
    );
    assert_eq!(
        app.deliver(&app.simulator().delivery(TRANSACTION, 1))
            .status,
        202
    );
}
