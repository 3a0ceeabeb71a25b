//! Copies of held records, and the ledger over them, through crashes, faults and loss.
use super::harness::*;
use crate::support::sim_storage::{Operation, SimStorage};
use icr_journal::storage::{Disk, Storage};
use icr_journal::view::repair;
use icr_journal::{Journal, Ledger, Observer, Options, Progress, Sequence, Taker};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn copy(sequence: Sequence) -> PathBuf {
    path("held").join(format!("{sequence:020}"))
}

/// One record of these is held, the others published.
fn one_held(sequence: Sequence) -> Progress {
    Progress {
        sequence,
        published: sequence - 1,
        held: 1,
        ..Progress::default()
    }
}

fn crash(storage: &SimStorage, journal: Journal, seed: u64) {
    storage.power_off();
    drop(journal);
    storage.power_on(seed);
}

/// Removes files durably.
fn lose(storage: &SimStorage, names: &[&str]) {
    for name in names {
        storage.remove(&path(name)).unwrap();
    }
    storage.sync_dir(Path::new(DIR)).unwrap();
}

/// Sixty records of which one is held, closed.
fn with_held(sequence: Sequence) -> SimStorage {
    let storage = filled(60);
    let journal = open(&storage);
    journal.hold(sequence, b"note", &body(sequence)).unwrap();
    journal.save_progress(one_held(60), true).unwrap();
    journal.close();
    storage
}

#[test]
fn the_copy_of_a_record_that_rotted_before_the_cursor_passed_it_is_kept_and_counted() {
    let storage = filled(60);
    let journal = open(&storage);
    journal.hold(30, b"note", &body(30)).unwrap();
    crash(&storage, journal, 3);
    flip(&storage, &log(25), frame(5) + 99);
    let journal = open(&storage);
    assert_eq!((journal.held(), journal.held_ahead()), (vec![], vec![30]));
    journal.save_progress(one_held(60), true).unwrap();
    assert_eq!((journal.held(), journal.held_ahead()), (vec![30], vec![]));
    assert_eq!(journal.read_held(30).unwrap(), (b"note".to_vec(), body(30)));
    let ledger = journal.ledger();
    assert_eq!((ledger.held, ledger.unaccounted), (1, 0));
}

#[test]
fn a_copy_outlives_its_segments_and_the_cursor_and_its_sequence_is_not_given_again() {
    let storage = with_held(30);
    let logs = ["1", "25", "49", "61"].map(|base| format!("{base:0>20}.log"));
    lose(
        &storage,
        &[&logs[0], &logs[1], &logs[2], &logs[3], "cursor"],
    );
    let journal = open(&storage);
    assert_eq!(journal.held(), [30]);
    append(&journal, 31, 33);
    let ledger = journal.ledger();
    assert_eq!((ledger.held, ledger.pending, ledger.unaccounted), (1, 3, 0));
}

#[test]
fn a_copy_above_what_is_left_of_the_segments_is_ahead_of_a_lost_cursor() {
    let storage = with_held(30);
    flip(&storage, &log(1), frame(2) + 99);
    let logs = ["25", "49", "61"].map(|base| format!("{base:0>20}.log"));
    lose(&storage, &[&logs[0], &logs[1], &logs[2], "cursor"]);
    let journal = open(&storage);
    assert_eq!(journal.held_ahead(), [30]);
    assert_eq!(
        read_all(&journal),
        [
            Seen::Records(1, 2),
            Seen::Missing(3, 3),
            Seen::Records(4, 24),
            Seen::Missing(25, 30)
        ]
    );
    append(&journal, 31, 31);
    assert_eq!(journal.read_held(30).unwrap().1, body(30));
}

#[test]
fn a_superseded_copy_that_cannot_be_removed_holds_nothing_up_and_goes_later() {
    let storage = filled(10);
    let journal = open(&storage);
    journal.hold(4, b"", &body(4)).unwrap();
    journal.hold(5, b"", &body(5)).unwrap();
    crash(&storage, journal, 3);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    storage.fail(Operation::Remove, 1000);
    journal.supersede(4);
    assert!(warnings.mention("cannot be removed"));
    let progress = one_held(10);
    journal.save_progress(progress, true).unwrap();
    journal.tend();
    assert!(storage.contents(&copy(4)).is_some());
    assert_eq!((journal.held(), journal.ledger().unaccounted), (vec![5], 0));
    // A restart knows as well.
    crash(&storage, journal, 5);
    storage.fail(Operation::Remove, 1000);
    let journal = open(&storage);
    assert_eq!((journal.held(), journal.ledger().unaccounted), (vec![5], 0));
    storage.heal();
    journal.tend();
    assert_eq!(storage.contents(&copy(4)), None);
    assert!(storage.contents(&copy(5)).is_some());
}

