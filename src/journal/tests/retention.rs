//! What is deleted when, and what never is.
use super::harness::*;
use crate::support::eventually::eventually;
use crate::support::sim_storage::{Operation, SimStorage};
use icr_journal::{Journal, Options, Progress};
use std::time::Duration;

const HOUR: u64 = 3_600_000;

fn with_60_records(options: Options) -> (SimStorage, Journal) {
    let storage = SimStorage::new(3);
    let (journal, _) = open_with(&storage, options).unwrap();
    append(&journal, 1, 60);
    for sequence in 1..=60 {
        journal.note_outcome(sequence, b"there");
    }
    journal.tend();
    (storage, journal)
}

fn is_there(storage: &SimStorage, base: u64) -> bool {
    storage.contents(&log(base)).is_some()
}

#[test]
fn published_segments_go_when_they_are_old_and_their_outcomes_with_them() {
    let (storage, journal) = with_60_records(options());
    journal.save_progress(published(47), true).unwrap();
    storage.advance_clock(HOUR / 2);
    journal.tend();
    assert!(is_there(&storage, 1), "too young");
    storage.advance_clock(HOUR);
    journal.tend();
    assert!(!is_there(&storage, 1));
    assert!(
        storage
            .contents(&path("00000000000000000001.outcomes"))
            .is_none()
    );
    assert!(
        is_there(&storage, 25),
        "the cursor stands at its last record but one"
    );
    assert_eq!(
        read_all(&journal),
        [Seen::Missing(1, 24), Seen::Records(25, 60)]
    );
    assert_eq!(
        journal.status().damaged_segments,
        0,
        "what retention took is no loss"
    );
    assert_eq!(journal.ledger().unaccounted, 0);
    journal.close();
    let journal = open(&storage);
    assert_eq!(journal.status().damaged_segments, 0);
    assert_eq!(view(&storage).verify().unwrap().damage, []);
    assert_eq!(journal.progress(), published(47));
}

#[test]
fn published_segments_go_oldest_first_while_the_journal_is_too_large() {
    let (storage, journal) = with_60_records(Options {
        retention_bytes: 2 * SEGMENT,
        ..options()
    });
    journal.tend();
    assert!(is_there(&storage, 1), "nothing is published");
    journal.save_progress(published(60), true).unwrap();
    journal.tend();
    assert!(!is_there(&storage, 1));
    assert!(is_there(&storage, 25) && is_there(&storage, 49));
}

#[test]
fn the_segment_that_is_written_is_never_deleted() {
    let (storage, journal) = with_60_records(Options {
        retention_age: Duration::ZERO,
        retention_bytes: 0,
        ..options()
    });
    journal.save_progress(published(60), true).unwrap();
    storage.advance_clock(HOUR);
    journal.tend();
    assert!(!is_there(&storage, 25));
    assert!(is_there(&storage, 49));
    append(&journal, 61, 62);
}

#[test]
fn nothing_is_deleted_while_the_cursor_cannot_be_made_durable() {
    let (storage, journal) = with_60_records(Options {
        retention_bytes: 0,
        ..options()
    });
    storage.fail(Operation::Sync, 1000);
    journal.save_progress(published(60), false).unwrap();
    journal.tend();
    assert!(is_there(&storage, 1));
    storage.heal();
    journal.tend();
    assert!(!is_there(&storage, 1));
}

#[test]
fn a_damaged_segment_survives_retention_until_it_is_repaired() {
    let storage = filled(60);
    flip(&storage, &log(1), frame(2) + 99);
    let deleting = Options {
        retention_bytes: 0,
        ..options()
    };
    let (journal, _) = open_with(&storage, deleting.clone()).unwrap();
    read_all(&journal);
    let progress = Progress {
        published: 59,
        ..published(60)
    };
    journal.save_progress(progress, true).unwrap();
    journal.tend();
    assert!(storage.contents(&damaged(1)).is_some());
    assert!(!is_there(&storage, 25), "others go");
    assert_eq!(journal.status().damaged_segments, 1, "and leave no gap");
    assert_eq!(journal.ledger().unaccounted, 1);
    journal.close();
    let repaired = icr_journal::view::repair(
        std::sync::Arc::new(storage.clone()),
        std::path::Path::new(DIR),
    );
    assert_eq!(repaired.unwrap().written_off, 1);
    let (journal, _) = open_with(&storage, deleting).unwrap();
    assert_eq!(journal.ledger().unaccounted, 0);
    journal.tend();
    assert!(!is_there(&storage, 1));
}

