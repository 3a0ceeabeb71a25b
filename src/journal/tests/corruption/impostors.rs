//! Files and frames look like parts of this journal but are not: foreign files, files of another journal, and old frames.

use super::{Expected, HARMLESS, check};
use crate::harness::*;
use crate::support::sim_storage::SimStorage;

#[test]
fn a_foreign_file_with_the_newest_segments_name_is_set_aside() {
    let storage = filled(60);
    storage.put(&log(61), b"#!/bin/sh\necho what is this?\n");
    let seen = [Seen::Records(1, 60), Seen::Missing(61, 61)];
    let expected = Expected {
        seen: &seen,
        damaged: 1,
        verify: true,
        written_off: 1,
    };
    check(&storage, &expected);
    assert!(
        storage
            .contents(&damaged(61))
            .unwrap()
            .starts_with(b"#!/bin/sh")
    );
}

#[test]
fn a_segment_under_the_wrong_name_is_foreign() {
    let storage = filled(60);
    let other = storage.contents(&log(1)).unwrap();
    storage.put(&log(25), &other);
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
fn a_stray_file_costs_no_record_whatever_its_name_claims() {
    // In the middle of a sealed segment and of an unsealed one, at the last record, and far beyond.
    for base in [30, 55, 60, 70, 1 << 40] {
        let storage = cut_off(60);
        storage.put(&log(base), b"#!/bin/sh\necho what is this?\n");
        let expected = Expected {
            damaged: 1,
            verify: true,
            ..HARMLESS
        };
        check(&storage, &expected);
        let journal = open(&storage);
        assert!(
            journal.last_sequence() < 100,
            "the sequences go on where they were"
        );
        assert!(storage.contents(&damaged(base)).is_some());
    }
}

/// A journal that is not that of `filled` and `cut_off`.
fn another() -> SimStorage {
    let storage = SimStorage::new(8);
    let journal = open(&storage);
    append(&journal, 1, 60);
    journal.close();
    storage
}

#[test]
fn a_segment_of_another_journal_in_the_place_of_one_is_foreign() {
    let storage = filled(60);
    storage.put(&log(25), &another().contents(&log(25)).unwrap());
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
fn a_segment_of_another_journal_among_ours_costs_no_record() {
    let other = SimStorage::new(8);
    let journal = open(&other);
    for _ in 1..30 {
        append_one(&journal, &tag(1), &[7; 2000]).unwrap();
    }
    journal.close();
    // Its second segment: fewer records fit into one.
    let names = other.snapshot().into_keys();
    let is_segment = |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "log");
    let name = names.filter(is_segment).nth(1).unwrap();
    let storage = filled(60);
    assert!(
        storage.contents(&name).is_none() && name < log(25),
        "{name:?} lies within a segment"
    );
    storage.put(&name, &other.contents(&name).unwrap());
    let expected = Expected {
        damaged: 1,
        verify: true,
        ..HARMLESS
    };
    check(&storage, &expected);
}

#[test]
fn the_cursor_of_another_journal_is_a_lost_one() {
    let storage = filled(60);
    let other = another();
    let journal = open(&other);
    journal.save_progress(published(60), true).unwrap();
    journal.close();
    storage.put(&path("cursor"), &other.contents(&path("cursor")).unwrap());
    let journal = open(&storage);
    assert_eq!(journal.progress().sequence, 0, "nothing was published here");
    assert_eq!(read_all(&journal), [Seen::Records(1, 60)]);
    journal.close();
    let journal = open(&storage);
    assert_eq!(journal.status().damaged_segments, 0);
    assert_eq!(read_all(&journal), [Seen::Records(1, 60)]);
}

#[test]
fn stale_frames_of_a_files_former_use_are_never_records() {
    let storage = cut_off(60);
    // The frames of another segment, at the very positions they had there.
    let old = storage.contents(&log(25)).unwrap();
    storage.edit(&log(49), |bytes| {
        let from = frame(12);
        bytes[from..frame(24)].copy_from_slice(&old[from..frame(24)]);
    });
    check(&storage, &HARMLESS);
}

#[test]
fn a_frame_embedded_in_a_body_is_never_a_record() {
    let storage = SimStorage::new(7);
    let journal = open(&storage);
    append(&journal, 1, 3);
    // Genuine frames of this very segment, at every alignment, inside bodies whose own frames are damaged.
    let frames = storage.contents(&log(1)).unwrap()[frame(0)..frame(3)].to_vec();
    let mut position = frame(3);
    let mut hostile = Vec::new();
    for padding in 0..4 {
        let bytes = [vec![0; padding * 2], frames.clone()].concat();
        append_one(&journal, b"", &bytes).unwrap();
        hostile.push(position);
        position += (FRAME_HEADER + bytes.len()).next_multiple_of(8);
    }
    append(&journal, 8, 9);
    storage.power_off();
    drop(journal);
    storage.power_on(0);
    for position in hostile {
        flip(&storage, &log(1), position + 1);
    }
    assert_eq!(view(&storage).verify().unwrap().records, 5);
    let seen = [
        Seen::Records(1, 3),
        Seen::Missing(4, 7),
        Seen::Records(8, 9),
    ];
    let expected = Expected {
        seen: &seen,
        damaged: 1,
        verify: true,
        written_off: 4,
    };
    check(&storage, &expected);
}

#[test]
fn files_that_only_look_like_segments_are_left_alone() {
    let storage = filled(60);
    let names = [
        "18446744073709551615.log",
        "00000000000000000000.log",
        "+0000000000000000070.log",
    ];
    for name in names {
        storage.put(&path(name), b"not ours");
    }
    let journal = open(&storage);
    append(&journal, 61, 62);
    assert_eq!(read_all(&journal), [Seen::Records(1, 62)]);
    assert_eq!(journal.status().damaged_segments, 0);
    for name in names {
        assert!(storage.contents(&path(name)).is_some());
    }
}
