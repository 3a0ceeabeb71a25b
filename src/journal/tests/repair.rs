//! Repair beyond what every corruption test checks.
use super::harness::*;
use crate::support::sim_storage::SimStorage;
use icr_journal::storage::Storage;
use icr_journal::view::{View, repair};
use icr_journal::{OpenError, Progress};
use std::path::Path;
use std::sync::Arc;

fn repair_it(storage: &SimStorage) -> icr_journal::view::Repair {
    repair(Arc::new(storage.clone()), Path::new(DIR)).unwrap()
}

#[test]
fn a_running_journal_is_not_repaired() {
    let storage = filled(10);
    let journal = open(&storage);
    let refused = repair(Arc::new(storage.clone()), Path::new(DIR));
    assert!(matches!(refused, Err(OpenError::Locked { .. })));
    drop(journal);
}

#[test]
fn a_folder_that_does_not_exist_is_an_error_and_is_not_created() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let disk = || Arc::new(icr_journal::storage::Disk);
    assert!(matches!(
        repair(disk(), &missing),
        Err(OpenError::Io { .. })
    ));
    assert!(matches!(
        View::open(disk(), &missing),
        Err(OpenError::Io { .. })
    ));
    assert!(!missing.exists());
}

#[test]
fn a_healthy_journal_is_left_as_it_is() {
    let storage = filled(60);
    let before = storage.contents(&log(1));
    let report = repair_it(&storage);
    assert_eq!(
        (report.done.len(), report.written_off),
        (0, 0),
        "{report:?}"
    );
    assert_eq!(storage.contents(&log(1)), before);
}

#[test]
fn the_damaged_original_is_kept_at_each_repair() {
    let storage = filled(60);
    flip(&storage, &log(1), frame(2) + 99);
    let first = storage.contents(&log(1));
    repair_it(&storage);
    flip(&storage, &log(1), frame(7) + 99);
    let second = storage.contents(&log(1));
    let report = repair_it(&storage);
    assert_eq!(report.written_off, 1);
    let backup =
        |number: &str| storage.contents(&path(&format!("{:020}.log.damaged.bak{number}", 1)));
    assert_eq!((backup(""), backup("-2")), (first, second));
    let seen = [
        Seen::Records(1, 2),
        Seen::WrittenOff(3, 3),
        Seen::Records(4, 8),
        Seen::WrittenOff(9, 9),
        Seen::Records(10, 60),
    ];
    assert_eq!(read_all(&open(&storage)), seen);
}

#[test]
fn what_the_cursor_has_passed_uncounted_is_written_off_and_what_was_published_is_not() {
    let storage = filled(60);
    flip(&storage, &log(1), frame(2) + 99);
    flip(&storage, &log(25), frame(2) + 99);
    let journal = open(&storage);
    // Record 3 was published before it rotted; 27 was met as missing; 28 and later are pending.
    let progress = Progress {
        published: 26,
        ..published(27)
    };
    journal.save_progress(progress, true).unwrap();
    assert_eq!(journal.ledger().unaccounted, 1);
    journal.close();
    assert_eq!(repair_it(&storage).written_off, 1);
    let journal = open(&storage);
    let ledger = journal.ledger();
    assert_eq!(
        (ledger.written_off, ledger.pending, ledger.unaccounted),
        (1, 33, 0)
    );
}

#[test]
fn a_crash_at_any_point_of_a_repair_is_harmless() {
    for fuse in 0..60 {
        let storage = filled(60);
        flip(&storage, &log(25), frame(5) + 99);
        storage.remove(&log(1)).unwrap();
        storage.sync_dir(Path::new(DIR)).unwrap();
        let original = storage.contents(&log(25)).unwrap();
        storage.light_fuse(fuse);
        let cut_short = repair(Arc::new(storage.clone()), Path::new(DIR)).is_err();
        storage.power_on(u64::from(fuse));
        repair_it(&storage);
        assert_eq!(view(&storage).verify().unwrap().damage, []);
        let seen = [
            Seen::WrittenOff(1, 24),
            Seen::Records(25, 29),
            Seen::WrittenOff(30, 30),
            Seen::Records(31, 60),
        ];
        let journal = open(&storage);
        assert_eq!(read_all(&journal), seen, "after {fuse} operations");
        assert_eq!(journal.ledger().unaccounted, 0);
        assert!(
            storage.snapshot().values().any(|bytes| *bytes == original),
            "the original is kept"
        );
        if !cut_short {
            return;
        }
    }
    panic!("the repair never came to its end");
}

