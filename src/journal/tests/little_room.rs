//! Disks with less room than one segment takes, or with room and no inodes.
use super::harness::*;
use crate::support::sim_storage::SimStorage;
use icr_journal::{AppendError, Options};

fn no_spares() -> Options {
    Options {
        spare_segments: 0,
        ..options()
    }
}

#[test]
fn where_there_is_no_room_for_a_segment_a_smaller_one_takes_what_has_room_itself() {
    for free in [13_000, 16_384, 20_000, 31_000] {
        let storage = SimStorage::new(5);
        let (journal, _) = open_with(&storage, no_spares()).unwrap();
        append(&journal, 1, 24);
        storage.leave_free(free);
        append(&journal, 25, 26);
        assert_eq!(journal.status().storable, Ok(()));
        // To the end, and not a byte further.
        let mut last = 26;
        while append_one(&journal, &tag(last + 1), &body(last + 1)).is_ok() {
            last += 1;
        }
        assert_eq!(journal.status().storable, Err(AppendError::DiskFull));
        assert!(last >= 24 + (free - 8192) / 1000 / 2, "{free}: {last}");
        storage.heal();
        append(&journal, last + 1, last + 60);
        storage.power_off();
        drop(journal);
        storage.power_on(3);
        let journal = open(&storage);
        assert_eq!(read_all(&journal), [Seen::Records(1, last + 60)]);
        assert_eq!(journal.status().damaged_segments, 0);
    }
}

#[test]
fn a_journal_opens_where_there_is_less_room_than_one_segment_takes() {
    let storage = SimStorage::new(5);
    // The cursor needs some, too.
    storage.leave_free(36_000);
    let (journal, _) = open_with(&storage, options()).unwrap();
    assert_eq!(journal.status().storable, Ok(()));
    append(&journal, 1, 3);
}

#[test]
fn where_no_file_can_be_made_the_segment_at_hand_grows() {
    let storage = SimStorage::new(5);
    let (journal, _) = open_with(&storage, no_spares()).unwrap();
    append(&journal, 1, 3);
    storage.leave_no_inodes(true);
    append(&journal, 4, 200);
    assert_eq!(journal.status().storable, Ok(()));
    assert!(storage.contents(&log(1)).unwrap().len() as u64 > SEGMENT);
    assert_eq!(read_all(&journal), [Seen::Records(1, 200)]);
    storage.power_off();
    drop(journal);
    storage.power_on(7);
    storage.leave_no_inodes(false);
    let journal = open(&storage);
    assert_eq!(read_all(&journal), [Seen::Records(1, 200)]);
    assert_eq!(journal.status().damaged_segments, 0);
    append(&journal, 201, 230);
    journal.close();
    assert_eq!(view(&storage).verify().unwrap().damage, []);
}

#[test]
fn a_segment_grows_by_what_there_is() {
    let storage = SimStorage::new(5);
    let (journal, _) = open_with(&storage, no_spares()).unwrap();
    append(&journal, 1, 24);
    storage.leave_no_inodes(true);
    storage.leave_free(10_000);
    append(&journal, 25, 30);
    let mut last = 30;
    while append_one(&journal, &tag(last + 1), &body(last + 1)).is_ok() {
        last += 1;
    }
    assert!(last < 40);
    storage.heal();
    storage.leave_no_inodes(false);
    append(&journal, last + 1, last + 30);
    journal.close();
    assert_eq!(read_all(&open(&storage)), [Seen::Records(1, last + 30)]);
}
