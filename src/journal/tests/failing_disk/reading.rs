//! Segments cannot be read or opened, in part or for a while. The tests show what is lost and what is waited for.

use crate::harness::*;
use crate::support::sim_storage::{Operation, SimStorage};
use icr_journal::Options;
use icr_journal::reader::Next;
use std::time::Duration;

#[test]
fn a_reader_passes_a_place_that_cannot_be_read_only_after_some_failures() {
    let storage = filled(60);
    let journal = open(&storage);
    let mut reader = journal.reader(1);
    storage.fail(Operation::Read, 2);
    assert!(reader.next(Duration::ZERO).is_err());
    assert!(reader.next(Duration::ZERO).is_err());
    assert_eq!(read(reader), [Seen::Records(1, 60)]);
    assert_eq!(journal.status().damaged_segments, 0);
    // A segment that lastingly cannot be read is lost; the next one is not.
    let mut reader = journal.reader(30);
    storage.fail(Operation::Read, 1_000_000);
    let failures = (0..20).take_while(|_| reader.next(Duration::ZERO).is_err());
    assert_eq!(failures.count(), 3);
    storage.heal();
    assert_eq!(read(reader), [Seen::Records(49, 60)]);
    assert_eq!(journal.status().damaged_segments, 1);
}

#[test]
fn an_unreadable_copy_of_a_header_or_an_unreadable_trailer_costs_no_record() {
    let length = filled(60).contents(&log(25)).unwrap().len() as u64;
    let sectors = [0..4096, 4096..8192, length - 64..length, 31_232..length];
    // The last one takes the footer too.
    for bad in sectors {
        let storage = filled(60);
        storage.make_unreadable(&log(25), bad.clone());
        assert_eq!(
            read(view(&storage).reader(1).unwrap()),
            [Seen::Records(1, 60)],
            "{bad:?}"
        );
        let journal = open(&storage);
        assert_eq!(read_all(&journal), [Seen::Records(1, 60)], "{bad:?}");
        append(&journal, 61, 62);
    }
}

#[test]
fn unreadable_sectors_far_apart_cost_only_what_stands_there() {
    const LARGE: u64 = 4 << 20;
    let options = || Options {
        segment_bytes: LARGE,
        ..options()
    };
    let storage = SimStorage::new(7);
    let (journal, _) = open_with(&storage, options()).unwrap();
    append(&journal, 1, 1);
    let big = vec![9; 1 << 20];
    assert_eq!(append_one(&journal, &tag(2), &big), Ok(2));
    append(&journal, 3, 3);
    storage.power_off();
    drop(journal);
    storage.power_on(0);
    // The header of the large record (the end of the first one is in its sector) and three places in it, each in another stretch that is read at once.
    storage.make_unreadable(&log(1), frame(1) as u64..frame(1) as u64 + 8);
    for far in [300_000, 600_000, 900_000] {
        storage.make_unreadable(&log(1), far..far + 512);
    }
    let seen = [Seen::Missing(1, 2), Seen::Records(3, 3)];
    assert_eq!(read(view(&storage).reader(1).unwrap()), seen);
    let (journal, _) = open_with(&storage, options()).unwrap();
    assert_eq!(journal.last_sequence(), 3);
    let mut reader = journal.reader(1);
    let last = |next: &Next| matches!(next, Next::Record(stored) if stored.sequence == 3);
    let mut tries = (0..50).map(|_| reader.next(Duration::ZERO).is_ok_and(|next| last(&next)));
    assert!(tries.any(|found| found), "it never gets past");
}

#[test]
fn what_cannot_be_read_of_the_newest_records_is_left_out_of_them() {
    let storage = filled(60);
    let footer = frame(24) as u64;
    storage.make_unreadable(&log(25), footer + 400..footer + 600);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    let newest = |journal: &icr_journal::Journal| {
        let mut found = Vec::new();
        journal
            .recent(60, 8, &mut |sequence, _, _| found.push(sequence))
            .unwrap();
        found
    };
    // The records stand in for the footer.
    assert_eq!(newest(&journal), (1..=60).collect::<Vec<_>>());
    assert_eq!(journal.status().damaged_segments, 1);
    storage.refuse(&log(1), libc::EMFILE);
    assert_eq!(newest(&journal), (25..=60).collect::<Vec<_>>());
    assert!(warnings.mention("its newest records cannot be read"));
}

#[test]
fn a_segment_that_cannot_be_opened_is_waited_for_and_not_passed() {
    let storage = filled(60);
    storage.refuse(&log(25), libc::EACCES);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    assert!(warnings.mention("cannot be opened"));
    assert_eq!(journal.status().damaged_segments, 1);
    append(&journal, 61, 62);
    let mut reader = journal.reader(24);
    assert!(matches!(reader.next(Duration::ZERO), Ok(Next::Record(_))));
    for _ in 0..20 {
        assert!(reader.next(Duration::ZERO).is_err());
    }
    let refused = icr_journal::view::repair(
        std::sync::Arc::new(storage.fork()),
        std::path::Path::new(DIR),
    );
    assert!(refused.is_ok(), "the copy can be opened");
    journal.tend();
    assert!(storage.contents(&log(25)).is_some(), "it keeps its name");
    storage.heal();
    assert_eq!(read(reader), [Seen::Records(25, 62)]);
    assert_eq!(journal.status().damaged_segments, 0);
    journal.close();
    // Nor does a repair take it for damage.
    storage.refuse(&log(25), libc::EMFILE);
    let dir = std::path::Path::new(DIR);
    let repaired = icr_journal::view::repair(std::sync::Arc::new(storage.clone()), dir);
    assert!(repaired.is_err());
    storage.heal();
    assert_eq!(read_all(&open(&storage)), [Seen::Records(1, 62)]);
}

#[test]
fn no_sequence_of_a_newest_segment_that_cannot_be_opened_is_given_again() {
    let storage = filled(60);
    storage.refuse(&log(49), libc::EACCES);
    let journal = open(&storage);
    let next = journal.last_sequence() + 1;
    assert!(next > 60);
    append(&journal, next, next + 1);
    storage.heal();
    let seen = [
        Seen::Records(1, 60),
        Seen::Missing(61, next - 1),
        Seen::Records(next, next + 1),
    ];
    assert_eq!(read_all(&journal), seen);
}