#[test]
fn a_damaged_held_record_is_restored_from_its_segment_or_written_off() {
    let storage = filled(60);
    let journal = open(&storage);
    journal.hold(5, b"note", &body(5)).unwrap();
    journal.hold(30, b"note", &body(30)).unwrap();
    journal.note_outcome(5, b"note");
    let progress = Progress {
        sequence: 60,
        published: 58,
        held: 2,
        ..Progress::default()
    };
    journal.save_progress(progress, true).unwrap();
    journal.close();
    for sequence in [5, 30] {
        flip(&storage, &path("held").join(format!("{sequence:020}")), 40);
    }
    // Record 30 is lost in its segment too.
    flip(&storage, &log(25), frame(5) + 99);
    assert_eq!(view(&storage).verify().unwrap().damage.len(), 3);
    let report = repair_it(&storage);
    assert_eq!(report.written_off, 1, "{report:?}");
    assert_eq!(view(&storage).verify().unwrap().damage, []);
    let journal = open(&storage);
    assert_eq!(
        (journal.held(), journal.read_held(5).unwrap()),
        (vec![5], (b"note".to_vec(), body(5)))
    );
    let ledger = journal.ledger();
    assert_eq!(
        (ledger.held, ledger.written_off, ledger.unaccounted),
        (1, 1, 0)
    );
}

#[test]
fn what_still_has_a_record_is_not_written_off() {
    let storage = filled(60);
    flip(&storage, &log(25), frame(5) + 99);
    let journal = open(&storage);
    // Up to 48 passed, none of the second segment published, one of it lost.
    let progress = Progress {
        published: 24,
        ..published(48)
    };
    journal.save_progress(progress, true).unwrap();
    journal.close();
    let report = repair_it(&storage);
    assert_eq!(report.written_off, 1);
    let kept = "23 records that the cursor has passed without an outcome are not written off";
    assert!(
        report.done.iter().any(|done| done.contains(kept)),
        "{report:?}"
    );
    let ledger = open(&storage).ledger();
    assert_eq!((ledger.written_off, ledger.unaccounted), (1, 23));
}

#[test]
fn a_repair_reads_again_what_cannot_be_read_at_once() {
    let damaged = filled(60);
    flip(&damaged, &log(25), frame(5) + 99);
    for failures in 1..=3 {
        let storage = damaged.fork();
        storage.fail_file(&log(25), failures);
        let report = repair_it(&storage);
        assert_eq!(report.written_off, 1, "{report:?}");
        let seen = [
            Seen::Records(1, 29),
            Seen::WrittenOff(30, 30),
            Seen::Records(31, 60),
        ];
        assert_eq!(read_all(&open(&storage)), seen);
    }
    // Nor does a place that is lost for good stop it.
    let storage = damaged.fork();
    let sector = frame(9) as u64 / 4096 * 4096;
    storage.make_unreadable(&log(25), sector..sector + 512);
    repair_it(&storage);
    assert_eq!(view(&storage).verify().unwrap().damage, []);
    let mut reader = view(&storage).reader(39).unwrap();
    assert!(matches!(
        reader.next(std::time::Duration::ZERO),
        Ok(icr_journal::reader::Next::Record(_))
    ));
}

#[test]
fn files_that_root_makes_belong_to_the_owner_of_the_folder() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    if std::fs::metadata(dir.path()).unwrap().uid() != 0 {
        // Only root may give files away.
        return;
    }
    std::os::unix::fs::chown(dir.path(), Some(12345), Some(12346)).unwrap();
    let file = dir.path().join("00000000000000000001.repair");
    icr_journal::storage::Disk.create(&file, 4096).unwrap();
    let owner = std::fs::metadata(&file).unwrap();
    assert_eq!((owner.uid(), owner.gid()), (12345, 12346));
}
