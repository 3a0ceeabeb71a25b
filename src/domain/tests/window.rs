//! The duplicate window against a model that keeps a list and searches it.

use icr_domain::delivery::Millis;
use icr_domain::duplicate::{DuplicateWindow, EntryId, Sighting};
use icr_domain::event::EventKind;
use icr_domain::tag::Tag;
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

struct Slot {
    tag: Tag,
    id: Uuid,
    entry: EntryId,
    pending: bool,
    forgotten: bool,
}

/// The rules of the design, word by word. Forgotten deliveries keep their place until they are last or fall out.
struct Model {
    capacity: usize,
    slots: Vec<Slot>,
}

impl Model {
    fn remembered(&self) -> impl DoubleEndedIterator<Item = &Slot> {
        self.slots.iter().filter(|slot| !slot.forgotten)
    }

    fn look(&self, tag: &Tag) -> Sighting {
        let transaction = |tag: &Tag| tag.kind.is_some_and(EventKind::is_transaction);
        let same_app = |slot: &&Slot| slot.tag.app == tag.app;
        let found = if transaction(tag) {
            self.remembered()
                .rev()
                .filter(same_app)
                .find(|slot| slot.tag.fingerprint == tag.fingerprint)
        } else if tag.kind.is_some_and(EventKind::is_lifecycle) && tag.installation.is_some() {
            let others = self
                .remembered()
                .rev()
                .filter(same_app)
                .filter(|slot| !transaction(&slot.tag));
            let latest = others
                .into_iter()
                .find(|slot| slot.tag.installation == tag.installation);
            latest.filter(|slot| slot.tag.fingerprint == tag.fingerprint)
        } else {
            None
        };
        found.map_or(Sighting::New, |slot| Sighting::Seen {
            first: slot.id,
            pending: slot.pending,
        })
    }

    fn insert(&mut self, slot: Slot) {
        self.slots.push(slot);
        while self.remembered().count() > self.capacity || self.slots.len() > 2 * self.capacity {
            self.slots.remove(0);
        }
    }

    fn forget(&mut self, index: usize) {
        self.slots[index].forgotten = true;
        while self.slots.last().is_some_and(|slot| slot.forgotten) {
            self.slots.pop();
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Look, and insert if it is new or if `anyway`.
    Deliver {
        tag: Tag,
        anyway: bool,
        pending: bool,
    },
    Settle(prop::sample::Index),
    Forget(prop::sample::Index),
}

/// Few apps, installations and contents, so that they meet. The content decides everything but the app, as a fingerprint does.
fn tags() -> impl Strategy<Value = Tag> {
    (0..2u32, 0..12u8).prop_map(|(app, content)| Tag {
        kind: match content % 6 {
            0 | 1 => Some(EventKind::Suspended),
            2 => Some(EventKind::Installed),
            3 => Some(EventKind::WarehouseTransaction),
            4 => Some(EventKind::Other),
            _ => None,
        },
        accepted_at: Millis(0),
        app,
        installation: (content != 11).then_some(u64::from(content % 2)),
        fingerprint: [content; 16],
    })
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (tags(), prop::bool::weighted(0.3), any::<bool>())
            .prop_map(|(tag, anyway, pending)| Step::Deliver { tag, anyway, pending }),
        1 => any::<prop::sample::Index>().prop_map(Step::Settle),
        3 => any::<prop::sample::Index>().prop_map(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn the_window_equals_its_model(capacity in 1..12usize, steps in vec(steps(), 0..200)) {
        let mut window = DuplicateWindow::new(capacity);
        let mut model = Model { capacity, slots: Vec::new() };
        for (number, step) in (1u128..).zip(steps) {
            match step {
                Step::Deliver { tag, anyway, pending } => {
                    let sighting = window.look(&tag);
                    prop_assert_eq!(sighting, model.look(&tag));
                    if sighting == Sighting::New || anyway {
                        let id = Uuid::from_u128(number);
                        let entry = window.insert(&tag, id, pending);
                        model.insert(Slot { tag, id, entry, pending, forgotten: false });
                    }
                }
                Step::Settle(_) | Step::Forget(_) if model.slots.is_empty() => {}
                Step::Settle(index) => {
                    let index = index.index(model.slots.len());
                    window.settle(model.slots[index].entry);
                    model.slots[index].pending = false;
                }
                Step::Forget(index) => {
                    let index = index.index(model.slots.len());
                    window.forget(model.slots[index].entry);
                    model.forget(index);
                }
            }
            prop_assert_eq!(window.len(), model.remembered().count());
        }
    }
}

#[test]
fn a_hundred_thousand_deliveries_are_remembered_and_one_more_drops_the_first() {
    let tag = |number: u32| {
        let mut fingerprint = [0; 16];
        fingerprint[..4].copy_from_slice(&number.to_le_bytes());
        Tag {
            kind: Some(EventKind::WarehouseTransaction),
            accepted_at: Millis(0),
            app: 1,
            installation: Some(1),
            fingerprint,
        }
    };
    let mut window = DuplicateWindow::new(100_000);
    for number in 0..=100_000 {
        window.insert(&tag(number), Uuid::from_u128(number.into()), false);
    }
    assert_eq!(window.len(), 100_000);
    assert_eq!(window.look(&tag(0)), Sighting::New);
    let first = Uuid::from_u128(1);
    assert_eq!(
        window.look(&tag(1)),
        Sighting::Seen {
            first,
            pending: false
        }
    );
}
