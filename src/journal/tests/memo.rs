//! The owner's memo: known again after a restart, and never in the way.
use super::harness::*;
use crate::support::sim_storage::{Operation, SimStorage};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn keep(journal: &icr_journal::Journal, memo: &'static str) {
    journal.keep_memo(move || memo.as_bytes().to_vec());
}

#[test]
fn a_memo_is_known_again_after_a_restart_and_after_a_power_cut() {
    let storage = SimStorage::new(1);
    let journal = open(&storage);
    assert_eq!(journal.memo(), b"");
    keep(&journal, "one");
    journal.close();
    let journal = open(&storage);
    assert_eq!(journal.memo(), b"one", "kept when it was closed");
    keep(&journal, "two");
    journal.tend();
    storage.power_off();
    drop(journal);
    storage.power_on(3);
    let journal = open(&storage);
    assert_eq!(journal.memo(), b"two", "kept by housekeeping, durably");
    journal.close();
    assert_eq!(open(&storage).memo(), b"two", "nobody said anything else");
}

#[test]
fn a_memo_that_says_nothing_new_is_not_written_again() {
    let storage = SimStorage::new(1);
    let journal = open(&storage);
    let asked = Arc::new(AtomicU64::new(0));
    journal.keep_memo({
        let asked = Arc::clone(&asked);
        move || {
            asked.fetch_add(1, Ordering::Relaxed);
            b"the same".to_vec()
        }
    });
    journal.tend();
    storage.edit(&path("memo"), |bytes| bytes.push(b'!'));
    journal.tend();
    assert!(asked.load(Ordering::Relaxed) >= 2);
    assert!(
        storage
            .contents(&path("memo"))
            .unwrap()
            .ends_with(b"the same!")
    );
}

#[test]
fn a_damaged_memo_counts_as_empty_is_told_and_replaced() {
    for damage in [
        |bytes: &mut Vec<u8>| bytes[14] ^= 1,
        |bytes: &mut Vec<u8>| bytes[0] ^= 1,
        |bytes: &mut Vec<u8>| bytes.truncate(5),
        |bytes: &mut Vec<u8>| bytes.truncate(13),
        |bytes: &mut Vec<u8>| bytes.clear(),
    ] {
        let storage = SimStorage::new(1);
        let journal = open(&storage);
        keep(&journal, "one");
        append(&journal, 1, 3);
        journal.close();
        assert_eq!(view(&storage).verify().unwrap().remarks, []);
        storage.edit(&path("memo"), damage);
        let verified = view(&storage).verify().unwrap();
        assert_eq!(verified.damage, [], "no record is lost");
        assert_eq!(verified.remarks[0].file, "memo");
        let (journal, warnings) = open_with(&storage, options()).unwrap();
        assert_eq!(journal.memo(), b"");
        assert!(warnings.mention("memo: cannot be read"));
        assert_eq!(read_all(&journal), [Seen::Records(1, 3)]);
        keep(&journal, "two");
        journal.close();
        assert_eq!(open(&storage).memo(), b"two");
    }
}

#[test]
fn a_memo_that_cannot_be_written_is_told_once_and_refuses_no_record() {
    let storage = SimStorage::new(1);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    append(&journal, 1, 1);
    keep(&journal, "one");
    for _ in 0..3 {
        storage.fail(Operation::Rename, 1);
        journal.tend();
    }
    assert_eq!(warnings.count("memo: cannot be written"), 1);
    append(&journal, 2, 5);
    journal.tend();
    journal.close();
    assert_eq!(open(&storage).memo(), b"one");
}

#[test]
fn a_memo_over_64_kib_is_refused() {
    let storage = SimStorage::new(1);
    let (journal, warnings) = open_with(&storage, options()).unwrap();
    journal.keep_memo(|| vec![b'x'; 64 << 10]);
    journal.tend();
    journal.keep_memo(|| vec![b'x'; (64 << 10) + 1]);
    journal.tend();
    assert!(warnings.mention("larger than 64 KiB"));
    journal.close();
    assert_eq!(open(&storage).memo().len(), 64 << 10);
}
