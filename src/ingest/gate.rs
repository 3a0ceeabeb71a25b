//! What one critical section guards: the duplicate window, the ids, and those who wait for a twin's sync.

use super::ids::Ids;
use crate::domain::delivery::{Delivery, Millis};
use crate::domain::duplicate::{DuplicateWindow, EntryId, Sighting};
use crate::domain::reasons::Refusal;
use crate::domain::tag::Tag;
use crate::journal::Journal;
use std::collections::HashMap;
use tokio::sync::oneshot;
use uuid::Uuid;

/// What became of an append: its id, or why it is not stored.
pub(super) type Outcome = Result<Uuid, Refusal>;

pub(super) struct Gate {
    window: DuplicateWindow,
    ids: Ids,
    /// Twins that wait, by the id of the first. Empty but in the milliseconds between a twin and the sync.
    waiting: HashMap<Uuid, Vec<oneshot::Sender<Outcome>>>,
}

impl Gate {
    /// Rebuilds the window and the last id from the newest tags of the journal; `each` sees every tag.
    pub(super) fn restore(
        journal: &Journal,
        capacity: usize,
        mut each: impl FnMut(&Tag),
    ) -> std::io::Result<Self> {
        let mut window = DuplicateWindow::new(capacity);
        let mut ids = Ids::default();
        // At least a few: the last id and the apps' last deliveries are wanted even where the window is off.
        journal.recent(
            capacity.max(1000),
            Delivery::ID_PREFIX,
            &mut |_, tag, prefix| {
                let Some(tag) = Tag::decode(tag) else { return };
                let Some(id) = Delivery::peek_id(prefix) else {
                    return;
                };
                ids.not_before(id);
                window.insert(&tag, id, false);
                each(&tag);
            },
        )?;
        Ok(Self {
            window,
            ids,
            waiting: HashMap::new(),
        })
    }

    pub(super) fn look(&self, tag: &Tag) -> Sighting {
        self.window.look(tag)
    }

    pub(super) fn next_id(&mut self, now: Millis) -> Uuid {
        self.ids.next(now)
    }

    pub(super) fn remember(&mut self, tag: &Tag, id: Uuid) -> EntryId {
        self.window.insert(tag, id, true)
    }

    /// The outcome of the append under way with this id.
    pub(super) fn wait_for(&mut self, first: Uuid) -> oneshot::Receiver<Outcome> {
        let (send, receive) = oneshot::channel();
        self.waiting.entry(first).or_default().push(send);
        receive
    }

    /// An append has ended: a failed one is forgotten, and its twins share the outcome.
    /// How many these were.
    pub(super) fn settle(&mut self, entry: EntryId, id: Uuid, outcome: Outcome) -> usize {
        match outcome {
            Ok(_) => self.window.settle(entry),
            Err(_) => self.window.forget(entry),
        }
        if self.waiting.is_empty() {
            return 0;
        }
        let twins = self.waiting.remove(&id).unwrap_or_default();
        let count = twins.len();
        for twin in twins {
            // A twin whose client went away needs no answer.
            let _ = twin.send(outcome);
        }
        count
    }
}