#[test]
fn held_records_survive_retention() {
    let (storage, journal) = with_60_records(Options {
        retention_bytes: 0,
        ..options()
    });
    journal.hold(5, b"note", &body(5)).unwrap();
    let progress = Progress {
        sequence: 60,
        published: 59,
        held: 1,
        ..Progress::default()
    };
    journal.save_progress(progress, true).unwrap();
    journal.tend();
    assert!(!is_there(&storage, 1));
    journal.close();
    let journal = open(&storage);
    assert_eq!(journal.held(), [5]);
    assert_eq!(journal.read_held(5).unwrap(), (b"note".to_vec(), body(5)));
    assert_eq!(journal.ledger().unaccounted, 0);
}

#[test]
fn published_data_grows_old_with_little_traffic_too() {
    let storage = SimStorage::new(3);
    let journal = open(&storage);
    append(&journal, 1, 3);
    journal.save_progress(published(3), true).unwrap();
    journal.tend();
    // An eighth of the retention's hour.
    storage.advance_clock(450_000);
    journal.tend();
    append(&journal, 4, 4);
    assert!(storage.contents(&log(4)).is_none());
    storage.advance_clock(1);
    while storage.contents(&log(5)).is_none() {
        journal.tend();
    }
    journal.save_progress(published(4), true).unwrap();
    // It may be sealed, and so count as new, some moments later.
    eventually("it has grown old", || {
        storage.advance_clock(3_600_001);
        journal.tend();
        storage.contents(&log(1)).is_none().then_some(())
    });
    // An empty one stays as it is.
    storage.advance_clock(3_600_001);
    journal.tend();
    append(&journal, 5, 6);
    assert_eq!(read(journal.reader(5)), [Seen::Records(5, 6)]);
    assert_eq!(journal.status().damaged_segments, 0);
}

#[test]
fn what_is_pinned_stays_whatever_its_age_and_the_size_until_it_has_been_read() {
    let options = Options {
        retention_bytes: 0,
        ..options()
    };
    let (storage, journal) = with_60_records(options);
    let early = journal.pin(1);
    let late = journal.pin(30);
    journal.save_progress(published(60), true).unwrap();
    storage.advance_clock(10 * HOUR);
    journal.tend();
    assert!(is_there(&storage, 1));
    early.advance(25);
    journal.tend();
    assert!(!is_there(&storage, 1) && is_there(&storage, 25));
    // Never back.
    early.advance(1);
    drop(early);
    journal.tend();
    assert!(is_there(&storage, 25), "the other one wants it");
    assert_eq!(late.given_up(), 0);
    drop(late);
    journal.tend();
    assert!(!is_there(&storage, 25));
    assert_eq!(journal.ledger().unaccounted, 0);
}

#[test]
fn on_a_full_disk_a_pin_gives_way_to_deliveries_and_says_so() {
    let storage = SimStorage::new(5);
    let options = Options {
        spare_segments: 0,
        ..options()
    };
    let (journal, warnings) = open_with(&storage, options).unwrap();
    append(&journal, 1, 60);
    journal.save_progress(published(60), true).unwrap();
    journal.tend();
    let (early, late) = (journal.pin(10), journal.pin(40));
    storage.leave_free(0);
    // A segment takes the place of two, which were cut when they were sealed.
    append(&journal, 61, 80);
    assert!(!is_there(&storage, 1) && !is_there(&storage, 25));
    assert!(warnings.mention("although a replay had still to read it"));
    assert_eq!((early.given_up(), late.given_up()), (15 + 24, 9));
    assert_eq!(read(journal.reader(49)), [Seen::Records(49, 80)]);
}
