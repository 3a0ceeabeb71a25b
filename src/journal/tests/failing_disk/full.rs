//! The disk is full. The tests show what is deleted to make room, when the journal refuses, and that it stores again once there is space.

use super::no_spares;
use crate::harness::*;
use crate::support::sim_storage::{Operation, SimStorage};
use icr_journal::{AppendError, Options};

#[test]
fn a_full_disk_refuses_only_once_the_reserved_space_is_used_and_recovers() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    append(&journal, 1, 1);
    storage.leave_free(0);
    // The rest of this segment and the spare: 24 records each.
    append(&journal, 2, 48);
    assert_eq!(
        append_one(&journal, &tag(49), &body(49)),
        Err(AppendError::DiskFull)
    );
    assert_eq!(journal.status().storable, Err(AppendError::DiskFull));
    // A small one still fits.
    assert_eq!(append_one(&journal, &tag(49), &body(49)[..10]), Ok(49));
    assert_eq!(journal.status().storable, Ok(()));
    assert_eq!(
        append_one(&journal, &tag(50), &body(50)),
        Err(AppendError::DiskFull)
    );
    storage.heal();
    append(&journal, 50, 60);
    assert_eq!(read(journal.reader(50)), [Seen::Records(50, 60)]);
}

#[test]
fn a_full_disk_takes_published_segments_before_it_refuses() {
    let storage = SimStorage::new(5);
    let (journal, warnings) = open_with(&storage, no_spares()).unwrap();
    append(&journal, 1, 60);
    journal.save_progress(published(50), true).unwrap();
    journal.tend();
    storage.leave_free(0);
    // The rest of the segment, and one more in the place of two that were published.
    append(&journal, 61, 96);
    assert!(warnings.mention("the disk is full: the oldest published segment was deleted"));
    assert_eq!(read(journal.reader(51)), [Seen::Records(51, 96)]);
    assert_eq!(journal.status().damaged_segments, 0);
    // What is left of their room takes some more, and the unpublished ones stay, whatever happens.
    let mut last = 96;
    let refused = loop {
        match append_one(&journal, &tag(last + 1), &body(last + 1)) {
            Ok(sequence) => last = sequence,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, AppendError::DiskFull);
    assert!(last < 120, "less than a segment: {last}");
    assert_eq!(read(journal.reader(51)), [Seen::Records(51, last)]);
    journal.save_progress(published(90), true).unwrap();
    append(&journal, last + 1, last + 1);
}

#[test]
fn a_journal_opens_on_a_full_disk_and_stores_when_there_is_space_again() {
    let storage = filled(60);
    for name in storage.snapshot().into_keys() {
        if name.to_string_lossy().contains("spare") {
            icr_journal::storage::Storage::remove(&storage, &name).unwrap();
        }
    }
    storage.leave_free(0);
    // The empty segment that the last run left is removed, but somebody else takes its space.
    storage.fail(Operation::Create, 1000);
    let journal = open(&storage);
    assert!(journal.status().storable.is_err());
    assert_eq!(read_all(&journal), [Seen::Records(1, 60)]);
    storage.heal();
    append(&journal, 61, 62);
    assert_eq!(read_all(&journal), [Seen::Records(1, 62)]);
}

#[test]
fn the_low_water_mark_is_seen() {
    let storage = SimStorage::new(5);
    let options = Options {
        low_water_bytes: 100_000,
        ..options()
    };
    let (journal, _) = open_with(&storage, options).unwrap();
    assert!(!journal.status().low_water);
    storage.leave_free(99_999);
    journal.tend();
    assert!(journal.status().low_water);
    assert_eq!(journal.status().free_bytes, 99_999);
}

#[test]
fn where_no_space_can_be_reserved_published_segments_make_room_too() {
    for spare_segments in [0, 1] {
        let storage = SimStorage::new(5);
        storage.reserve_nothing();
        let options = Options {
            spare_segments,
            ..options()
        };
        let (journal, warnings) = open_with(&storage, options).unwrap();
        append(&journal, 1, 60);
        journal.save_progress(published(50), true).unwrap();
        journal.tend();
        storage.leave_free(0);
        // In the place of the two segments that were published.
        append(&journal, 61, 90);
        assert!(warnings.mention("the disk is full: the oldest published segment was deleted"));
        assert_eq!(read(journal.reader(51)), [Seen::Records(51, 90)]);
        assert_eq!(journal.status().damaged_segments, 0);
        let refused = (91..300).find(|n| append_one(&journal, &tag(*n), &body(*n)).is_err());
        let next = refused.unwrap();
        assert_eq!(journal.status().storable, Err(AppendError::DiskFull));
        assert_eq!(read(journal.reader(51)), [Seen::Records(51, next - 1)]);
        storage.heal();
        append(&journal, next, next + 3);
        journal.close();
        let journal = open(&storage);
        assert_eq!(read(journal.reader(51)), [Seen::Records(51, next + 3)]);
        assert_eq!(journal.status().damaged_segments, 0);
    }
}
