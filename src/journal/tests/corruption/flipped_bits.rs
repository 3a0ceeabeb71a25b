//! A bit is flipped in a record, in a segment header, or in the footer or trailer of a sealed segment.

use super::{Expected, HARMLESS, check, costs_one, one_lost};
use crate::harness::*;

#[test]
fn a_flipped_bit_in_a_body_of_a_sealed_segment_costs_that_record_alone() {
    let storage = filled(60);
    flip(&storage, &log(25), frame(5) + 500);
    check(&storage, &costs_one(&one_lost(30)));
    let journal = open(&storage);
    read_all(&journal);
    journal.tend();
    assert!(
        storage.contents(&damaged(25)).is_some(),
        "set aside once a reader met it"
    );
}

#[test]
fn a_flipped_bit_in_a_frame_header_of_a_sealed_segment_costs_that_record_alone() {
    for position in [0, 5, 9, 12, 13, 17, 25] {
        let storage = filled(60);
        flip(&storage, &log(1), frame(9) + position);
        check(&storage, &costs_one(&one_lost(10)));
    }
}

#[test]
fn a_flipped_bit_in_a_body_of_an_unsealed_segment_costs_that_record_alone() {
    let storage = cut_off(60);
    flip(&storage, &log(49), frame(3) + 100);
    check(&storage, &costs_one(&one_lost(52)));
    assert!(storage.contents(&damaged(49)).is_some());
}

#[test]
fn a_flipped_bit_in_a_frame_header_of_an_unsealed_segment_costs_that_record_alone() {
    let storage = cut_off(60);
    flip(&storage, &log(49), frame(3) + 8);
    check(&storage, &costs_one(&one_lost(52)));
}

#[test]
fn a_flipped_bit_in_the_last_record_of_a_sealed_segment_is_no_torn_tail() {
    let storage = filled(60);
    flip(&storage, &log(49), frame(11) + 100);
    let seen = [Seen::Records(1, 59), Seen::Missing(60, 60)];
    check(&storage, &costs_one(&seen));
}

#[test]
fn either_copy_of_a_segment_header_may_be_damaged() {
    for (position, base) in [(3, 1), (4096 + 17, 25), (20, 49)] {
        let storage = filled(60);
        flip(&storage, &log(base), position);
        check(
            &storage,
            &Expected {
                verify: true,
                ..HARMLESS
            },
        );
    }
}

#[test]
fn both_copies_of_a_segment_header_damaged_cost_the_segment_and_nothing_else() {
    let storage = filled(60);
    flip(&storage, &log(25), 17);
    flip(&storage, &log(25), 4096 + 17);
    let before = storage.contents(&log(25));
    let seen = [
        Seen::Records(1, 24),
        Seen::Missing(25, 48),
        Seen::Records(49, 60),
    ];
    let expected = Expected {
        seen: &seen,
        damaged: 1,
        verify: true,
        written_off: 24,
    };
    check(&storage, &expected);
    assert_eq!(storage.contents(&damaged(25)), before, "untouched");
}

#[test]
fn a_damaged_footer_costs_nothing() {
    let storage = filled(60);
    flip(&storage, &log(25), frame(24) + 100);
    let journal = open(&storage.fork());
    let mut seen = 0;
    journal.recent(40, 16, &mut |_, _, _| seen += 1).unwrap();
    assert_eq!(seen, 40, "found by reading records");
    drop(journal);
    check(
        &storage,
        &Expected {
            verify: true,
            ..HARMLESS
        },
    );
}

#[test]
fn a_damaged_trailer_costs_nothing_and_is_written_again() {
    let storage = filled(60);
    let end = storage.contents(&log(25)).unwrap().len();
    flip(&storage, &log(25), end - 30);
    check(&storage, &HARMLESS);
    assert_eq!(storage.contents(&log(25)).unwrap().len(), end);
}

#[test]
fn two_faults_in_one_segment_cost_two_records() {
    let storage = filled(60);
    flip(&storage, &log(1), frame(3) + 50);
    flip(&storage, &log(1), frame(8) + 3);
    let seen = [
        Seen::Records(1, 3),
        Seen::Missing(4, 4),
        Seen::Records(5, 8),
        Seen::Missing(9, 9),
        Seen::Records(10, 60),
    ];
    let expected = Expected {
        seen: &seen,
        damaged: 1,
        verify: true,
        written_off: 2,
    };
    check(&storage, &expected);
}
