//! Files, folder and lock that lose their names while the journal is open.
use super::harness::*;
use crate::support::eventually::eventually;
use crate::support::sim_storage::SimStorage;
use icr_journal::storage::{Disk, Storage};
use icr_journal::{AppendError, Journal, OpenError, Options};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const AWAY: &str = "/away";

/// Lets housekeeping look until something holds.
fn looked(journal: &Journal, what: &str, holds: impl Fn() -> bool) {
    eventually(what, || {
        journal.tend();
        holds().then_some(())
    });
}

/// A power cut, then a start: what is there.
fn after_a_power_cut(storage: &SimStorage, journal: Journal) -> Journal {
    storage.power_off();
    drop(journal);
    storage.power_on(3);
    open(storage)
}

fn logs(storage: &SimStorage) -> Vec<PathBuf> {
    let names = storage.snapshot().into_keys();
    names
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect()
}

#[test]
fn a_segment_that_is_deleted_while_it_is_written_is_written_again() {
    let storage = SimStorage::new(5);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    append(&journal, 1, 5);
    storage.unlink(&log(1));
    append(&journal, 6, 8);
    assert!(
        storage.contents(&log(6)).is_some(),
        "nothing is acknowledged from a file without a name"
    );
    looked(&journal, "it is written again", || {
        storage.contents(&log(1)).is_some()
    });
    assert!(warnings.mention("its 5 deliveries were written again"));
    assert_eq!(read_all(&journal), [Seen::Records(1, 8)]);
    assert_eq!(journal.status().damaged_segments, 0);
    let journal = after_a_power_cut(&storage, journal);
    assert_eq!(read_all(&journal), [Seen::Records(1, 8)]);
    assert_eq!(view(&storage).verify().unwrap().damage, []);
}

#[test]
fn a_segment_that_is_deleted_while_nothing_comes_is_written_again() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    append(&journal, 1, 5);
    storage.unlink(&log(1));
    looked(&journal, "it is written again", || {
        storage.contents(&log(1)).is_some()
    });
    let journal = after_a_power_cut(&storage, journal);
    assert_eq!(read_all(&journal), [Seen::Records(1, 5)]);
}

#[test]
fn another_file_in_its_place_is_kept_aside() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    append(&journal, 1, 5);
    storage.unlink(&log(1));
    storage.put(&log(1), b"somebody's");
    looked(&journal, "it is written again", || {
        storage.contents(&log(1)).unwrap() != b"somebody's"
    });
    let kept = storage.snapshot().into_iter();
    let kept: Vec<_> = kept.filter(|(_, bytes)| bytes == b"somebody's").collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(read_all(&journal), [Seen::Records(1, 5)]);
    let journal = after_a_power_cut(&storage, journal);
    assert_eq!(read_all(&journal), [Seen::Records(1, 5)]);
    assert_eq!(journal.status().damaged_segments, 0);
}

#[test]
fn sealed_segments_that_are_not_published_are_written_again_and_others_are_damage() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    append(&journal, 1, 80);
    journal.tend();
    journal.save_progress(published(30), true).unwrap();
    journal.tend();
    let sealed = logs(&storage);
    assert!(sealed.len() >= 4, "{sealed:?}");
    sealed.iter().for_each(|path| storage.unlink(path));
    // The first is published; its descriptor was let go.
    looked(&journal, "those that are pending are written again", || {
        let there = |path| storage.contents(path).is_some();
        sealed[1..].iter().all(|path| there(path)) && !there(&sealed[0])
    });
    assert_eq!(journal.status().damaged_segments, 1, "the first is missed");
    let seen = read_all(&journal);
    let Seen::Missing(1, lost) = seen[0] else {
        panic!("{seen:?}");
    };
    assert!(lost <= 30);
    assert_eq!(seen[1..], [Seen::Records(lost + 1, 80)]);
    let journal = after_a_power_cut(&storage, journal);
    assert_eq!(read_all(&journal)[1..], [Seen::Records(lost + 1, 80)]);
}

#[test]
fn a_segment_of_an_earlier_run_that_is_gone_is_reported_before_it_is_read() {
    let storage = filled(60);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    assert_eq!(journal.status().damaged_segments, 0);
    storage.unlink(&log(1));
    journal.tend();
    assert!(warnings.mention("the segment is gone"));
    assert_eq!(journal.status().damaged_segments, 1);
}

