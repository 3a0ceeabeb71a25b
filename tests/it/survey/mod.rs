//! Looking through a journal: every delivery that can be read is found, with what became of it, and what cannot is said.

mod damage;
mod outcomes;
mod refresh;
mod selection;

use crate::support::harness::{append_one, log, open, view};
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
use icr_bridge::journal::view::View;
use icr_bridge::journal::{Journal, Progress, Sequence};
use icr_bridge::survey::{Step, Survey};
use icr_bridge::work::{Stop, Stopper};
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
