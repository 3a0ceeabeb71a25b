//! What a survey reports of a delivery whose outcome note is lost or unreadable, or whose segment was deleted.

use super::{
    HELD, Seen, all, deliver, deliveries, encoded, filled, note, progress, published, record,
    survey,
};
use crate::support::harness::{log, open, open_with, options, path, view};
use crate::support::sim_storage::SimStorage;
use icr_bridge::domain::delivery::Millis;
use icr_bridge::domain::outcome::Fate;
use icr_bridge::domain::selection::Selection;
use icr_bridge::journal::{Options, Taker};

#[test]
fn what_the_cursor_has_passed_without_a_note_is_unknown() {
    let storage = filled(60, 60);
    storage.edit(&path("00000000000000000001.outcomes"), |bytes| {
        bytes.truncate(100)
    });
    let seen = all(&storage);
    assert_eq!(seen[0], Seen::Delivery(1, Fate::Published));
    assert_eq!(seen[20], Seen::Delivery(21, Fate::Unknown));
    assert_eq!(seen[59], Seen::Delivery(60, Fate::Published));
}

#[test]
fn a_copy_without_cursor_and_outcomes_is_still_listed() {
    let storage = filled(60, 60);
    for (file, _) in storage.snapshot() {
        if !file.to_string_lossy().ends_with(".log") {
            storage.edit(&file, Vec::clear);
        }
    }
    assert_eq!(all(&storage), deliveries(1..=60, Fate::Pending));
}

#[test]
fn an_outcome_log_that_cannot_be_read_is_said_once_and_hides_no_delivery() {
    let storage = filled(60, 60);
    storage.refuse(&path("00000000000000000001.outcomes"), libc::EACCES);
    let seen = all(&storage);
    assert_eq!(seen[0], Seen::Unnoted(1));
    assert_eq!(seen[1], Seen::Delivery(1, Fate::Unknown));
    assert_eq!(seen.len(), 61);
    assert_eq!(seen[60], Seen::Delivery(60, Fate::Published));
}

#[test]
fn a_held_delivery_is_found_after_retention_has_taken_its_segment() {
    let storage = SimStorage::new(5);
    let deleting = Options {
        retention_bytes: 0,
        ..options()
    };
    let (journal, _) = open_with(&storage, deleting).unwrap();
    (1..=60).for_each(|number| deliver(&journal, number));
    for sequence in 1..=60 {
        note(&journal, sequence, &published(sequence));
    }
    for sequence in [7, 55] {
        let body = format!(r#"{{"signedData":"","n":{sequence}}}"#);
        let record = record(sequence, Millis(1000 * sequence), &body);
        journal.hold(sequence, &encoded(&HELD), &record).unwrap();
        note(&journal, sequence, &HELD);
    }
    journal.save_progress(progress(60, 2), true).unwrap();
    journal.tend();
    assert!(storage.contents(&log(1)).is_none(), "retention took it");
    let seen = all(&storage);
    assert_eq!(seen[0], Seen::Copy(7, Fate::Held));
    assert!(seen.contains(&Seen::Delivery(55, Fate::Held)), "{seen:?}");
    let once = |seen: &&Seen| matches!(seen, Seen::Delivery(55, _) | Seen::Copy(55, _));
    assert_eq!(seen.iter().filter(once).count(), 1);
    let is_missing = |seen: &Seen| matches!(seen, Seen::Missing(..));
    assert!(
        !seen.iter().any(is_missing),
        "what retention took is not lost"
    );

    let wanted = Selection {
        fates: vec![Fate::Held],
        ..Selection::default()
    };
    let held = survey(&view(&storage), wanted, 1);
    assert_eq!(
        held,
        [Seen::Copy(7, Fate::Held), Seen::Delivery(55, Fate::Held)]
    );

    journal.release(7, Taker::Quarantine).unwrap();
    assert_eq!(all(&storage)[0], seen[1]);
    journal.close();
}

#[test]
fn one_that_was_held_and_whose_release_was_not_noted_is_unknown() {
    let storage = filled(10, 10);
    let journal = open(&storage);
    journal.hold(4, &encoded(&HELD), b"").unwrap();
    note(&journal, 4, &HELD);
    journal.tend();
    assert_eq!(all(&storage)[3], Seen::Delivery(4, Fate::Held));
    journal.release(4, Taker::Quarantine).unwrap();
    assert_eq!(all(&storage)[3], Seen::Delivery(4, Fate::Unknown));
    journal.close();
}
