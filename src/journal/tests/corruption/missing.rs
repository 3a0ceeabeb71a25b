//! Segments are missing, empty, truncated, or end in zeros.

use super::{Expected, check};
use crate::harness::*;

#[test]
fn a_truncated_segment_costs_what_was_cut_off() {
    let storage = filled(60);
    storage.edit(&log(25), |bytes| bytes.truncate(frame(10) + 77));
    let seen = [
        Seen::Records(1, 34),
        Seen::Missing(35, 48),
        Seen::Records(49, 60),
    ];
    let expected = Expected {
        seen: &seen,
        damaged: 1,
        verify: true,
        written_off: 14,
    };
    check(&storage, &expected);
}

#[test]
fn a_truncated_newest_segment_costs_what_was_cut_off() {
    let storage = filled(60);
    storage.edit(&log(49), |bytes| bytes.truncate(frame(10)));
    let seen = [Seen::Records(1, 58), Seen::Missing(59, 60)];
    let expected = Expected {
        seen: &seen,
        damaged: 1,
        verify: true,
        written_off: 2,
    };
    check(&storage, &expected);
}

#[test]
fn a_truncated_newest_segment_is_damage_also_where_nobody_knows_what_was_lost() {
    let storage = filled(60);
    vouch(&storage, 0);
    storage.edit(&log(49), |bytes| bytes.truncate(frame(10)));
    let expected = Expected {
        seen: &[Seen::Records(1, 58)],
        damaged: 1,
        verify: true,
        written_off: 0,
    };
    check(&storage, &expected);
}

#[test]
fn a_missing_newest_segment_is_counted_and_its_records_reported_missing() {
    let storage = filled(60);
    icr_journal::storage::Storage::remove(&storage, &log(49)).unwrap();
    let seen = [Seen::Records(1, 48), Seen::Missing(49, 60)];
    let expected = Expected {
        seen: &seen,
        damaged: 1,
        verify: true,
        written_off: 12,
    };
    check(&storage, &expected);
}

#[test]
fn an_emptied_newest_segment_costs_all_of_its_records() {
    let storage = filled(60);
    storage.edit(&log(49), Vec::clear);
    let seen = [Seen::Records(1, 48), Seen::Missing(49, 60)];
    let expected = Expected {
        seen: &seen,
        damaged: 1,
        verify: true,
        written_off: 12,
    };
    check(&storage, &expected);
}

#[test]
fn records_whose_bytes_became_zeros_at_the_end_of_the_newest_segment_are_missed() {
    let storage = cut_off(60);
    storage.edit(&log(49), |bytes| bytes[frame(9)..frame(12)].fill(0));
    let seen = [Seen::Records(1, 57), Seen::Missing(58, 60)];
    let expected = Expected {
        seen: &seen,
        damaged: 1,
        verify: true,
        written_off: 3,
    };
    check(&storage, &expected);
}

#[test]
fn a_missing_segment_is_counted_and_its_records_reported_missing() {
    let storage = filled(60);
    icr_journal::storage::Storage::remove(&storage, &log(25)).unwrap();
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
}

#[test]
fn a_missing_first_segment_is_noticed_where_the_cursor_was_before_it() {
    let storage = filled(60);
    open(&storage).close();
    icr_journal::storage::Storage::remove(&storage, &log(1)).unwrap();
    let seen = [Seen::Missing(1, 24), Seen::Records(25, 60)];
    let expected = Expected {
        seen: &seen,
        damaged: 1,
        verify: true,
        written_off: 24,
    };
    check(&storage, &expected);
}

#[test]
fn an_empty_file_with_a_segments_name_is_set_aside() {
    let storage = filled(60);
    storage.edit(&log(25), Vec::clear);
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
}
