//! `reverify`, with a bridge and without one.

use super::{NO_KAFKA, json, kafka, on, said};
use crate::support::eventually::eventually;
use crate::support::http;
use crate::support::process::{Serving, run};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::simulator::Simulator;
use std::path::Path;

/// Rejects so many deliveries that are signed with `new`, and waits until they are kept.
fn reject(bridge: &Serving, count: u64) {
    let simulator = Simulator::new(SecretSet::single(b"new").unwrap(), 3, 1);
    for number in 0..count {
        let request = simulator.delivery(EventKind::OrganizationTransaction, number);
        let headers = [("x-icr-signature-256", request.signature.as_str())];
        let response = http::post(bridge.ingress, "/webhook", &headers, &request.body);
        assert_eq!(response.status, 403);
    }
    eventually("they are kept", || {
        (bridge.metrics().value("rejected_ring_bytes") >= count as f64 * 1024.0).then_some(())
    });
}

fn reverify(journal: &Path, arguments: &[&str]) -> (i32, String) {
    said(&on(journal, &[&["reverify"], arguments].concat()))
}

#[test]
fn a_running_bridge_judges_with_the_secrets_that_it_has_in_force() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let (journal, secret) = (dir.path().join("journal"), dir.path().join("secret"));
    std::fs::write(&secret, "old").unwrap();
    let settings = [
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
        ("WEBHOOK_SECRET_FILE", secret.to_str().unwrap()),
    ];
    let bridge = Serving::start(&journal, &settings);
    reject(&bridge, 5);
    let (code, text) = reverify(&journal, &[]);
    let expected =
        "5 rejected deliveries judged again: 0 proven (0 journaled, 0 stored before), 5 unproven\n";
    assert_eq!((code, text.as_str()), (0, expected));
    std::fs::write(&secret, "new").unwrap();
    bridge.signal(libc::SIGHUP);
    eventually("it does so by itself", || {
        (bridge.metrics().value("deliveries_reverified_total") == 5.0).then_some(())
    });
    eventually("and publishes them", || {
        (bridge.metrics().sum("records_published_total") == 5.0).then_some(())
    });
    let output = on(&journal, &["reverify", "--json"]);
    let sum = json(&output);
    assert_eq!(
        (&sum["judged"], &sum["end"]),
        (&0.into(), &"completed".into())
    );
    assert_eq!(bridge.metrics().value("rejected_ring_bytes"), 0.0);
}

#[test]
fn without_a_bridge_it_journals_by_itself_and_a_dry_run_only_counts() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[NO_KAFKA, ("WEBHOOK_SECRET", "old")]);
    reject(&bridge, 7);
    bridge.terminate();
    let settings = [
        ("JOURNAL_DIR", dir.path().to_str().unwrap()),
        ("WEBHOOK_SECRET", "new"),
    ];
    let stats = || json(&on(dir.path(), &["stats", "--json"]));
    for _ in 0..2 {
        let dry = json(&run(&["reverify", "--dry-run", "--json"], &settings));
        assert_eq!((&dry["proven"], &dry["accepted"]), (&7.into(), &0.into()));
        assert_eq!(stats()["accepted"], 0);
    }
    let (code, text) = said(&run(&["reverify"], &settings));
    let expected =
        "7 rejected deliveries judged again: 7 proven (7 journaled, 0 stored before), 0 unproven\n";
    assert_eq!((code, text.as_str()), (0, expected));
    let stats = stats();
    assert_eq!(
        (&stats["accepted"], &stats["pending"], &stats["unaccounted"]),
        (&7.into(), &7.into(), &0.into())
    );
    let again = json(&run(&["reverify", "--json"], &settings));
    assert_eq!(again["judged"], 0);
}

#[test]
fn without_a_bridge_and_without_secrets_it_says_what_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    Serving::start(dir.path(), &[NO_KAFKA]).terminate();
    let (code, text) = reverify(dir.path(), &[]);
    assert_eq!(code, 64, "{text}");
    assert!(
        text.contains("no bridge runs") && text.contains("ICR_BRIDGE_WEBHOOK_SECRET"),
        "{text}"
    );
    assert!(!text.contains("KAFKA"), "{text}");
}

#[test]
fn where_nothing_is_kept_or_there_is_no_journal_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (code, text) = reverify(dir.path(), &[]);
    assert_eq!(code, 74, "{text}");
    assert!(text.contains("there is no journal"), "{text}");
    let bridge = Serving::start(dir.path(), &[NO_KAFKA, ("REJECTED_RING_BYTES", "0")]);
    let (code, text) = reverify(dir.path(), &[]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("ICR_BRIDGE_REJECTED_RING_BYTES is 0"),
        "{text}"
    );
    assert!(bridge.is_ready());
}
