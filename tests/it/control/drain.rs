//! `drain`, with a bridge and without one.

use super::{NO_KAFKA, accept_transactions, finish, json, kafka, on, said};
use crate::support::eventually::eventually;
use crate::support::process::{Serving, command, run};
use icr_bridge::mock_kafka::TopicReader;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn drain_waits_until_everything_is_published() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    accept_transactions(&bridge, 0..200);
    let output = on(dir.path(), &["drain", "--json"]);
    assert_eq!(said(&output).0, 0, "{}", said(&output).1);
    let summary = json(&output);
    assert_eq!(
        (&summary["end"], &summary["pending"]),
        (&"drained".into(), &0.into())
    );
    let metrics = bridge.metrics();
    assert_eq!(metrics.value("journal_pending_deliveries"), 0.0);
    assert_eq!(metrics.sum("records_published_total"), 200.0);
    let again = said(&on(dir.path(), &["drain"]));
    assert_eq!(
        again,
        (0, "drained: 0 deliveries, none pending\n".to_owned())
    );
}

#[test]
fn drain_gives_up_when_its_time_is_up_and_says_what_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    accept_transactions(&bridge, 0..3);
    let (code, text) = said(&on(dir.path(), &["drain", "--timeout", "300ms"]));
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("the time is up") && text.contains("3 pending"),
        "{text}"
    );
    let (code, text) = said(&on(dir.path(), &["drain", "--timeout", "soon"]));
    assert_eq!(code, 64);
    assert!(text.contains("such as 30s"), "{text}");
}

#[test]
fn drain_comes_to_an_end_while_deliveries_keep_coming() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let mut number = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                accept_transactions(&bridge, number..number + 1);
                number += 1;
            }
            number
        });
        for _ in 0..5 {
            let (code, text) = said(&on(dir.path(), &["drain", "--timeout", "20s"]));
            assert_eq!(code, 0, "{text}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(traffic.join().unwrap() > 5);
    });
}

#[test]
fn an_interrupted_drain_ends_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    accept_transactions(&bridge, 0..1);
    let settings = [("JOURNAL_DIR", dir.path().to_str().unwrap())];
    let mut drain = command(&["drain", "--json"], &settings);
    let mut drain = drain
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It listens to signals before it says anything.
    let mut byte = [0; 1];
    drain
        .stderr
        .as_mut()
        .unwrap()
        .read_exact(&mut byte)
        .unwrap();
    // SAFETY: a signal to a child that has not been waited for.
    unsafe { libc::kill(drain.id() as i32, libc::SIGINT) };
    let output = finish(drain);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["end"], "cancelled");
    assert!(bridge.is_ready());
}

#[test]
fn without_a_bridge_drain_publishes_by_itself() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    let ids = accept_transactions(&bridge, 0..50);
    bridge.kill();
    let journal = dir.path().to_str().unwrap();
    let settings = [
        ("JOURNAL_DIR", journal),
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
    ];
    let output = run(&["drain"], &settings);
    assert_eq!(said(&output).0, 0, "{}", said(&output).1);
    let stats = json(&on(dir.path(), &["stats", "--json"]));
    assert_eq!(
        (&stats["published"], &stats["unaccounted"]),
        (&50.into(), &0.into())
    );
    let mut reader = TopicReader::open(kafka.bootstrap_servers(), &["icr.webhooks"]).unwrap();
    let mut found = Vec::new();
    while let Some(record) = reader.next(Duration::from_secs(2)).unwrap() {
        found.push(record.header("ce_id").unwrap().to_owned());
    }
    found.sort();
    let mut wanted = ids;
    wanted.sort();
    assert_eq!(found, wanted);
}

#[test]
fn without_a_bridge_and_without_kafka_settings_drain_says_what_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    Serving::start(dir.path(), &[NO_KAFKA]).terminate();
    let (code, text) = said(&on(dir.path(), &["drain"]));
    assert_eq!(code, 64, "{text}");
    assert!(
        text.contains("no bridge runs") && text.contains("ICR_BRIDGE_KAFKA_BROKERS"),
        "{text}"
    );
    assert!(!text.contains("WEBHOOK_SECRET"), "{text}");
}

#[test]
fn where_there_is_no_journal_drain_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    for journal in [nowhere.as_path(), dir.path()] {
        let (code, text) = said(&on(journal, &["drain"]));
        assert_eq!(code, 74, "{text}");
        assert!(text.contains("there is no journal"), "{text}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_journal_held_by_a_process_that_does_not_listen_is_75() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path();
    let bridge = Serving::start(journal, &[NO_KAFKA]);
    std::fs::remove_file(journal.join("control.sock")).unwrap();
    let (code, text) = said(&on(journal, &["drain"]));
    assert_eq!(code, 75, "{text}");
    drop(bridge);
}

#[test]
fn a_drain_that_meets_a_bridge_about_to_leave_waits_for_the_lock() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    accept_transactions(&bridge, 0..5);
    std::fs::remove_file(dir.path().join("control.sock")).unwrap();
    let journal = dir.path().to_str().unwrap();
    let settings = [
        ("JOURNAL_DIR", journal),
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
    ];
    let mut drain = command(&["drain"], &settings).spawn().unwrap();
    bridge.terminate();
    let status = eventually("drain ends", || drain.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}
