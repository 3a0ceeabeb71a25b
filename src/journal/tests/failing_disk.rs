//! Disks that fail, and disks that are full.
use super::harness::*;
use crate::support::eventually::eventually;
use crate::support::sim_storage::{Operation, SimStorage};
use icr_journal::reader::Next;
use icr_journal::{AppendError, Options};
use std::path::PathBuf;
use std::time::Duration;

fn no_spares() -> Options {
    Options {
        spare_segments: 0,
        ..options()
    }
}

#[test]
fn a_failed_sync_abandons_the_segment_and_the_records_go_into_the_next() {
    let storage = SimStorage::new(5);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    append(&journal, 1, 3);
    let abandoned = storage.contents(&log(1)).unwrap();
    storage.fail(Operation::Sync, 1);
    append(&journal, 4, 6);
    assert!(warnings.mention("writing failed"));
    assert_eq!(read_all(&journal), [Seen::Records(1, 6)]);
    let now = storage.contents(&log(1)).unwrap();
    assert_eq!(now[..frame(3)], abandoned[..frame(3)]);
    assert!(storage.contents(&log(4)).is_some());
    // Nothing is written to it again: what the next records would have overwritten stays as it is.
    append(&journal, 7, 8);
    assert_eq!(storage.contents(&log(1)).unwrap(), now);
    storage.power_off();
    drop(journal);
    storage.power_on(9);
    assert_eq!(view(&storage).verify().unwrap().damage, []);
    let journal = open(&storage);
    assert_eq!(read_all(&journal), [Seen::Records(1, 8)]);
    assert_eq!(journal.status().damaged_segments, 0);
}

#[test]
fn what_a_sync_claims_while_the_filesystem_turns_read_only_is_not_acknowledged() {
    let storage = SimStorage::new(5);
    let (journal, _) = open_with(&storage, no_spares()).unwrap();
    append(&journal, 1, 3);
    storage.turn_read_only();
    assert_eq!(
        append_one(&journal, &tag(4), &body(4)),
        Err(AppendError::Storage)
    );
    storage.power_off();
    drop(journal);
    storage.power_on(9);
    assert_eq!(read_all(&open(&storage)), [Seen::Records(1, 3)]);
}

#[test]
fn what_is_written_over_zeros_is_safe_even_while_the_filesystem_turns_read_only() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    let named = |start: &str, end: &str| {
        let names = storage.snapshot().into_keys();
        let wanted = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(start) && name.ends_with(end)
        };
        names.filter(wanted).collect::<Vec<_>>()
    };
    // The first segment was made in haste; the next one is a spare, which is filled with zeros.
    eventually("the spare is filled", || {
        let spares = named("spare-", "");
        let filled = !spares.is_empty() && spares.iter().all(|spare| storage.is_synced(spare));
        filled.then_some(())
    });
    // And given back by whoever has filled it.
    journal.tend();
    let mut last = 0;
    while named("0", ".log").len() < 2 {
        last += 1;
        append(&journal, last, last);
    }
    storage.turn_read_only();
    append(&journal, last + 1, last + 1);
    storage.power_off();
    drop(journal);
    storage.power_on(9);
    assert_eq!(read_all(&open(&storage)), [Seen::Records(1, last + 1)]);
}

#[test]
fn a_failed_write_abandons_the_segment_and_the_records_go_into_the_next() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    append(&journal, 1, 3);
    storage.fail(Operation::Write, 1);
    append(&journal, 4, 6);
    assert!(storage.contents(&log(4)).is_some());
    assert_eq!(read_all(&journal), [Seen::Records(1, 6)]);
    journal.close();
    let journal = open(&storage);
    assert_eq!(read_all(&journal), [Seen::Records(1, 6)]);
}

#[test]
fn a_segment_on_which_the_very_first_write_failed_is_replaced() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    let mut reader = journal.reader(1);
    assert_eq!(reader.next(Duration::ZERO).unwrap(), Next::Idle);
    storage.fail(Operation::Sync, 1);
    append(&journal, 1, 3);
    assert_eq!(read(reader), [Seen::Records(1, 3)]);
    assert_eq!(read_all(&journal), [Seen::Records(1, 3)]);
    storage.power_off();
    drop(journal);
    storage.power_on(2);
    assert_eq!(read_all(&open(&storage)), [Seen::Records(1, 3)]);
}

#[test]
fn a_failed_sync_and_a_failed_second_attempt_answer_errors_and_the_next_append_succeeds() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    append(&journal, 1, 3);
    storage.fail(Operation::Sync, 1000);
    assert_eq!(
        append_one(&journal, &tag(4), &body(4)),
        Err(AppendError::Storage)
    );
    assert_eq!(journal.status().storable, Err(AppendError::Storage));
    assert_eq!(
        append_one(&journal, &tag(4), &body(4)),
        Err(AppendError::Storage)
    );
    storage.heal();
    append(&journal, 4, 30);
    assert_eq!(journal.status().storable, Ok(()));
    assert_eq!(read_all(&journal), [Seen::Records(1, 30)]);
    journal.close();
    assert_eq!(read_all(&open(&storage)), [Seen::Records(1, 30)]);
}

#[test]
fn a_journal_that_could_not_store_finds_out_by_itself_when_it_can_again() {
    let storage = SimStorage::new(5);
    let (journal, _) = open_with(&storage, no_spares()).unwrap();
    storage.fail(Operation::Sync, 1000);
    assert_eq!(append_one(&journal, b"", b"x"), Err(AppendError::Storage));
    storage.heal();
    // Without a further append: the load balancer may send none while we are not ready.
    while journal.status().storable.is_err() {
        journal.tend();
    }
    append(&journal, 1, 1);
}

