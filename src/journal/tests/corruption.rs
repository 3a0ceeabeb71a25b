//! One test for each kind of corruption: what is lost, what is not, what the journal does about it, and that a repair puts it right.
//!
//! The journals here hold 60 records: 1 to 24 and 25 to 48 in sealed segments, 49 to 60 in one that is sealed (`filled`) or that a power
//! cut left open (`cut_off`).
use super::harness::*;
use crate::support::sim_storage::SimStorage;
use icr_journal::view::repair;
use icr_journal::{OpenError, Progress};
use std::path::Path;
use std::sync::Arc;

/// What is expected of a journal after a fault.
struct Expected<'a> {
    /// What a reader yields from 1 on, up to record 60.
    seen: &'a [Seen],
    /// Damaged segments and gaps that the journal counts once it has read everything.
    damaged: u64,
    /// Whether `verify` calls it damage.
    verify: bool,
    written_off: u64,
}

/// Costs nothing, and heals by itself.
const HARMLESS: Expected<'static> = Expected {
    seen: &[Seen::Records(1, 60)],
    damaged: 0,
    verify: false,
    written_off: 0,
};

/// Opens, reads and appends; then verifies and repairs a copy.
fn check(storage: &SimStorage, expected: &Expected) {
    let before = storage.snapshot();
    let verification = view(storage).verify().unwrap();
    assert_eq!(
        !verification.damage.is_empty(),
        expected.verify,
        "{verification:?}"
    );
    assert_eq!(read(view(storage).reader(1).unwrap()), expected.seen);
    assert_eq!(storage.snapshot(), before, "a view changes nothing");
    check_repair(&storage.fork(), expected);

    let journal = open(storage);
    assert_eq!(read_all(&journal), expected.seen);
    assert_eq!(journal.status().damaged_segments, expected.damaged);
    // The door stays open.
    let next = journal.last_sequence() + 1;
    append(&journal, next, next + 2);
    assert_eq!(read(journal.reader(next)), [Seen::Records(next, next + 2)]);
    journal.tend();
    journal.close();
    // Damage is set aside, and found again as such.
    let journal = open(storage);
    assert_eq!(journal.status().damaged_segments, expected.damaged);
    if expected.damaged > 0 {
        assert_eq!(read(journal.reader(next)), [Seen::Records(next, next + 2)]);
    }
}

fn check_repair(storage: &SimStorage, expected: &Expected) {
    let report = repair(Arc::new(storage.clone()), Path::new(DIR)).unwrap();
    assert_eq!(report.written_off, expected.written_off, "{report:?}");
    let verification = view(storage).verify().unwrap();
    assert_eq!(verification.damage, [], "{report:?}");
    let written_off: Vec<_> = expected
        .seen
        .iter()
        .map(|seen| match seen {
            Seen::Missing(from, to) => Seen::WrittenOff(*from, *to),
            seen => seen.clone(),
        })
        .collect();
    let journal = open(storage);
    assert_eq!(read_all(&journal), written_off);
    assert_eq!(journal.status().damaged_segments, 0);
    assert_eq!(journal.ledger().unaccounted, 0);
    journal.close();
    let again = repair(Arc::new(storage.clone()), Path::new(DIR)).unwrap();
    assert_eq!(
        again.written_off, 0,
        "a second repair finds nothing: {again:?}"
    );
}

fn one_lost(sequence: u64) -> [Seen; 3] {
    [
        Seen::Records(1, sequence - 1),
        Seen::Missing(sequence, sequence),
        Seen::Records(sequence + 1, 60),
    ]
}

fn costs_one(seen: &[Seen]) -> Expected<'_> {
    Expected {
        seen,
        damaged: 1,
        verify: true,
        written_off: 1,
    }
}

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
fn a_journal_of_the_first_format_is_read_and_goes_on() {
    let storage = cut_off(60);
    for (base, identity) in [(1_u64, 11_u64), (25, 12), (49, 13)] {
        storage.edit(&log(base), |bytes| {
            for at in [0, 4096] {
                bytes[at + 8..at + 12].copy_from_slice(&1u32.to_le_bytes());
                bytes[at + 24..at + 32].copy_from_slice(&identity.to_le_bytes());
                let sum = crc32c::crc32c(&bytes[at..at + 44]);
                bytes[at + 44..at + 48].copy_from_slice(&sum.to_le_bytes());
            }
        });
    }
    storage.edit(&path("cursor"), |bytes| {
        for slot in [0, 4096] {
            bytes[slot + 72..slot + 88].fill(0);
            let sum = crc32c::crc32c(&bytes[slot..slot + 124]);
            bytes[slot + 124..slot + 128].copy_from_slice(&sum.to_le_bytes());
        }
    });
    check(&storage, &HARMLESS);
    let journal = open(&storage);
    assert_eq!(read_all(&journal)[0], Seen::Records(1, 63));
}

