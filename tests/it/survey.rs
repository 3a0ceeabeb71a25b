//! Looking through a journal: every delivery that can be read is found, with what became of it, and what cannot is said.

use crate::support::harness::{
    DIR, append_one, damaged, log, open, open_with, options, path, view,
};
use crate::support::sim_storage::SimStorage;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use icr_bridge::domain::delivery::{Delivery, Millis};
use icr_bridge::domain::envelope::Envelope;
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::glance::glance;
use icr_bridge::domain::outcome::{Fate, HeldReason, Outcome};
use icr_bridge::domain::reasons::QuarantineReason;
use icr_bridge::domain::selection::Selection;
use icr_bridge::domain::signature::Signature;
use icr_bridge::domain::tag::Tag;
use icr_bridge::journal::reader::Next;
use icr_bridge::journal::storage::Storage;
use icr_bridge::journal::view::{View, repair};
use icr_bridge::journal::{Journal, Options, Progress, Sequence, Taker};
use icr_bridge::publisher::replay::{Wish, count};
use icr_bridge::survey::{Step, Survey};
use icr_bridge::work::{Stop, Stopper, Work};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Appends delivery number `number`, which gets the same sequence in a fresh journal: event `suspended` where it is even.
fn deliver(journal: &Journal, number: u64) {
    let event = event(number).label();
    let payload = format!(
        r#"{{"event":"{event}","n":{number},"installation":{{"id":"i","organization":{{"id":"o{}"}}}}}}"#,
        number % 3
    );
    let signed_data = BASE64_STANDARD.encode(payload);
    let body = format!(
        r#"{{"signedData":"{signed_data}","filler":"{}"}}"#,
        "x".repeat(600)
    );
    let glance = glance(&Envelope::parse(body.as_bytes()).unwrap());
    let accepted_at = Millis(1000 * number);
    let tag = Tag::new(&glance, accepted_at, "default", &[0; 32]).encode();
    append_one(journal, &tag, &record(number, accepted_at, &body)).unwrap();
}

fn event(number: u64) -> EventKind {
    if number.is_multiple_of(2) {
        EventKind::Suspended
    } else {
        EventKind::Installed
    }
}

fn record(number: u64, accepted_at: Millis, body: &str) -> Vec<u8> {
    let mut record = Vec::new();
    Delivery {
        id: Uuid::from_u128(number.into()),
        accepted_at,
        app: "default",
        secret_position: 0,
        signature: Signature::from_bytes([0; 32]),
        token: Envelope::parse(body.as_bytes()).unwrap().token(),
        headers: Vec::new(),
        body: body.as_bytes(),
    }
    .encode(&mut record);
    record
}

fn note(journal: &Journal, sequence: Sequence, outcome: &Outcome<'_>) {
    journal.note_outcome(sequence, &encoded(outcome));
}

fn encoded(outcome: &Outcome<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    outcome.encode(&mut bytes);
    bytes
}

fn published(offset: u64) -> Outcome<'static> {
    Outcome::Published {
        topic: "icr.webhooks".into(),
        partition: 2,
        offset: offset as i64,
    }
}

const HELD: Outcome<'static> = Outcome::Held {
    reason: HeldReason::Refused(QuarantineReason::RecordTooLarge),
};

/// A closed journal of `last` deliveries, those up to `cursor` published.
fn filled(last: u64, cursor: Sequence) -> SimStorage {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    for number in 1..=last {
        deliver(&journal, number);
    }
    (1..=cursor).for_each(|sequence| note(&journal, sequence, &published(sequence)));
    journal.save_progress(progress(cursor, 0), true).unwrap();
    journal.close();
    storage
}

fn progress(sequence: Sequence, held: u64) -> Progress {
    Progress {
        sequence,
        published: sequence - held,
        held,
        ..Progress::default()
    }
}

/// A step, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Delivery(Sequence, Fate),
    Copy(Sequence, Fate),
    Unreadable(Sequence, Fate),
    Missing(Sequence, Sequence),
    WrittenOff(Sequence, Sequence),
    Unnoted(Sequence),
}