#[test]
fn an_empty_segment_whose_name_a_failed_attempt_took_is_not_written_to() {
    let storage = SimStorage::new(5);
    let (journal, _) = open_with(&storage, no_spares()).unwrap();
    // Too large for the empty segment; the larger one gets its name, which cannot be made durable.
    storage.fail(Operation::SyncDir, 1);
    assert_eq!(
        append_one(&journal, b"", &[1; 100_000]),
        Err(AppendError::Storage)
    );
    append(&journal, 1, 3);
    storage.power_off();
    drop(journal);
    storage.power_on(1);
    assert_eq!(read_all(&open(&storage)), [Seen::Records(1, 3)]);
}

#[test]
fn a_segment_is_not_appended_to_once_the_next_ones_name_may_be_on_disk() {
    for seed in 0..10 {
        let storage = SimStorage::new(seed);
        let (journal, _) = open_with(&storage, no_spares()).unwrap();
        append(&journal, 1, 3);
        storage.fail(Operation::SyncDir, 1);
        assert_eq!(
            append_one(&journal, b"", &[1; 100_000]),
            Err(AppendError::Storage)
        );
        append(&journal, 4, 6);
        storage.power_off();
        drop(journal);
        storage.power_on(seed);
        assert_eq!(read_all(&open(&storage)), [Seen::Records(1, 6)]);
    }
}

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
fn a_cursor_whose_sync_failed_is_written_anew() {
    let storage = filled(60);
    let journal = open(&storage);
    journal.save_progress(published(5), true).unwrap();
    storage.fail(Operation::Sync, 1);
    assert!(journal.save_progress(published(9), true).is_err());
    assert_eq!(journal.durable_progress(), published(5));
    journal.save_progress(published(9), true).unwrap();
    storage.power_off();
    drop(journal);
    storage.power_on(4);
    assert_eq!(open(&storage).progress(), published(9));
}

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
fn a_cursor_that_cannot_be_read_at_once_is_not_lost() {
    let storage = filled(60);
    let journal = open(&storage);
    journal.save_progress(published(50), true).unwrap();
    journal.close();
    for failures in 1..=3 {
        storage.fail_file(&path("cursor"), failures);
        let journal = open(&storage);
        assert_eq!(journal.progress(), published(50));
        journal.close();
    }
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

#[test]
fn a_cursor_that_cannot_be_opened_or_created_is_kept_in_memory_until_it_can() {
    for exists in [true, false] {
        let storage = filled(60);
        if !exists {
            icr_journal::storage::Storage::remove(&storage, &path("cursor")).unwrap();
        }
        storage.refuse(
            &path("cursor"),
            if exists { libc::EACCES } else { libc::ENOSPC },
        );
        let (journal, warnings) = open_with(&storage, options()).unwrap();
        assert!(warnings.mention("cannot be written"));
        append(&journal, 61, 62);
        journal.save_progress(published(40), false).unwrap();
        assert!(journal.save_progress(published(50), true).is_err());
        assert_eq!(journal.progress(), published(50));
        assert_eq!(journal.durable_progress(), published(0));
        storage.heal();
        journal.tend();
        assert_eq!(journal.durable_progress(), published(50));
        storage.power_off();
        drop(journal);
        storage.power_on(1);
        assert_eq!(open(&storage).progress(), published(50));
    }
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

/// An observer that takes the writer down.
struct Bomb;

impl icr_journal::Observer for Bomb {
    fn synced(&self, _records: usize, _bytes: usize, _sync: Duration) {
        panic!("for the test");
    }
}

#[test]
fn a_writer_that_panics_refuses_what_waits_and_what_comes() {
    let storage = SimStorage::new(5);
    let journal = icr_journal::Journal::open(
        std::sync::Arc::new(storage.clone()),
        options(),
        std::sync::Arc::new(Bomb),
    )
    .unwrap();
    assert!(!journal.has_ended());
    for _ in 0..3 {
        let refused = append_one(&journal, &tag(1), &body(1));
        assert_eq!(refused, Err(AppendError::Storage));
    }
    assert_eq!(journal.status().storable, Err(AppendError::Storage));
    assert!(journal.has_ended(), "so that the process can end");
    journal.tend();
    assert_eq!(journal.status().storable, Err(AppendError::Storage));
    // What was synced can still be published, and the journal closed.
    assert_eq!(read(journal.reader(1)), [Seen::Records(1, 1)]);
    journal.save_progress(published(1), true).unwrap();
    journal.close();
    append(&open(&storage), 2, 3);
}

#[test]
fn a_folder_in_the_place_of_the_cursor_keeps_no_door_shut() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("cursor")).unwrap();
    let journal = icr_journal::Journal::open(
        std::sync::Arc::new(icr_journal::storage::Disk),
        Options {
            dir: dir.path().to_owned(),
            ..options()
        },
        std::sync::Arc::new(Warnings::default()),
    )
    .unwrap();
    append(&journal, 1, 3);
    // It was given another name, and the cursor has its own.
    assert!(dir.path().join("cursor.foreign").is_dir());
    journal.save_progress(published(2), true).unwrap();
    assert_eq!(journal.progress(), published(2));
    journal.save_progress(published(3), true).unwrap();
    assert_eq!(journal.durable_progress(), published(3));
}

#[test]
fn a_cursor_that_was_not_written_anew_is_not_taken_for_durable() {
    let storage = filled(60);
    let journal = open(&storage);
    journal.save_progress(published(5), true).unwrap();
    journal.save_progress(published(9), false).unwrap();
    storage.fail(Operation::Sync, 1);
    storage.fail(Operation::Write, 1);
    while journal.save_progress(published(9), true).is_err() {}
    assert_eq!(journal.durable_progress(), published(9));
    storage.power_off();
    drop(journal);
    storage.power_on(4);
    assert_eq!(open(&storage).progress(), published(9));
}
