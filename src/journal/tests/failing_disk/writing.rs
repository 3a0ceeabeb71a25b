//! Writes and syncs fail. The tests show which records are acknowledged all the same, and what is refused.

use super::no_spares;
use crate::harness::*;
use crate::support::eventually::eventually;
use crate::support::sim_storage::{Operation, SimStorage};
use icr_journal::AppendError;
use icr_journal::reader::Next;
use std::path::PathBuf;
use std::time::Duration;

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
