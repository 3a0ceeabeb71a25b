//! The ring with its thread and the use case around it: judged again, told and counted by value.

use super::rig::{KEPT, Rig, START, Sender, envelope, forged, options, reverify, simulator};
use crate::support::eventually::eventually;
use crate::support::sim_storage::SimStorage;
use icr_bridge::domain::delivery::Millis;
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::glance::Named;
use icr_bridge::domain::reasons::{Refusal, Rejection};
use icr_bridge::ingest::{Ingest, IngestError, Receipt, Reverified, Reverifier};
use icr_bridge::journal::Journal;
use icr_bridge::metrics::Metrics;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

const DIR: &str = "/journal";
const ICR: Sender = Sender(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)));
const TRANSACTION: EventKind = EventKind::OrganizationTransaction;
const CAPACITY: u64 = 1 << 20;

fn open(disk: &SimStorage, secret: &str) -> Rig {
    Rig::open(Arc::new(disk.clone()), Path::new(DIR), secret, CAPACITY)
}

/// Rejects deliveries with these numbers, signed with `new`, a second apart.
fn reject(rig: &Rig, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let request = simulator("new", 5).delivery(TRANSACTION, number);
        rig.reject(ICR, Millis(START + number * 1000), &request);
    }
    assert!(rig.ring.flush());
}

#[test]
fn a_rejected_delivery_is_journaled_once_its_secret_is_in_force_as_of_its_arrival() {
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    let request = simulator("new", 5).delivery(TRANSACTION, 1);
    let rejected = rig.deliver(ICR, &request);
    assert_eq!(
        rejected,
        Err(IngestError::Rejected(Rejection::SignatureWrong))
    );
    assert_eq!(
        rig.reverify(),
        Reverified {
            judged: 1,
            unproven: 1,
            ..Reverified::default()
        }
    );
    let between = icr_bridge::ingest::wall_clock();
    rig.replace_secret("new");
    let later = simulator("new", 5).delivery(TRANSACTION, 2);
    assert!(matches!(rig.deliver(ICR, &later), Ok(Receipt::Accepted(_))));
    let back = rig.reverify();
    assert_eq!(
        back,
        Reverified {
            judged: 1,
            proven: 1,
            accepted: 1,
            ..Reverified::default()
        }
    );
    let journaled = rig.journaled();
    assert_eq!(journaled.len(), 2);
    assert_eq!(journaled[1].1, request.body, "behind what came meanwhile");
    assert!(journaled[1].0 <= between && journaled[1].0 <= journaled[0].0);
    assert_eq!(rig.reverify(), Reverified::default());
    assert_eq!(rig.metrics.reverified.get(), 1);
    assert_eq!(rig.metrics.ring.bytes.get(), 0);
    rig.close();
}

#[test]
fn what_the_journal_has_already_is_a_repeat_and_leaves_the_ring() {
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    reject(&rig, 0..3);
    rig.replace_secret("new");
    let again = simulator("new", 5).delivery(TRANSACTION, 1);
    assert!(matches!(rig.deliver(ICR, &again), Ok(Receipt::Accepted(_))));
    let back = rig.reverify();
    assert_eq!(
        back,
        Reverified {
            judged: 3,
            proven: 3,
            accepted: 2,
            duplicates: 1,
            ..Reverified::default()
        }
    );
    assert_eq!(rig.ring.amount(), Default::default());
    assert_eq!(rig.journaled().len(), 3);
    rig.close();
}

#[test]
fn a_dry_run_counts_and_changes_nothing() {
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    reject(&rig, 0..3);
    rig.offer(ICR, Millis(START), forged(1), &envelope("{}"));
    rig.replace_secret("new");
    assert!(rig.ring.flush());
    let before = rig.ring.amount();
    for _ in 0..2 {
        let would = reverify(&rig.ingest, true).unwrap();
        let expected = Reverified {
            judged: 4,
            dry_run: true,
            proven: 3,
            unproven: 1,
            ..Reverified::default()
        };
        assert_eq!(would, expected);
        assert_eq!(
            would.to_string(),
            "4 rejected deliveries judged again: 3 would be proven, 1 unproven"
        );
    }
    assert_eq!((rig.ring.amount(), before.strangers), (before, 4));
    assert_eq!(rig.journal.last_sequence(), 0);
    assert_eq!(rig.metrics.reverified.get(), 0);
    rig.close();
}

