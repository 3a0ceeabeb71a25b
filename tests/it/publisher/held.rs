//! What is held, over restarts and trouble with the folder.
use super::rig::*;
use super::stop;
use icr_bridge::domain::outcome::{HeldReason, Outcome};
use icr_bridge::domain::reasons::QuarantineReason;
use icr_bridge::publisher::FailureReason;
use rdkafka::types::RDKafkaApiKey::Produce;
use rdkafka::types::RDKafkaRespErr as E;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis() as i64
}

fn note(reason: QuarantineReason) -> Vec<u8> {
    let mut note = Vec::new();
    Outcome::Held {
        reason: HeldReason::Refused(reason),
    }
    .encode(&mut note);
    note
}

#[test]
fn a_held_delivery_keeps_its_reason_over_a_restart_and_is_offered_with_the_present_time() {
    let kafka = kafka_with(1);
    let mut rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 1, 100);
    // In its batch, alone, and as a quarantine record alone.
    let refusals = [E::RD_KAFKA_RESP_ERR_INVALID_RECORD; 3];
    kafka.with(move |cluster| cluster.request_errors(Produce, &refusals));
    rig.settings.timings.held_retry = Duration::from_secs(3600);
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    assert_eq!(rig.journal.held(), [1]);

    rig.reopen();
    rig.settings.timings.held_retry = Duration::from_millis(100);
    let before = now();
    let publisher = rig.start();
    eventually("it is released", || rig.journal.held().is_empty());
    stop(publisher);
    let quarantined = read(kafka.bootstrap_servers(), QUARANTINE, 1);
    assert_eq!(quarantined[0].header("ce_reason"), Some("record_invalid"));
    assert!(quarantined[0].timestamp.unwrap() >= before);
}

#[test]
fn a_copy_made_before_a_crash_counts_when_its_record_has_rotted_since() {
    let kafka = kafka();
    let mut rig = Rig::new(kafka.bootstrap_servers());
    for n in 0..9 {
        rig.deliveries(n, 1, 100);
    }
    rig.append(b"this one rots");
    for n in 9..18 {
        rig.deliveries(n, 1, 100);
    }
    let noted = note(QuarantineReason::RecordInvalid);
    let body = delivery(&payload(99, 10));
    rig.journal.hold(10, &noted, &body).unwrap();
    rig.journal.close();
    rig.rot(b"this one rots");
    rig.reopen();
    let publisher = rig.start();
    rig.until_published();
    eventually("it is released", || rig.journal.held().is_empty());
    stop(publisher);
    let quarantined = read(kafka.bootstrap_servers(), QUARANTINE, 1);
    assert_eq!(quarantined[0].header("ce_reason"), Some("record_invalid"));
    let told = rig.seen.told();
    assert_eq!((told.published, told.lost), (18, 0), "{told:?}");
    let ledger = rig.journal.ledger();
    assert_eq!((ledger.quarantined, ledger.unaccounted), (1, 0));
}

#[test]
fn a_copy_made_before_a_crash_goes_when_its_record_is_published_this_time() {
    let kafka = kafka();
    let mut rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 5, 100);
    rig.journal
        .hold(3, &note(QuarantineReason::RecordTooLarge), b"")
        .unwrap();
    rig.reopen();
    assert_eq!(rig.journal.held_ahead(), [3]);
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    let ledger = rig.journal.ledger();
    assert_eq!((ledger.published, ledger.held), (5, 0));
    let copy = rig.dir.path().join("journal/held/00000000000000000003");
    assert!(!copy.exists());
}

#[test]
fn what_cannot_be_held_now_waits_without_haste_and_is_held_when_it_can() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 2, 10);
    rig.append(b"\xffneither a record nor anything else");
    rig.deliveries(2, 2, 10);
    let held = rig.dir.path().join("journal/held");
    std::fs::remove_dir_all(&held).unwrap();
    std::fs::write(&held, b"no folder").unwrap();
    let publisher = rig.start();
    eventually("it is told again", || {
        let failures = rig.seen.told().failures;
        let journal = failures.iter().filter(|&&f| f == FailureReason::Journal);
        journal.count() >= 2
    });
    assert_eq!(rig.cursor(), 2);
    std::fs::remove_file(&held).unwrap();
    rig.until_published();
    stop(publisher);
    assert_eq!(rig.journal.held(), [3]);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 4));
}
