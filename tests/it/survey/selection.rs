//! Which deliveries a selection picks. Records that it rules out by tag or id are not read.

use super::{Seen, all, filled, flip_record, survey};
use crate::support::harness::view;
use icr_bridge::domain::delivery::Millis;
use icr_bridge::domain::outcome::Fate;
use icr_bridge::domain::selection::Selection;
use icr_bridge::journal::Sequence;
use icr_bridge::journal::view::View;
use icr_bridge::survey::Survey;
use uuid::Uuid;

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