#[test]
fn without_space_a_deleted_segment_is_damage_until_there_is_some_and_is_published_all_the_same() {
    let storage = SimStorage::new(5);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    append(&journal, 1, 5);
    // A spare for the next segment is there.
    journal.tend();
    storage.unlink(&log(1));
    // What the deleted file gave back.
    storage.leave_free(0);
    append(&journal, 6, 8);
    looked(&journal, "the alarm is up", || {
        journal.status().damaged_segments == 1
    });
    assert!(warnings.mention("do not stop the bridge"));
    assert_eq!(read_all(&journal), [Seen::Records(1, 8)]);
    storage.heal();
    looked(&journal, "it is written again", || {
        journal.status().damaged_segments == 0
    });
    let journal = after_a_power_cut(&storage, journal);
    assert_eq!(read_all(&journal), [Seen::Records(1, 8)]);
}

#[test]
fn while_the_folder_is_away_nothing_is_accepted_and_then_it_goes_on() {
    let storage = SimStorage::new(5);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    append(&journal, 1, 30);
    storage.detach_folder(Path::new(DIR));
    assert_eq!(
        append_one(&journal, &tag(31), &body(31)),
        Err(AppendError::Displaced)
    );
    journal.tend();
    let status = journal.status();
    assert_eq!(status.storable, Err(AppendError::Displaced));
    assert_eq!(status.damaged_segments, 1);
    assert!(warnings.mention("no longer leads to the folder"));
    assert_eq!(read_all(&journal), [Seen::Records(1, 30)]);
    journal.save_progress(published(10), true).unwrap();
    storage.attach_folder(Path::new(DIR));
    looked(&journal, "it goes on by itself", || {
        journal.status().storable.is_ok()
    });
    assert_eq!(journal.status().damaged_segments, 0);
    append(&journal, 31, 40);
    let journal = after_a_power_cut(&storage, journal);
    assert_eq!(read_all(&journal), [Seen::Records(1, 40)]);
    assert_eq!(journal.progress(), published(10));
}

#[test]
fn nothing_is_written_into_a_folder_that_was_put_in_its_place() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    append(&journal, 1, 30);
    storage.move_folder(Path::new(DIR), Path::new(AWAY));
    let (other, _) = open_with(&storage, options()).unwrap();
    append(&other, 1, 3);
    other.close();
    let before = storage.snapshot();
    let inside = |path: &PathBuf| path.starts_with(DIR);
    assert_eq!(
        append_one(&journal, &tag(31), &body(31)),
        Err(AppendError::Displaced)
    );
    journal.note_outcome(1, b"published");
    journal.hold(2, b"note", &body(2)).unwrap();
    journal.keep_memo(|| b"memo".to_vec());
    journal.save_progress(published(10), true).unwrap();
    journal.tend();
    journal.close();
    let after = storage.snapshot();
    let of = |all: &std::collections::BTreeMap<PathBuf, Vec<u8>>| {
        let names = all.iter().filter(|(path, _)| inside(path));
        names
            .map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&after), of(&before));
    let away = Options {
        dir: PathBuf::from(AWAY),
        ..options()
    };
    let (journal, _) = open_with(&storage, away).unwrap();
    assert_eq!(
        journal.progress(),
        published(10),
        "it was written where it belongs"
    );
    assert_eq!(read_all(&journal), [Seen::Records(1, 30)]);
}

#[test]
fn a_lock_file_that_is_deleted_is_made_again_and_keeps_others_out_all_along() {
    let storage = SimStorage::new(5);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    append(&journal, 1, 3);
    storage.unlink_lock(&path("lock"));
    let second = open_with(&storage, options()).err();
    assert!(
        matches!(second, Some(OpenError::Locked { .. })),
        "{second:?}"
    );
    journal.tend();
    assert!(warnings.mention("it has been locked again"));
    append(&journal, 4, 6);
    let second = open_with(&storage, options()).err();
    assert!(
        matches!(second, Some(OpenError::Locked { .. })),
        "{second:?}"
    );
    assert_eq!(journal.status().storable, Ok(()));
    journal.close();
    drop(open(&storage));
}