#[test]
fn a_copy_that_vanished_is_unaccounted_and_not_quarantined() {
    let storage = with_held(30);
    storage.remove(&copy(30)).unwrap();
    storage.sync_dir(&path("held")).unwrap();
    let journal = open(&storage);
    let ledger = journal.ledger();
    assert_eq!(
        (ledger.held, ledger.quarantined, ledger.unaccounted),
        (0, 0, 1)
    );
    journal.close();
    assert_eq!(view(&storage).ledger().unwrap(), ledger);
    assert_eq!(
        repair(Arc::new(storage.clone()), Path::new(DIR))
            .unwrap()
            .written_off,
        1
    );
    let ledger = open(&storage).ledger();
    assert_eq!((ledger.written_off, ledger.unaccounted), (1, 0));
}

#[test]
fn a_crash_at_any_point_of_a_release_leaves_the_ledger_balanced() {
    for fuse in 0..20 {
        let storage = with_held(30);
        let journal = open(&storage);
        storage.light_fuse(fuse);
        let released = journal.release(30, Taker::Quarantine).is_ok();
        let off = storage.is_off();
        crash(&storage, journal, u64::from(fuse));
        let journal = open(&storage);
        let ledger = journal.ledger();
        assert_eq!(ledger.unaccounted, 0, "after {fuse} operations: {ledger:?}");
        assert_eq!(ledger.quarantined + ledger.held, 1, "{ledger:?}");
        if released {
            assert_eq!(ledger.quarantined, 1, "after {fuse} operations");
        }
        journal.release(30, Taker::Quarantine).unwrap();
        assert_eq!(journal.ledger().quarantined, 1);
        assert_eq!(storage.contents(&copy(30)), None);
        if !off {
            return;
        }
    }
    panic!("the release never came to its end");
}

#[test]
fn a_sequence_that_was_released_can_be_held_again_and_survives_a_crash() {
    let storage = with_held(30);
    let journal = open(&storage);
    journal.release(30, Taker::Quarantine).unwrap();
    journal.hold(30, b"again", &body(30)).unwrap();
    crash(&storage, journal, 4);
    let journal = open(&storage);
    assert_eq!(
        journal.read_held(30).unwrap(),
        (b"again".to_vec(), body(30))
    );
    assert_eq!(journal.held(), [30]);
}

#[test]
fn after_the_cursor_was_lost_what_was_released_before_does_not_count_twice() {
    let storage = with_held(30);
    let journal = open(&storage);
    journal.release(30, Taker::Quarantine).unwrap();
    journal.close();
    lose(&storage, &["cursor"]);
    let journal = open(&storage);
    journal.hold(31, b"", &body(31)).unwrap();
    journal.save_progress(one_held(60), true).unwrap();
    journal.close();
    storage.remove(&copy(31)).unwrap();
    storage.sync_dir(&path("held")).unwrap();
    let ledger = open(&storage).ledger();
    assert_eq!((ledger.quarantined, ledger.unaccounted), (0, 1));
}

#[test]
fn on_a_full_disk_a_published_segment_goes_for_a_copy_and_at_last_a_spare() {
    let storage = filled(60);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    journal.save_progress(published(30), true).unwrap();
    storage.leave_free(0);
    journal.hold(31, b"", &body(31)).unwrap();
    assert!(storage.contents(&log(1)).is_none());
    assert!(warnings.mention("oldest published segment"));
    // Nothing published is left to go.
    storage.leave_free(0);
    journal.hold(32, b"", &body(32)).unwrap();
    assert!(warnings.mention("a spare segment was given up"));
    assert_eq!(journal.held_ahead(), [31, 32]);
    assert_eq!(read(journal.reader(25)), [Seen::Records(25, 60)]);
}

