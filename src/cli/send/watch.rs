//! Watches a run: counts, shows, and remembers what can be repeated.

use super::events::{Events, Tag, What};
use super::expect::{Tally, Verdict};
use super::job::Job;
use super::progress::Progress;
use super::report;
use crate::cli::print::WIDEST;
use crate::load::{Fate, Observer};
use parking_lot::Mutex;
use std::sync::Arc;

/// What is known of a run so far.
pub(super) struct Watch {
    tally: Mutex<Tally>,
    events: Option<Arc<Events>>,
    /// How wide the names of captured deliveries are, where each is shown.
    names_width: Option<usize>,
}

impl Watch {
    pub(super) fn new(job: &Job, as_json: bool) -> Arc<Self> {
        let (events, names_width) = match &job.source {
            What::Events(events) => (Some(Arc::clone(events)), None),
            What::Captured(captured) => {
                let widths = captured
                    .iter()
                    .map(|captured| captured.name.chars().count().min(WIDEST));
                (None, widths.max().filter(|_| !as_json))
            }
            What::Payload(_) | What::Payloads(_) => (None, None),
        };
        Arc::new(Self {
            tally: Mutex::default(),
            events,
            names_width,
        })
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally.lock().clone()
    }

    pub(super) fn observer(self: Arc<Self>, progress: Progress) -> impl Observer<Tag> {
        Watcher {
            watch: self,
            progress,
        }
    }

    fn see(&self, fate: &Fate<Tag>) {
        let Fate {
            number,
            outcome,
            tag,
            ..
        } = fate;
        let mut tally = self.tally.lock();
        let verdict = tally.count(tag.kind, outcome, || {
            let name = tag
                .name
                .clone()
                .unwrap_or_else(|| format!("number {number}"));
            let (kind, wanted) = (tag.kind.name(), tag.kind.expected());
            format!(
                "{name} ({kind}): {}, expected {wanted}",
                report::in_words(outcome)
            )
        });
        tally.last = Some((tag.kind, outcome.clone()));
        if let (Some(name), Some(width)) = (&tag.name, self.names_width) {
            report::each(name, width, outcome, verdict);
        }
        drop(tally);
        let repeatable = tag.repeatable.as_ref();
        if let (Verdict::AsExpected, Some(delivery), Some(events)) =
            (verdict, repeatable, &self.events)
        {
            events.taken(delivery.clone());
        }
    }
}

struct Watcher {
    watch: Arc<Watch>,
    progress: Progress,
}

impl Observer<Tag> for Watcher {
    fn fate(&self, fate: Fate<Tag>) {
        self.watch.see(&fate);
        self.progress.one_more(&fate.outcome);
    }
}
