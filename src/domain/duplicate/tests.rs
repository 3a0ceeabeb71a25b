use super::*;
use crate::delivery::Millis;

fn tag(app: u32, kind: Option<EventKind>, installation: Option<u64>, content: u8) -> Tag {
    Tag {
        kind,
        accepted_at: Millis(0),
        app,
        installation,
        fingerprint: [content; 16],
    }
}

fn suspended(content: u8) -> Tag {
    tag(1, Some(EventKind::Suspended), Some(7), content)
}

fn transaction(content: u8) -> Tag {
    tag(1, Some(EventKind::WarehouseTransaction), Some(7), content)
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn seen(number: u128) -> Sighting {
    Sighting::Seen {
        first: id(number),
        pending: false,
    }
}

fn window(tags: &[Tag]) -> DuplicateWindow {
    let mut window = DuplicateWindow::new(100);
    for (tag, number) in tags.iter().zip(1..) {
        window.insert(tag, id(number), false);
    }
    window
}

#[test]
fn a_transaction_is_seen_anywhere_in_the_window() {
    let window = window(&[transaction(1), suspended(2), transaction(3)]);
    assert_eq!(window.look(&transaction(1)), seen(1));
    assert_eq!(window.look(&transaction(3)), seen(3));
    assert_eq!(window.look(&transaction(2)), Sighting::New);
}

#[test]
fn suspended_unsuspended_suspended_is_three_events() {
    let mut window = window(&[suspended(1)]);
    assert_eq!(window.look(&suspended(1)), seen(1));
    window.insert(&suspended(2), id(2), false);
    assert_eq!(window.look(&suspended(1)), Sighting::New);
    window.insert(&suspended(1), id(3), false);
    assert_eq!(window.look(&suspended(1)), seen(3));
}

#[test]
fn a_transaction_between_does_not_hide_the_latest_lifecycle_event() {
    let window = window(&[suspended(1), transaction(2)]);
    assert_eq!(window.look(&suspended(1)), seen(1));
}

#[test]
fn an_unknown_or_unintelligible_delivery_of_the_installation_does() {
    for kind in [None, Some(EventKind::Other)] {
        let between = tag(1, kind, Some(7), 9);
        let window = window(&[suspended(1), between]);
        assert_eq!(window.look(&suspended(1)), Sighting::New);
        assert_eq!(window.look(&between), Sighting::New);
    }
    let elsewhere = tag(1, Some(EventKind::Other), Some(8), 9);
    assert_eq!(
        window(&[suspended(1), elsewhere]).look(&suspended(1)),
        seen(1)
    );
}

#[test]
fn a_lifecycle_event_without_an_installation_is_always_new() {
    let nowhere = tag(1, Some(EventKind::Suspended), None, 1);
    assert_eq!(window(&[nowhere]).look(&nowhere), Sighting::New);
}

#[test]
fn apps_do_not_see_each_other() {
    let window = window(&[suspended(1), transaction(2)]);
    assert_eq!(
        window.look(&Tag {
            app: 2,
            ..suspended(1)
        }),
        Sighting::New
    );
    assert_eq!(
        window.look(&Tag {
            app: 2,
            ..transaction(2)
        }),
        Sighting::New
    );
}

#[test]
fn an_entry_is_pending_until_it_is_settled() {
    let mut window = DuplicateWindow::new(10);
    let entry = window.insert(&transaction(1), id(1), true);
    assert_eq!(
        window.look(&transaction(1)),
        Sighting::Seen {
            first: id(1),
            pending: true
        }
    );
    window.settle(entry);
    assert_eq!(window.look(&transaction(1)), seen(1));
}

#[test]
fn forgetting_restores_what_was_before() {
    let mut window = window(&[suspended(1)]);
    let second = window.insert(&suspended(2), id(2), true);
    let third = window.insert(&suspended(3), id(3), true);
    window.forget(second);
    assert_eq!(
        window.look(&suspended(3)),
        Sighting::Seen {
            first: id(3),
            pending: true
        }
    );
    window.forget(third);
    assert_eq!(window.look(&suspended(1)), seen(1));
    assert_eq!(window.len(), 1);
    let entry = window.insert(&transaction(4), id(4), true);
    window.forget(entry);
    assert_eq!(window.look(&transaction(4)), Sighting::New);
}

#[test]
fn the_oldest_goes_first_and_leaves_nothing_behind() {
    let mut window = DuplicateWindow::new(2);
    for content in 1..=4 {
        window.insert(&transaction(content), id(content.into()), false);
    }
    assert_eq!(window.look(&transaction(2)), Sighting::New);
    assert_eq!(window.look(&transaction(3)), seen(3));
    assert_eq!(
        (window.len(), window.transactions.len(), window.ring.len()),
        (2, 2, 2)
    );
    window.insert(&suspended(1), id(5), false);
    window.insert(&suspended(1), id(6), false);
    assert_eq!((window.transactions.len(), window.latest.len()), (0, 1));
    assert_eq!(window.look(&suspended(1)), seen(6));
}

#[test]
fn failing_appends_do_not_wear_the_window_out() {
    let mut window = window(&[suspended(1), transaction(2)]);
    for number in 10..10_000 {
        let entry = window.insert(&transaction(3), id(number), true);
        window.forget(entry);
    }
    assert_eq!((window.len(), window.ring.len()), (2, 2));
    assert_eq!(window.look(&transaction(2)), seen(2));
}

#[test]
fn what_was_seen_may_be_inserted_again() {
    let mut window = window(&[transaction(1)]);
    let again = window.insert(&transaction(1), id(2), true);
    assert_eq!(
        window.look(&transaction(1)),
        Sighting::Seen {
            first: id(2),
            pending: true
        }
    );
    window.forget(again);
    assert_eq!(window.look(&transaction(1)), seen(1));
}

#[test]
fn a_window_of_nothing_recognises_nothing() {
    let mut window = DuplicateWindow::new(0);
    let entry = window.insert(&transaction(1), id(1), true);
    window.settle(entry);
    window.forget(entry);
    assert_eq!(window.look(&transaction(1)), Sighting::New);
    assert!(window.is_empty());
}

#[test]
fn an_entry_stays_small_and_an_empty_window_allocates_nothing() {
    assert_eq!(size_of::<Entry>(), 48);
    let window = DuplicateWindow::new(100_000);
    assert_eq!(
        (
            window.ring.capacity(),
            window.transactions.capacity(),
            window.latest.capacity()
        ),
        (0, 0, 0)
    );
}
