use super::*;
use proptest::prelude::*;

fn entry(bytes: usize) -> Entry {
    Entry {
        accepted_at: Millis(1),
        timestamp: Millis(1),
        kind: Some(EventKind::Installed),
        quarantined: None,
        topic: 0,
        bytes,
        again: false,
    }
}

fn window(records: u64, bytes: usize) -> InFlight {
    InFlight::new(Progress::default(), 0, Bounds { records, bytes })
}

#[test]
fn the_cursor_waits_for_the_oldest() {
    let mut window = window(10, 1000);
    (1..=3).for_each(|sequence| window.send(sequence, entry(1)));
    window.settle(3, Done::Published);
    window.settle(2, Done::Quarantined);
    assert!(!window.advance());
    assert_eq!(window.progress().sequence, 0);
    window.settle(1, Done::Held);
    assert!(window.advance());
    assert_eq!(
        window.progress(),
        Progress {
            sequence: 3,
            published: 1,
            quarantined: 1,
            held: 1,
            written_off: 0
        }
    );
    assert!(window.is_empty());
}

#[test]
fn the_window_is_counted_from_the_durable_cursor() {
    let mut window = window(2, 1000);
    assert!(window.has_room(2) && !window.has_room(3));
    window.send(1, entry(1));
    window.settle(1, Done::Published);
    window.advance();
    assert!(
        !window.has_room(3),
        "acknowledged, but a crash would repeat it"
    );
    window.saved(1);
    assert!(window.has_room(3));
}

#[test]
fn the_window_is_bounded_in_bytes_but_always_lets_one_pass() {
    let mut window = window(10, 100);
    assert!(window.has_room(1));
    window.send(1, entry(500));
    assert!(!window.has_room(2));
    window.settle(1, Done::Published);
    assert!(window.has_room(2));
}

#[test]
fn going_back_sends_again_only_what_was_not_acknowledged() {
    let mut window = window(10, 1000);
    (1..=3).for_each(|sequence| window.send(sequence, entry(7)));
    window.settle(2, Done::Published);
    window.go_back();
    assert_eq!(window.sent(), 0);
    assert_eq!(window.standing(1), Standing::Unsent);
    assert_eq!(window.standing(2), Standing::Done);
    assert_eq!(window.standing(3), Standing::Unsent);
    assert_eq!(window.standing(4), Standing::New);
    assert!(window.oldest().is_some());
    window.send(1, entry(7));
    window.settle(1, Done::Published);
    window.advance();
    assert_eq!(window.progress().sequence, 2);
}

#[test]
fn missing_sequences_are_passed_in_their_place() {
    let mut window = window(10, 1000);
    window.send(1, entry(1));
    window.skip(2, 1_000_000, false);
    window.skip(1_000_001, 1_000_002, true);
    window.send(1_000_003, entry(1));
    window.settle(1_000_003, Done::Published);
    assert_eq!(window.standing(500), Standing::Done);
    assert!(!window.advance());
    window.settle(1, Done::Published);
    window.advance();
    let progress = window.progress();
    assert_eq!(progress.sequence, 1_000_003);
    assert_eq!((progress.published, progress.written_off), (2, 2));
}

#[test]
fn a_gap_met_again_after_going_back_is_not_entered_twice() {
    let mut window = window(10, 1000);
    window.send(1, entry(1));
    window.skip(2, 5, false);
    window.go_back();
    window.skip(2, 5, false);
    window.send(1, entry(1));
    window.settle(1, Done::Published);
    window.advance();
    assert_eq!(window.progress().sequence, 5);
    assert!(window.is_empty());
}

#[test]
fn a_gap_first_met_after_going_back_is_passed_in_its_place() {
    let mut window = window(10, 1000);
    (1..=5).for_each(|sequence| window.send(sequence, entry(7)));
    window.settle(4, Done::Published);
    window.go_back();
    window.send(1, entry(7));
    // 2 and 3 rotted meanwhile; 4 has its outcome.
    assert_eq!(window.skip(2, 4, false), 2);
    assert_eq!(window.skip(2, 4, false), 0);
    window.send(5, entry(7));
    assert_eq!(
        window.skip(5, 8, false),
        3,
        "5 is with the producer: its report decides"
    );
    window.settle(1, Done::Published);
    window.settle(5, Done::Published);
    window.advance();
    let progress = window.progress();
    assert_eq!((progress.sequence, progress.published), (8, 3));
    assert!(window.is_empty());
    assert_eq!((window.sent(), window.bytes), (0, 0));
}

proptest! {
    #[test]
    fn in_whatever_order_outcomes_come_all_are_counted_once(
        order in Just((1u64..=40).collect::<Vec<_>>()).prop_shuffle(),
        back_at in 0usize..40,
    ) {
        let mut window = window(100, 10_000);
        (1..=40).for_each(|sequence| window.send(sequence, entry(3)));
        let mut last = 0;
        for (step, sequence) in order.into_iter().enumerate() {
            if step == back_at {
                window.go_back();
                for sequence in 1..=40 {
                    if window.standing(sequence) == Standing::Unsent {
                        window.send(sequence, entry(3));
                    }
                }
            }
            window.settle(sequence, Done::Published);
            window.settle(sequence, Done::Held);
            window.advance();
            prop_assert!(window.progress().sequence >= last);
            last = window.progress().sequence;
        }
        prop_assert_eq!(last, 40);
        prop_assert_eq!(window.progress().published, 40);
        prop_assert_eq!(window.progress().held, 0);
        prop_assert_eq!((window.sent(), window.bytes), (0, 0));
    }
}