fn survey(view: &View, selection: Selection, from: Sequence) -> Vec<Seen> {
    let mut survey = Survey::new(view, selection, from).unwrap();
    let mut seen = Vec::new();
    loop {
        seen.push(match survey.step().unwrap() {
            Step::Found(found) => {
                if let Ok(delivery) = &found.delivery {
                    assert_eq!(delivery.id, Uuid::from_u128(found.sequence.into()));
                    assert_eq!(Delivery::decode(found.record).unwrap(), *delivery);
                }
                assert_eq!(
                    found.outcome.is_some(),
                    !matches!(found.fate, Fate::Pending | Fate::Unknown)
                );
                match (found.copy, &found.delivery) {
                    (true, _) => Seen::Copy(found.sequence, found.fate),
                    (false, Ok(_)) => Seen::Delivery(found.sequence, found.fate),
                    (false, Err(_)) => Seen::Unreadable(found.sequence, found.fate),
                }
            }
            Step::Missing {
                from,
                to,
                written_off: true,
            } => Seen::WrittenOff(from, to),
            Step::Missing { from, to, .. } => Seen::Missing(from, to),
            Step::Unnoted { from, .. } => Seen::Unnoted(from),
            Step::End => return seen,
        });
    }
}

fn all(storage: &SimStorage) -> Vec<Seen> {
    survey(&view(storage), Selection::default(), 1)
}

fn deliveries(range: std::ops::RangeInclusive<Sequence>, fate: Fate) -> Vec<Seen> {
    range
        .map(|sequence| Seen::Delivery(sequence, fate))
        .collect()
}

#[test]
fn every_delivery_is_found_with_what_became_of_it() {
    let storage = filled(60, 40);
    let expected = [
        deliveries(1..=40, Fate::Published),
        deliveries(41..=60, Fate::Pending),
    ];
    assert_eq!(all(&storage), expected.concat());
    assert_eq!(survey(&view(&storage), Selection::default(), 59).len(), 2);
}

#[test]
fn it_sees_what_a_live_writer_has_stored_and_noted() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    (1..=3).for_each(|number| deliver(&journal, number));
    note(&journal, 1, &published(1));
    journal.save_progress(progress(1, 0), true).unwrap();
    journal.tend();
    let expected = [Seen::Delivery(1, Fate::Published)].into_iter();
    let expected: Vec<_> = expected.chain(deliveries(2..=3, Fate::Pending)).collect();
    assert_eq!(all(&storage), expected);
    journal.close();
}

#[test]
fn a_selection_picks_by_what_the_tag_says_by_the_payload_and_by_the_outcome() {
    let storage = filled(60, 40);
    let wanted = Selection {
        since: Some(Millis(10_000)),
        events: vec!["suspended".to_owned()],
        organizations: vec!["o1".to_owned()],
        fates: vec![Fate::Pending],
        ..Selection::default()
    };
    // Even, one more than a multiple of three, above the cursor.
    let expected = [46, 52, 58].map(|sequence| Seen::Delivery(sequence, Fate::Pending));
    assert_eq!(survey(&view(&storage), wanted, 1), expected);
}

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

fn flip_record(storage: &SimStorage, number: u64) {
    let place = [
        &(1000 * number).to_le_bytes()[..],
        &u128::from(number).to_be_bytes(),
    ]
    .concat();
    storage.edit(&log(1), |bytes| {
        let at = bytes.windows(place.len()).position(|bytes| bytes == place);
        bytes[at.unwrap()] ^= 1;
    });
}

fn mentioned(view: &View, selection: Selection) -> Vec<Sequence> {
    let mut survey = Survey::new(view, selection, 1).unwrap();
    std::iter::from_fn(|| survey.mention().unwrap()).collect()
}

#[test]
fn records_that_tag_or_id_rule_out_are_not_even_read() {
    let storage = filled(60, 40);
    flip_record(&storage, 5);
    let id = Selection {
        ids: vec![Uuid::from_u128(7)],
        ..Selection::default()
    };
    let seen = survey(&view(&storage), id, 1);
    assert_eq!(seen, [Seen::Delivery(7, Fate::Published)]);
    let even = Selection {
        events: vec!["suspended".to_owned()],
        ..Selection::default()
    };
    assert_eq!(mentioned(&view(&storage), even).len(), 30);
    assert_eq!(all(&storage)[4], Seen::Missing(5, 5), "it is read here");
}

