//! What a survey and a replay report of records that are damaged, are no deliveries, or cannot be read.

use super::{HELD, Seen, all, deliver, encoded, filled, flip_record, record, survey};
use crate::support::harness::{DIR, append_one, damaged, log, open, view};
use crate::support::sim_storage::SimStorage;
use icr_bridge::domain::delivery::Millis;
use icr_bridge::domain::outcome::Fate;
use icr_bridge::domain::selection::Selection;
use icr_bridge::journal::reader::Next;
use icr_bridge::journal::view::repair;
use icr_bridge::publisher::replay::{Wish, count};
use icr_bridge::work::{Stopper, Work};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn what_damage_took_is_said_and_a_copy_of_it_is_found() {
    let storage = filled(60, 40);
    (5..=7).for_each(|number| flip_record(&storage, number));
    let seen = all(&storage);
    assert_eq!(
        &seen[3..6],
        [
            Seen::Delivery(4, Fate::Published),
            Seen::Missing(5, 7),
            Seen::Delivery(8, Fate::Published),
        ]
    );
    let journal = open(&storage);
    let mut reader = journal.reader(1);
    while !matches!(reader.next(Duration::ZERO).unwrap(), Next::Idle) {}
    let copy = record(6, Millis(6000), r#"{"signedData":""}"#);
    journal.hold(6, &encoded(&HELD), &copy).unwrap();
    journal.tend();
    assert!(storage.contents(&damaged(1)).is_some());
    // The log says otherwise, and is believed: it was noted when Kafka acknowledged.
    assert_eq!(
        &all(&storage)[4..7],
        [
            Seen::Missing(5, 5),
            Seen::Copy(6, Fate::Published),
            Seen::Missing(7, 7),
        ]
    );
    journal.close();
    repair(Arc::new(storage.clone()), Path::new(DIR)).unwrap();
    let seen = all(&storage);
    assert!(
        seen.contains(&Seen::WrittenOff(5, 5)) && seen.contains(&Seen::Copy(6, Fate::Published)),
        "{seen:?}"
    );
}

#[test]
fn a_record_that_is_no_delivery_is_found_where_nothing_of_its_contents_is_asked_for() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    deliver(&journal, 1);
    append_one(&journal, b"", b"\xffa newer version").unwrap();
    journal.close();
    assert_eq!(
        all(&storage),
        [
            Seen::Delivery(1, Fate::Pending),
            Seen::Unreadable(2, Fate::Pending),
        ]
    );
    let since = Selection {
        since: Some(Millis(0)),
        ..Selection::default()
    };
    assert_eq!(
        survey(&view(&storage), since, 1),
        [Seen::Delivery(1, Fate::Pending)]
    );
}

#[test]
fn a_replay_passes_a_segment_that_cannot_be_read_and_says_how_much_that_is() {
    let storage = filled(60, 60);
    let view = view(&storage);
    let segments: Vec<_> = (1..=60)
        .filter(|base| storage.contents(&log(*base)).is_some())
        .collect();
    let (first, second) = (segments[0], segments[1]);
    storage.deny(&log(first));
    let wish = Wish {
        dry_run: true,
        ..Wish::default()
    };
    let mut work = Work::new(Stopper::default(), Box::new(drop));
    let summary = count(&view, &wish, &mut work).unwrap();
    assert_eq!(
        (summary.missing, summary.selected),
        (second - first, 60 - (second - first))
    );
}