#[test]
fn where_folders_have_no_locks_a_journal_that_another_has_opened_is_left_alone() {
    let storage = SimStorage::new(5);
    storage.lock_no_folders();
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    append(&journal, 1, 3);
    storage.unlink_lock(&path("lock"));
    let other = open(&storage);
    append(&other, 4, 5);
    journal.tend();
    assert_eq!(
        append_one(&journal, &tag(4), &body(4)),
        Err(AppendError::Displaced)
    );
    assert!(warnings.mention("another process has written in this folder"));
    other.close();
    let before = storage.snapshot();
    journal.save_progress(published(2), true).unwrap_err();
    journal.note_outcome(1, b"published");
    journal.tend();
    assert_eq!(
        append_one(&journal, &tag(4), &body(4)),
        Err(AppendError::Displaced),
        "also once the other one has ended"
    );
    journal.close();
    assert_eq!(storage.snapshot(), before);
    assert_eq!(read_all(&open(&storage)), [Seen::Records(1, 5)]);
}

#[test]
fn a_cursor_and_a_memo_that_are_deleted_are_written_again() {
    let storage = SimStorage::new(5);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    journal.keep_memo(|| b"memo".to_vec());
    append(&journal, 1, 5);
    journal.save_progress(published(3), true).unwrap();
    journal.tend();
    storage.unlink(&path("cursor"));
    storage.unlink(&path("memo"));
    journal.tend();
    assert!(warnings.mention("the cursor's file was deleted"));
    journal.save_progress(published(4), true).unwrap();
    let journal = after_a_power_cut(&storage, journal);
    assert_eq!(journal.progress(), published(4));
    assert_eq!(journal.memo(), b"memo");
}

#[test]
fn a_spare_that_is_deleted_or_replaced_never_becomes_a_segment() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    append(&journal, 1, 3);
    for replaced in [false, true] {
        let names = storage.snapshot().into_keys();
        let spares: Vec<_> = names
            .filter(|path| path.to_str().unwrap().contains("/spare-"))
            .collect();
        for spare in spares {
            storage.unlink(&spare);
            if replaced {
                storage.put(&spare, b"somebody's");
            }
        }
        let last = journal.last_sequence();
        append(&journal, last + 1, last + 30);
    }
    journal.tend();
    let last = journal.last_sequence();
    assert_eq!(read_all(&journal), [Seen::Records(1, last)]);
    let journal = after_a_power_cut(&storage, journal);
    assert_eq!(read_all(&journal), [Seen::Records(1, last)]);
    assert_eq!(journal.status().damaged_segments, 0);
}

fn on_disk(dir: &Path) -> (Journal, Arc<Warnings>) {
    let warnings = Arc::new(Warnings::default());
    let disk: Arc<dyn Storage> = Arc::new(Disk);
    let options = Options {
        dir: dir.to_owned(),
        ..options()
    };
    let journal = Journal::open(disk, options, Arc::clone(&warnings) as _).unwrap();
    (journal, warnings)
}

#[test]
fn on_the_real_disk_a_folder_that_is_deleted_is_published_from_what_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let (journal, _) = on_disk(&dir);
    append(&journal, 1, 80);
    journal.tend();
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(
        append_one(&journal, &tag(81), &body(81)),
        Err(AppendError::Displaced)
    );
    journal.tend();
    assert_eq!(read_all(&journal), [Seen::Records(1, 80)]);
    std::fs::create_dir(&dir).unwrap();
    journal.tend();
    journal.close();
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn on_the_real_disk_a_symbolic_link_that_is_turned_elsewhere_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let (journal, _) = on_disk(&link);
    append(&journal, 1, 3);
    std::fs::remove_file(&link).unwrap();
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    assert_eq!(
        append_one(&journal, &tag(4), &body(4)),
        Err(AppendError::Displaced)
    );
    journal.tend();
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0);
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    looked(&journal, "it goes on", || journal.status().storable.is_ok());
    append(&journal, 4, 5);
    // A segment that is a link to where it was moved would not be found by the next start.
    let segment = std::fs::read_dir(&real)
        .unwrap()
        .map(|it| it.unwrap().path());
    let mut segments: Vec<_> = segment
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    segments.sort();
    let active = segments.pop().unwrap();
    let moved = folder.path().join("moved");
    std::fs::rename(&active, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &active).unwrap();
    append(&journal, 6, 7);
    looked(&journal, "it is a file again", || {
        std::fs::symlink_metadata(&active).is_ok_and(|found| found.is_file())
    });
    journal.close();
    let (journal, _) = on_disk(&link);
    assert_eq!(read_all(&journal), [Seen::Records(1, 7)]);
}
