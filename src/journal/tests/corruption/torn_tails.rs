//! A power cut tore the last write to a segment. It is damage only if a torn record was known to be stored.

use super::{Expected, HARMLESS, check};
use crate::harness::*;

#[test]
fn a_torn_tail_is_cut_and_is_no_damage() {
    let storage = cut_off(60);
    // The last group (one record here) was never synced whole, and nobody says that it was.
    vouch(&storage, 59);
    storage.edit(&log(49), |bytes| bytes[frame(11) + 512..frame(12)].fill(0));
    let verification = view(&storage).verify().unwrap();
    assert!(
        verification
            .remarks
            .iter()
            .any(|remark| remark.what.contains("torn tail"))
    );
    let expected = Expected {
        seen: &[Seen::Records(1, 59)],
        ..HARMLESS
    };
    check(&storage, &expected);
}

#[test]
fn a_torn_tail_below_the_cursor_is_damage_and_is_kept() {
    let storage = cut_off(60);
    let journal = open(&storage);
    append(&journal, 61, 65);
    journal.save_progress(published(65), true).unwrap();
    storage.power_off();
    drop(journal);
    storage.power_on(0);
    flip(&storage, &log(61), frame(4) + 100);
    let before = storage.contents(&log(61));
    let journal = open(&storage);
    assert_eq!(journal.status().damaged_segments, 1);
    assert_eq!(journal.last_sequence(), 65);
    assert_eq!(storage.contents(&damaged(61)), before);
}

#[test]
fn a_torn_footer_is_written_again() {
    let storage = filled(60);
    let end = frame(12);
    // As the first sync of sealing may leave it: footer half there, no trailer, not cut.
    storage.edit(&log(49), |bytes| {
        bytes[end + 200..].fill(0);
        bytes.resize(SEGMENT as usize, 0);
    });
    check(&storage, &HARMLESS);
}