#[test]
fn what_a_crash_left_half_written_is_removed_at_the_start() {
    let storage = with_held(30);
    let leftover = path("held").join(format!("{:020}.tmp", 31));
    storage.put(&leftover, b"personal data");
    drop(open(&storage));
    assert_eq!(storage.contents(&leftover), None);
    assert!(storage.contents(&copy(30)).is_some());
}

#[test]
fn a_copy_that_may_not_be_read_is_left_alone_by_a_repair() {
    let storage = with_held(30);
    storage.deny(&copy(30));
    let report = repair(Arc::new(storage.clone()), Path::new(DIR)).unwrap();
    assert_eq!(report.written_off, 0, "{report:?}");
    assert!(report.done[0].contains("left as it is"), "{report:?}");
    storage.heal();
    let journal = open(&storage);
    assert_eq!(journal.read_held(30).unwrap().1, body(30));
    assert_eq!(
        (journal.held(), journal.ledger().unaccounted),
        (vec![30], 0)
    );
}

#[test]
fn what_is_released_counts_where_it_went_over_restarts_too() {
    let storage = filled(60);
    let journal = open(&storage);
    for sequence in [10, 20, 30] {
        journal.hold(sequence, b"note", &body(sequence)).unwrap();
    }
    let progress = Progress {
        sequence: 60,
        published: 57,
        held: 3,
        ..Progress::default()
    };
    journal.save_progress(progress, true).unwrap();
    journal.release(10, Taker::Topic).unwrap();
    journal.release(20, Taker::Quarantine).unwrap();
    // Once is enough, whoever takes it again.
    journal.release(10, Taker::Quarantine).unwrap();
    journal.release(7, Taker::Topic).unwrap();
    let counted = |ledger: Ledger| {
        let Ledger {
            published,
            quarantined,
            held,
            unaccounted,
            ..
        } = ledger;
        (published, quarantined, held, unaccounted)
    };
    assert_eq!(counted(journal.ledger()), (58, 1, 1, 0));
    journal.close();
    assert_eq!(counted(view(&storage).ledger().unwrap()), (58, 1, 1, 0));
    assert_eq!(counted(open(&storage).ledger()), (58, 1, 1, 0));
}

#[test]
fn the_count_of_an_earlier_format_is_read_and_goes_on() {
    let storage = filled(60);
    let journal = open(&storage);
    for sequence in [20, 30] {
        journal.hold(sequence, b"note", &body(sequence)).unwrap();
    }
    let progress = Progress {
        published: 58,
        held: 2,
        ..one_held(60)
    };
    journal.save_progress(progress, true).unwrap();
    journal.release(20, Taker::Quarantine).unwrap();
    let before = journal.ledger();
    assert_eq!((before.quarantined, before.unaccounted), (1, 0));
    journal.close();
    let rest = [1_u64.to_le_bytes(), 20_u64.to_le_bytes()].concat();
    let crc = crc32c::crc32c(&rest).to_le_bytes();
    let file = [b"icrgone1".as_slice(), &crc, &rest].concat();
    storage.put(&path("held/released"), &file);
    let journal = open(&storage);
    assert_eq!(journal.ledger(), before);
    journal.release(30, Taker::Topic).unwrap();
    let ledger = journal.ledger();
    let counted = (ledger.published, ledger.quarantined, ledger.unaccounted);
    assert_eq!(counted, (59, 1, 0));
}

struct Quiet;
impl Observer for Quiet {}

#[test]
fn a_folder_of_held_records_that_cannot_be_used_keeps_nothing_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("held"), b"no folder").unwrap();
    let options = Options {
        dir: dir.to_owned(),
        ..options()
    };
    let warnings = Arc::new(Warnings::default());
    let observer: Arc<dyn Observer> = Arc::clone(&warnings) as _;
    let journal = Journal::open(Arc::new(Disk), options.clone(), observer).unwrap();
    assert!(warnings.mention("nothing can be held"));
    append(&journal, 1, 3);
    assert!(journal.hold(2, b"", &body(2)).is_err());
    journal.close();
    let refused = repair(Arc::new(Disk), dir);
    assert!(refused.is_err(), "what is held would be written off");
    let journal = Journal::open(Arc::new(Disk), options, Arc::new(Quiet)).unwrap();
    std::fs::remove_file(dir.join("held")).unwrap();
    journal.hold(2, b"note", &body(2)).unwrap();
    assert_eq!(journal.held_ahead(), [2]);
}
