//! What a name or a number on the disk may do: files that are not the journal's, and numbers that nobody ever counted to.
use super::harness::*;
use crate::support::eventually::within;
use crate::support::sim_storage::SimStorage;
use icr_journal::storage::{Disk, Storage};
use icr_journal::view::View;
use icr_journal::{Journal, Observer, Options};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Opens a journal on the real disk, in a thread: one that waits for ever fails the test.
fn open_on_disk(dir: &Path) -> (Journal, Arc<Warnings>) {
    let options = Options {
        dir: dir.to_owned(),
        ..options()
    };
    let warnings = Arc::new(Warnings::default());
    let observer: Arc<dyn Observer> = Arc::clone(&warnings) as _;
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(Journal::open(Arc::new(Disk), options, observer)));
    let opened = receiver.recv_timeout(Duration::from_secs(120));
    (opened.expect("it does not wait").unwrap(), warnings)
}

fn pipe(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: `path` ends in NUL and outlives the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

fn empty(path: &Path) {
    std::fs::write(path, b"").unwrap();
}

fn folder(path: &Path) {
    std::fs::create_dir(path).unwrap();
}

fn dangling(path: &Path) {
    std::os::unix::fs::symlink("nowhere/at/all", path).unwrap();
}

#[test]
fn a_number_in_a_name_does_not_decide_where_the_journal_goes_on() {
    for number in [u64::MAX, 10_000_000_000_000_000_000, 1 << 62, 1 << 60] {
        let dir = tempfile::tempdir().unwrap();
        folder(&dir.path().join("held"));
        for name in [
            format!("held/{number:020}"),
            format!("spare-{number}"),
            format!("{number:020}.log"),
            format!("{number:020}.outcomes"),
        ] {
            empty(&dir.path().join(name));
        }
        let (journal, _) = open_on_disk(dir.path());
        append(&journal, 1, 60);
        journal.close();
        let (journal, _) = open_on_disk(dir.path());
        assert_eq!(read_all(&journal), [Seen::Records(1, 60)], "{number}");
        assert_eq!(journal.held(), Vec::<u64>::new());
        assert_eq!(journal.held_ahead(), Vec::<u64>::new());
        assert_eq!(journal.ledger().unaccounted, 0);
        append(&journal, 61, 61);
    }
}

#[test]
fn a_foreign_file_among_the_held_costs_a_line_and_a_damaged_copy_still_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open_on_disk(dir.path());
    append(&journal, 1, 10);
    journal.hold(4, b"note", b"body").unwrap();
    let mut progress = published(10);
    (progress.published, progress.held) = (9, 1);
    journal.save_progress(progress, true).unwrap();
    journal.close();
    empty(&dir.path().join("held/00000000000000000007"));
    let (journal, warnings) = open_on_disk(dir.path());
    assert_eq!(journal.held(), [4]);
    assert_eq!(journal.ledger().unaccounted, 0);
    assert!(warnings.mention("held/00000000000000000007: this is no copy"));
    journal.close();
    // Emptied, the copy itself is missed: then it is a damaged one, and is said to be.
    std::fs::remove_file(dir.path().join("held/00000000000000000007")).unwrap();
    empty(&dir.path().join("held/00000000000000000004"));
    let view = View::open(Arc::new(Disk), dir.path()).unwrap();
    assert_eq!(view.ledger().unwrap().held, 1);
    let damage = view.verify().unwrap().damage;
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(damage[0].file.ends_with("04"), "{damage:?}");
}

#[test]
fn whatever_has_a_name_of_the_journals_and_is_no_file_is_neither_opened_nor_in_the_way() {
    let names = [
        "lock",
        "cursor",
        "memo",
        "memo.tmp",
        "spare-1",
        "spare-2",
        "00000000000000000001.log",
        "00000000000000000001.outcomes",
    ];
    let things: [fn(&Path); 3] = [pipe, folder, dangling];
    for thing in things {
        for name in names {
            let dir = tempfile::tempdir().unwrap();
            thing(&dir.path().join(name));
            // A command that only looks does not wait either.
            let (sender, receiver) = channel();
            let path = dir.path().to_owned();
            std::thread::spawn(move || {
                let view = View::open(Arc::new(Disk), &path).unwrap();
                let done = (view.ledger().is_ok(), view.verify().is_ok());
                sender.send(done)
            });
            let looked = receiver.recv_timeout(Duration::from_secs(120));
            assert_eq!(looked.expect("it does not wait"), (true, true), "{name}");
            let (journal, warnings) = open_on_disk(dir.path());
            journal.keep_memo(|| b"memo".to_vec());
            append(&journal, 1, 30);
            journal.note_outcome(1, b"outcome");
            journal.hold(3, b"note", b"body").unwrap();
            journal.close();
            assert!(warnings.mention(".foreign"), "{name}");
            let (journal, _) = open_on_disk(dir.path());
            assert_eq!(read_all(&journal), [Seen::Records(1, 30)], "{name}");
            assert_eq!(journal.memo(), b"memo", "{name}");
            assert_eq!(journal.read_held(3).unwrap().1, b"body", "{name}");
            let noted = journal.view().unwrap().noted(1).unwrap();
            assert_eq!(noted.of(1), Some(&b"outcome"[..]), "{name}");
        }
    }
}