#[test]
fn a_newer_segment_or_cursor_refuses_to_open_and_changes_nothing() {
    for (path, positions, crc) in [
        (log(25), vec![0, 4096], 44),
        (path("cursor"), vec![0, 4096], 124),
    ] {
        let storage = filled(60);
        storage.edit(&path, |bytes| {
            for at in positions {
                bytes.resize(bytes.len().max(at + 128), 0);
                bytes[at + 8] = 9;
                bytes.copy_within(0..8, at);
                let sum = crc32c::crc32c(&bytes[at..at + crc]);
                bytes[at + crc..at + crc + 4].copy_from_slice(&sum.to_le_bytes());
            }
        });
        let before = storage.snapshot();
        match open_with(&storage, options()) {
            Err(OpenError::NewerVersion {
                version: 9,
                path: named,
            }) => assert_eq!(named, path),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("opened"),
        }
        assert_eq!(storage.snapshot(), before);
    }
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

fn with_progress(storage: &SimStorage) {
    let journal = open(storage);
    let progress = Progress {
        sequence: 40,
        published: 38,
        quarantined: 2,
        ..Progress::default()
    };
    journal.save_progress(progress, true).unwrap();
    journal.close();
}

#[test]
fn a_lost_cursor_starts_again_at_the_first_record() {
    for lose in [
        |storage: &SimStorage| {
            flip(storage, &path("cursor"), 30);
            storage.edit(&path("cursor"), |bytes| bytes[4096 + 30] ^= 1);
        },
        |storage: &SimStorage| {
            icr_journal::storage::Storage::remove(storage, &path("cursor")).unwrap()
        },
    ] {
        let storage = filled(60);
        with_progress(&storage);
        lose(&storage);
        let (journal, warnings) = open_with(&storage.fork(), options()).unwrap();
        assert_eq!(journal.progress(), Progress::default());
        let ledger = journal.ledger();
        assert_eq!((ledger.pending, ledger.unaccounted), (60, 0));
        assert!(warnings.mention("the cursor is lost"));
        drop(journal);
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
fn a_lost_cursor_of_a_journal_whose_first_segments_were_deleted_counts_them_as_published() {
    let storage = filled(60);
    for name in [log(1), path("cursor")] {
        icr_journal::storage::Storage::remove(&storage, &name).unwrap();
    }
    let journal = open(&storage);
    assert_eq!(journal.progress(), published(24));
    let ledger = journal.ledger();
    assert_eq!(
        (ledger.accepted, ledger.pending, ledger.unaccounted),
        (60, 36, 0)
    );
    assert_eq!(journal.status().damaged_segments, 0);
}

#[test]
fn one_damaged_cursor_slot_leaves_the_other() {
    for slot in [0, 4096] {
        let storage = filled(60);
        with_progress(&storage);
        flip(&storage, &path("cursor"), slot + 30);
        let journal = open(&storage.fork());
        let progress = journal.progress().sequence;
        assert!(progress == 40 || progress == 0, "{progress}");
        assert_eq!(journal.ledger().unaccounted, 0);
        drop(journal);
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
fn a_cursor_beyond_the_newest_record_is_believed() {
    let storage = filled(60);
    let journal = open(&storage);
    journal.save_progress(published(55), true).unwrap();
    journal.close();
    icr_journal::storage::Storage::remove(&storage, &log(49)).unwrap();
    // The empty segment that the last run left says how far the journal went before.
    icr_journal::storage::Storage::remove(&storage, &log(61)).unwrap();
    let expected = |seen: &[Seen], written_off| {
        check(
            &storage.fork(),
            &Expected {
                seen,
                damaged: 1,
                verify: true,
                written_off,
            },
        );
    };
    // Those up to 55 were published.
    expected(&[Seen::Records(1, 48), Seen::Missing(49, 60)], 5);
    vouch(&storage, 0);
    expected(&[Seen::Records(1, 48), Seen::Missing(49, 55)], 0);
}

#[test]
fn a_lost_or_torn_outcome_log_costs_outcomes_alone() {
    let storage = filled(60);
    let journal = open(&storage);
    for sequence in 1..=60 {
        journal.note_outcome(sequence, b"published");
    }
    journal.close();
    icr_journal::storage::Storage::remove(&storage, &path("00000000000000000001.outcomes"))
        .unwrap();
    storage.edit(&path("00000000000000000025.outcomes"), |bytes| {
        let length = bytes.len();
        bytes.truncate(length - 3);
    });
    let mut seen = Vec::new();
    view(&storage)
        .outcomes(1, 60, &mut |sequence, _| seen.push(sequence))
        .unwrap();
    assert_eq!(seen, (25..48).chain(49..=60).collect::<Vec<_>>());
    check(&storage, &HARMLESS);
    let journal = open(&storage);
    journal.note_outcome(48, b"late");
    journal.close();
    let mut last = Vec::new();
    view(&storage)
        .outcomes(47, 48, &mut |sequence, outcome| {
            last.push((sequence, outcome.to_vec()))
        })
        .unwrap();
    assert_eq!(last, [(47, b"published".to_vec()), (48, b"late".to_vec())]);
}

#[test]
fn a_torn_tail_is_cut_and_is_no_damage() {
    let storage = cut_off(60);
    // The last group (one record here) was never synced whole, and nobody says that it was.
    vouch(&storage, 59);
    storage.edit(&log(49), |bytes| bytes[frame(11) + 512..frame(12)].fill(0));
    let verification = view(&storage).verify().unwrap();
    assert!(
        verification
            .remarks
            .iter()
            .any(|remark| remark.what.contains("torn tail"))
    );
    let expected = Expected {
        seen: &[Seen::Records(1, 59)],
        ..HARMLESS
    };
    check(&storage, &expected);
}

#[test]
fn a_torn_tail_below_the_cursor_is_damage_and_is_kept() {
    let storage = cut_off(60);
    let journal = open(&storage);
    append(&journal, 61, 65);
    journal.save_progress(published(65), true).unwrap();
    storage.power_off();
    drop(journal);
    storage.power_on(0);
    flip(&storage, &log(61), frame(4) + 100);
    let before = storage.contents(&log(61));
    let journal = open(&storage);
    assert_eq!(journal.status().damaged_segments, 1);
    assert_eq!(journal.last_sequence(), 65);
    assert_eq!(storage.contents(&damaged(61)), before);
}

#[test]
fn a_torn_footer_is_written_again() {
    let storage = filled(60);
    let end = frame(12);
    // As the first sync of sealing may leave it: footer half there, no trailer, not cut.
    storage.edit(&log(49), |bytes| {
        bytes[end + 200..].fill(0);
        bytes.resize(SEGMENT as usize, 0);
    });
    check(&storage, &HARMLESS);
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

#[test]
fn a_lost_cursor_beside_an_empty_segment_alone_loses_nothing() {
    let storage = SimStorage::new(3);
    let journal = open(&storage);
    append(&journal, 1, 60);
    journal.save_progress(published(60), true).unwrap();
    journal.tend();
    storage.power_off();
    drop(journal);
    storage.power_on(0);
    // Retention has taken everything, and the writer has just opened the next segment.
    let empty = {
        let other = SimStorage::new(4);
        let journal = open(&other);
        let empty = other.contents(&log(1)).unwrap();
        drop(journal);
        empty
    };
    for base in [1, 25, 49] {
        icr_journal::storage::Storage::remove(&storage, &log(base)).unwrap();
    }
    icr_journal::storage::Storage::remove(&storage, &path("cursor")).unwrap();
    storage.put(&log(61), &renamed(empty, 61));
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    assert!(warnings.mention("the cursor is lost; publishing starts again at sequence 61"));
    assert_eq!(journal.ledger().unaccounted, 0);
    assert_eq!(journal.status().damaged_segments, 0);
    append(&journal, 61, 62);
    assert_eq!(read(journal.reader(61)), [Seen::Records(61, 62)]);
}

/// An empty segment under another base.
fn renamed(mut segment: Vec<u8>, base: u64) -> Vec<u8> {
    for at in [0, 4096] {
        segment[at + 16..at + 24].copy_from_slice(&base.to_le_bytes());
        let crc = crc32c::crc32c(&segment[at..at + 44]);
        segment[at + 44..at + 48].copy_from_slice(&crc.to_le_bytes());
    }
    segment
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