#[test]
fn what_the_journal_refuses_stays_and_is_no_loss() {
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    reject(&rig, 0..30);
    rig.ring.flush();
    rig.replace_secret("new");
    disk.leave_free(0);
    disk.fail(crate::support::sim_storage::Operation::Sync, 1000);
    let refused = rig.reverify();
    assert_eq!((refused.proven, refused.accepted), (30, 0), "{refused}");
    assert_eq!(refused.refused, 30);
    assert!(
        refused
            .to_string()
            .contains("30 could not be stored and are still kept")
    );
    let text = rig.metrics.collect(&rig.journal, 0).unwrap();
    for refusal in Refusal::ALL {
        let series = format!("deliveries_refused_total{{reason=\"{refusal}\"}} 0");
        assert!(text.contains(&series), "{series}");
    }
    disk.heal();
    let back = rig.reverify();
    assert_eq!((back.accepted, back.refused), (30, 0), "{back}");
    assert_eq!(rig.metrics.reverified.get(), 30);
    rig.close();
}

#[test]
fn a_crash_between_journal_and_ring_brings_repeats_and_no_loss() {
    let mut repeats = 0;
    for operations in 0..40 {
        let disk = SimStorage::new(1);
        let rig = open(&disk, "old");
        reject(&rig, 0..20);
        rig.close();
        let rig = open(&disk, "new");
        assert!(rig.ring.flush());
        disk.light_fuse(operations);
        let first = rig.reverify();
        disk.power_off();
        rig.close();
        disk.power_on(u64::from(operations));
        let rig = open(&disk, "new");
        let second = rig.reverify();
        let mut bodies: Vec<Vec<u8>> = rig.journaled().into_iter().map(|(_, body)| body).collect();
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), 20, "after {operations}: {first}; {second}");
        assert_eq!(rig.journaled().len(), 20, "none twice");
        assert_eq!(rig.ring.amount(), Default::default());
        rig.close();
        repeats += second.duplicates;
    }
    assert!(repeats > 0, "some crashes fell in between");
}

#[test]
fn what_was_kept_for_its_time_goes_by_itself() {
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    reject(&rig, 0..20);
    disk.advance_clock(KEPT.as_millis() as u64 + 10_000);
    eventually("those that came before are gone", || {
        let count = rig.ring.amount().strangers;
        (count < 20).then_some(count)
    });
    // It came 10 s after the first.
    assert_eq!(rig.ring.amount().strangers, 10);
    assert_eq!(rig.dropped(), 0, "they had their time");
    rig.close();
    let rig = open(&disk, "old");
    assert!(rig.ring.flush());
    assert_eq!(rig.ring.amount().strangers, 10);
    rig.close();
}

#[test]
fn what_is_known_survives_a_restart_and_a_damaged_memory_is_no_trouble() {
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    reject(&rig, 0..1);
    assert_eq!(
        (rig.ring.amount().familiar, rig.ring.amount().strangers),
        (0, 1)
    );
    rig.deliver(ICR, &simulator("old", 1).delivery(TRANSACTION, 7))
        .unwrap();
    reject(&rig, 1..2);
    assert_eq!(
        (rig.ring.amount().familiar, rig.ring.amount().strangers),
        (1, 1)
    );
    rig.close();
    let rig = open(&disk, "old");
    assert!(rig.ring.flush());
    assert_eq!(rig.ring.amount().familiar, 2, "judged by what is known now");
    rig.close();
    disk.edit(&Path::new(DIR).join("rejected/known-1"), |bytes| {
        bytes[20] ^= 1
    });
    let rig = open(&disk, "old");
    assert!(rig.ring.flush());
    assert_eq!(rig.ring.amount().familiar, 0);
    rig.close();
}

#[test]
fn only_the_payload_makes_a_delivery_familiar_whatever_stands_beside_it() {
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    rig.deliver(ICR, &simulator("old", 1).delivery(TRANSACTION, 7))
        .unwrap();
    let pretended = br#"{"installation":{"appId":"1","id":"101"},"signedData":"e30="}"#;
    rig.offer(ICR, Millis(START), forged(1), pretended);
    assert!(rig.ring.flush());
    assert_eq!(
        (rig.ring.amount().familiar, rig.ring.amount().strangers),
        (0, 1)
    );
    rig.close();
}