#[test]
fn what_is_mentioned_is_what_is_found() {
    let storage = filled(60, 40);
    let text = |text: &str| vec![text.to_owned()];
    let selections = [
        Selection::default(),
        Selection {
            events: text("suspended"),
            organizations: text("o1"),
            ..Selection::default()
        },
        Selection {
            fates: vec![Fate::Pending],
            apps: text("default"),
            ..Selection::default()
        },
        Selection {
            since: Some(Millis(50_000)),
            fates: vec![Fate::Published],
            ..Selection::default()
        },
    ];
    for selection in selections {
        let found = survey(&view(&storage), selection.clone(), 1);
        let found: Vec<Sequence> = found
            .iter()
            .map(|seen| match seen {
                Seen::Delivery(sequence, _) => *sequence,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(mentioned(&view(&storage), selection), found);
    }
}

#[test]
fn after_a_refresh_it_goes_on_with_what_is_new() {
    let storage = SimStorage::new(5);
    let journal = open(&storage);
    let view = view(&storage);
    let mut survey = Survey::new(&view, Selection::default(), 1).unwrap();
    let mut expected = 1;
    let mut meets = |survey: &mut Survey<'_>, last: u64| {
        assert!(!view.refresh().unwrap());
        survey.renew().unwrap();
        loop {
            match survey.step().unwrap() {
                Step::Found(found) => assert_eq!(found.sequence, expected),
                Step::End => break,
                other => panic!("{other:?}"),
            }
            expected += 1;
        }
        assert_eq!(expected, last + 1);
    };
    meets(&mut survey, 0);
    // Across several segments, some of them sealed between two looks.
    for number in 1..=120 {
        deliver(&journal, number);
        if number.is_multiple_of(7) {
            meets(&mut survey, number);
        }
    }
    meets(&mut survey, 120);
    journal.close();
    meets(&mut survey, 120);
    let journal = open(&storage);
    meets(&mut survey, 120);
    deliver(&journal, 121);
    meets(&mut survey, 121);
    journal.close();
}

#[test]
fn a_refresh_sees_outcomes_and_copies_and_forgets_what_retention_took() {
    let storage = SimStorage::new(5);
    let deleting = Options {
        retention_bytes: 0,
        ..options()
    };
    let (journal, _) = open_with(&storage, deleting).unwrap();
    (1..=60).for_each(|number| deliver(&journal, number));
    let view = view(&storage);
    assert_eq!(survey(&view, Selection::default(), 1).len(), 60);
    (1..=60).for_each(|sequence| note(&journal, sequence, &published(sequence)));
    journal.save_progress(progress(60, 0), true).unwrap();
    journal.tend();
    assert!(!view.refresh().unwrap());
    let left = survey(&view, Selection::default(), 1);
    assert!(left.len() < 60);
    assert!(
        left.iter()
            .all(|seen| matches!(seen, Seen::Delivery(_, Fate::Published))),
        "{left:?}"
    );
    journal.close();
}

#[test]
fn another_journal_in_the_same_folder_is_noticed() {
    let storage = filled(60, 40);
    let view = view(&storage);
    for (file, _) in storage.snapshot() {
        storage.remove(&file).unwrap();
    }
    let journal = open(&storage);
    deliver(&journal, 1);
    assert!(view.refresh().unwrap());
    assert_eq!(
        survey(&view, Selection::default(), 1),
        [Seen::Delivery(1, Fate::Pending)]
    );
    journal.close();
}

#[test]
fn a_survey_that_is_to_end_does_not_go_on_looking() {
    let storage = filled(60, 60);
    let view = view(&storage);
    let found_by = |selection: Selection| {
        let mut survey = Survey::new(&view, selection, 1).unwrap();
        let stopper = Stopper::default();
        survey.heed(stopper.clone());
        stopper.stop(Stop::Cancelled);
        survey.step().map(|step| format!("{step:?}"))
    };
    let nothing = Selection {
        events: vec!["uninstalled".to_owned()],
        ..Selection::default()
    };
    for selection in [nothing, Selection::default()] {
        let ended = found_by(selection).unwrap_err();
        assert_eq!(ended.kind(), std::io::ErrorKind::Interrupted);
    }
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
