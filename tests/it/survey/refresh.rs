//! A survey of a journal that changes goes on with what is new, and notices when the folder holds another journal.

use super::{Seen, deliver, filled, note, progress, published, survey};
use crate::support::harness::{open, open_with, options, view};
use crate::support::sim_storage::SimStorage;
use icr_bridge::domain::outcome::Fate;
use icr_bridge::domain::selection::Selection;
use icr_bridge::journal::Options;
use icr_bridge::journal::storage::Storage;
use icr_bridge::survey::{Step, Survey};

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