#[test]
fn once_the_ring_is_full_a_peer_s_burst_is_cut_at_the_door_before_it_is_copied() {
    // 1 MiB are 2,048 blocks; each of these takes one.
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    rig.deliver(ICR, &simulator("old", 1).delivery(TRANSACTION, 7))
        .unwrap();
    let attacker = Sender(IpAddr::from([198, 51, 100, 1]));
    let stranger = envelope(r#"{"installation":{"appId":"other"}}"#);
    (0..2100).for_each(|number| rig.offer(attacker, Millis(START), forged(number), &stranger));
    assert!(rig.ring.flush());
    assert!(rig.ring.amount().strangers > 2000);
    let familiar = envelope(r#"{"installation":{"appId":"1"}}"#);
    for number in 3000..5040 {
        rig.offer(attacker, Millis(START), forged(number), &familiar);
        if number % 500 == 0 {
            assert!(rig.ring.flush());
        }
    }
    assert!(rig.ring.flush());
    assert_eq!(
        rig.ring.amount().familiar,
        2000,
        "as many as the door lets in at once"
    );
    rig.close();
}

#[test]
fn what_was_judged_again_does_not_set_the_time_of_the_last_delivery_back() {
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    reject(&rig, 0..1);
    rig.replace_secret("new");
    rig.deliver(ICR, &simulator("new", 5).delivery(TRANSACTION, 9))
        .unwrap();
    let last = |rig: &Rig| {
        let text = rig.metrics.collect(&rig.journal, 0).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("icr_bridge_last_accepted"));
        line.unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    let before = last(&rig);
    assert_eq!(rig.reverify().accepted, 1);
    assert_eq!(last(&rig), before);
    rig.close();
    let rig = open(&disk, "new");
    assert_eq!(last(&rig), before, "after a restart too");
    rig.close();
}

#[test]
fn a_file_that_cannot_be_opened_is_tried_again_and_keeps_nobody_waiting() {
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    reject(&rig, 0..3);
    rig.close();
    disk.refuse(&Path::new(DIR).join("rejected/ring-1"), libc::EMFILE);
    let rig = open(&disk, "new");
    eventually("it is known that it cannot be opened", || {
        (!rig.ring.flush()).then_some(())
    });
    assert!(reverify(&rig.ingest, false).is_err());
    assert!(
        rig.deliver(ICR, &simulator("new", 5).delivery(TRANSACTION, 9))
            .is_ok()
    );
    disk.heal();
    eventually("it is open", || rig.ring.flush().then_some(()));
    assert_eq!(rig.reverify().accepted, 3, "nothing was overwritten");
    rig.close();
}

#[test]
fn without_a_ring_nothing_is_kept_and_asking_for_it_is_answered() {
    let disk = SimStorage::new(1);
    let journal = Journal::open(Arc::new(disk), options(Path::new(DIR)), Arc::new(Silent)).unwrap();
    let metrics = Arc::new(Metrics::new(["default"], "t").unwrap());
    let ingest = Arc::new(Ingest::new(journal, &[], 10, metrics).unwrap());
    let answer = reverify(&ingest, false).unwrap_err();
    assert!(
        answer
            .to_string()
            .contains("ICR_BRIDGE_REJECTED_RING_BYTES is 0")
    );
    Reverifier::start(ingest).unwrap().stop();
}

struct Silent;

impl icr_bridge::journal::Observer for Silent {}

#[test]
fn a_changed_secret_brings_back_what_it_proves_by_itself_also_what_comes_at_that_moment() {
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    let reverifier = Reverifier::start(Arc::clone(&rig.ingest)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..200 {
                let request = simulator("new", 5).delivery(TRANSACTION, number);
                let _ = rig.deliver(ICR, &request);
            }
        });
        eventually("some are rejected", || {
            (rig.ring.amount().bytes > 0).then_some(())
        });
        rig.replace_secret("new");
    });
    eventually("none is missing", || {
        (rig.journal.last_sequence() == 200).then_some(())
    });
    assert!(rig.metrics.reverified.get() > 0);
    eventually("none is kept any more", || {
        (rig.ring.amount().bytes == 0).then_some(())
    });
    reverifier.stop();
    rig.close();
}

#[test]
fn a_delivery_of_an_app_that_is_gone_stays() {
    let disk = SimStorage::new(1);
    let rig = open(&disk, "old");
    let request = simulator("old", 5).delivery(TRANSACTION, 1);
    let signature =
        icr_bridge::domain::signature::Signature::from_headers([request.signature.as_bytes()]);
    rig.ring.offer(icr_bridge::rejected::Rejected {
        app: "gone",
        at: Millis(START),
        peer: icr_bridge::rejected::Peer::of(None),
        signature: signature.unwrap(),
        headers: &[],
        named: Named::default(),
        body: &request.body,
    });
    let judged = rig.reverify();
    assert_eq!((judged.judged, judged.unproven), (1, 1));
    rig.close();
}
