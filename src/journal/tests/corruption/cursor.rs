//! The cursor or an outcome log is lost or damaged, or the cursor is ahead of the records.

use super::{Expected, HARMLESS, check};
use crate::harness::*;
use crate::support::sim_storage::SimStorage;
use icr_journal::Progress;

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
