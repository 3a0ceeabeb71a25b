//! The cursor cannot be read or written. Progress is kept in memory until it can be written again.

use crate::harness::*;
use crate::support::sim_storage::Operation;
use icr_journal::Options;

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