#[test]
fn a_folder_that_is_made_under_the_next_segments_name_refuses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, warnings) = open_on_disk(dir.path());
    append(&journal, 1, 3);
    for base in 4..60 {
        folder(&dir.path().join(format!("{base:020}.log")));
    }
    append(&journal, 4, 60);
    assert!(warnings.mention("was renamed to"));
    journal.close();
    let (journal, _) = open_on_disk(dir.path());
    assert_eq!(read_all(&journal), [Seen::Records(1, 60)]);
}

#[test]
fn the_journals_folder_itself_may_be_reached_through_a_link() {
    let dir = tempfile::tempdir().unwrap();
    folder(&dir.path().join("there"));
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("there", &link).unwrap();
    let (journal, _) = open_on_disk(&link);
    append(&journal, 1, 3);
    journal.close();
    assert!(dir.path().join("there/cursor").exists());
}

#[test]
fn a_log_of_outcomes_and_a_held_file_of_a_terabyte_are_not_read_into_memory() {
    let dir = tempfile::tempdir().unwrap();
    folder(&dir.path().join("held"));
    for name in [
        "00000000000000000001.outcomes",
        "held/00000000000000000002",
        "held/released",
        "memo",
    ] {
        let file = std::fs::File::create(dir.path().join(name)).unwrap();
        file.set_len(1 << 40).unwrap();
    }
    let (journal, _) = open_on_disk(dir.path());
    append(&journal, 1, 3);
    let view = journal.view().unwrap();
    assert_eq!(view.noted(1).unwrap().of(1), None);
    view.verify().unwrap();
    journal.note_outcome(1, b"outcome");
    journal.tend();
    assert_eq!(view.noted(1).unwrap().of(1), Some(&b"outcome"[..]));
}

#[test]
fn a_cursor_that_claims_numbers_out_of_bounds_is_a_lost_one() {
    for field in [16, 24, 32, 40, 48, 56, 64, 72] {
        for claim in [u64::MAX, u64::MAX - 1, 1 << 63, 1 << 62] {
            let storage = filled(60);
            storage.edit(&path("cursor"), |bytes| {
                for slot in [0, 4096] {
                    if bytes.get(slot).is_some_and(|first| *first != 0) {
                        let at = slot + field;
                        bytes[at..at + 8].copy_from_slice(&claim.to_le_bytes());
                        let sum = crc32c::crc32c(&bytes[slot..slot + 124]);
                        bytes[slot + 124..slot + 128].copy_from_slice(&sum.to_le_bytes());
                    }
                }
            });
            let journal = open(&storage);
            assert_eq!(journal.progress().sequence, 0);
            append(&journal, 61, 90);
            journal.save_progress(published(70), true).unwrap();
            journal.close();
            let journal = open(&storage);
            assert_eq!(read_all(&journal), [Seen::Records(1, 90)]);
            assert_eq!(journal.ledger().unaccounted, 0);
        }
    }
}

#[test]
fn a_file_without_permission_is_waited_for_only_where_there_may_be_records_in_it() {
    // Beyond everything: nobody's.
    let storage = filled(60);
    storage.put(&log(1 << 40), b"somebody's");
    storage.deny(&log(1 << 40));
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    assert!(warnings.mention("in the place of none"));
    append(&journal, 61, 90);
    assert_eq!(read_all(&journal), [Seen::Records(1, 90)]);
    journal.close();
    // Where records are.
    let storage = filled(60);
    storage.deny(&log(25));
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    assert!(warnings.mention("publishing waits for it"));
    let mut reader = journal.reader(25);
    assert!(reader.next(Duration::ZERO).is_err());
    append(&journal, 61, 61);
    storage.heal();
    assert_eq!(read_all(&journal), [Seen::Records(1, 61)]);
}

#[test]
fn names_in_other_forms_are_left_alone() {
    let names = [
        "spare-keys",
        "spare-+7",
        "spare-007",
        "notes.tmp",
        "00000000000000000001.log ",
        "1.log",
        "held/notes.tmp",
        "held/4",
    ];
    let storage = SimStorage::new(3);
    for name in names {
        storage.put(&path(name), b"somebody's");
    }
    let journal = open(&storage);
    append(&journal, 1, 30);
    journal.close();
    for name in names {
        assert_eq!(
            storage.contents(&path(name)).unwrap(),
            b"somebody's",
            "{name}"
        );
    }
}

#[test]
fn a_hundred_thousand_foreign_files_cost_little_and_no_line() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..20_000 {
        empty(&dir.path().join(format!("file {number}")));
    }
    let (journal, warnings) = open_on_disk(dir.path());
    append(&journal, 1, 30);
    assert_eq!(warnings.count("file "), 0);
    // Looked up when asked, whatever it costs.
    within(Duration::from_secs(60), "sizes are known", || {
        (journal.status().bytes > 0).then_some(())
    });
    let before = Disk.list(dir.path()).unwrap().len();
    assert!(before > 20_000);
}
