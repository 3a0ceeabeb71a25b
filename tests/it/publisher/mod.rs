//! From the journal to a broker within the process, through the faults that such a broker can be told to have.
mod disks;
mod held;
mod odd_brokers;
mod outages;
mod quarantine;
mod rig;

use icr_bridge::domain::outcome::Outcome;
use icr_bridge::publisher::Publisher;
use rig::*;
use std::sync::Arc;
use std::time::Duration;

fn stop(publisher: Publisher) {
    assert!(publisher.stop(Duration::from_secs(1)));
}

#[test]
fn everything_in_the_journal_is_published_in_order_and_counted() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 300, 100);
    let publisher = rig.start();
    rig.until_published();
    rig.deliveries(300, 50, 100);
    rig.until_published();
    stop(publisher);

    let records = read(kafka.bootstrap_servers(), MAIN, 350);
    assert_eq!(records.len(), 350, "nothing twice where nothing failed");
    assert_in_order(&records);
    let told = rig.seen.told();
    assert_eq!((told.published, told.again, told.rebuilt), (350, 0, 0));
    assert!(told.failures.is_empty(), "{told:?}");
    let ledger = rig.journal.ledger();
    assert_eq!((ledger.published, ledger.pending), (350, 0));
}

#[test]
fn each_outcome_tells_where_the_record_stands() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 1, 10);
    rig.append(&delivery("no JSON"));
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    rig.journal.close();
    let view = icr_bridge::journal::view::View::open(
        Arc::new(icr_bridge::journal::storage::Disk),
        &rig.dir.path().join("journal"),
    )
    .unwrap();
    let mut outcomes = Vec::new();
    view.outcomes(1, 2, &mut |_, bytes| {
        outcomes.push(format!("{:?}", Outcome::decode(bytes).unwrap()));
    })
    .unwrap();
    assert!(
        outcomes[0].contains("Published { topic: \"icr.webhooks\""),
        "{outcomes:?}"
    );
    assert!(outcomes[0].contains("offset: 0"), "{outcomes:?}");
    assert!(outcomes[1].contains("PayloadNotJson"), "{outcomes:?}");
}

#[test]
fn a_restart_goes_on_behind_the_cursor() {
    let kafka = kafka();
    let mut rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 20, 10);
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    rig.reopen();
    assert_eq!(rig.cursor(), 20);
    rig.deliveries(20, 20, 10);
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    let records = read(kafka.bootstrap_servers(), MAIN, 40);
    assert_eq!(records.len(), 40);
    assert_in_order(&records);
}

#[test]
fn a_publisher_dropped_in_the_middle_repeats_some_and_loses_none() {
    let kafka = kafka();
    let mut rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 2000, 100);
    let publisher = rig.start();
    eventually("some are published", || rig.seen.told().published > 100);
    drop(publisher);
    rig.reopen();
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 2000));
}

#[test]
fn deliveries_lost_to_damage_are_told_and_passed() {
    let kafka = kafka();
    let mut rig = Rig::new(kafka.bootstrap_servers());
    for n in 0..9 {
        rig.deliveries(n, 1, 100);
    }
    rig.append(b"this one rots");
    for n in 9..18 {
        rig.deliveries(n, 1, 100);
    }
    rig.journal.close();
    rig.rot(b"this one rots");
    rig.reopen();
    let publisher = rig.start();
    eventually("all that is left is published", || rig.cursor() == 19);
    stop(publisher);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 18));
    let told = rig.seen.told();
    assert_eq!((told.published, told.lost), (18, 1), "{told:?}");
}

#[test]
fn what_this_bridge_cannot_read_is_held_and_stops_nothing() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 2, 10);
    rig.append(b"\xffneither a record nor anything else");
    rig.deliveries(2, 2, 10);
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    assert_eq!(rig.journal.held(), [3]);
    assert_eq!(
        rig.journal.read_held(3).unwrap().1,
        b"\xffneither a record nor anything else"
    );
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 4));
}

#[test]
fn the_cursor_becomes_durable_by_itself() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 10, 10);
    let publisher = rig.start();
    eventually("it is durable", || {
        rig.journal.durable_progress().sequence == 10
    });
    stop(publisher);
}
