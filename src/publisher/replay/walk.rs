//! Walks over what is selected: to count it, and to publish it.

use super::tally::Tally;
use super::{End, ReplayError, Summary, Wish};
use crate::domain::delivery::Delivery;
use crate::domain::selection::Selection;
use crate::journal::Sequence;
use crate::journal::view::View;
use crate::survey::{Found, Step, Survey};
use crate::work::{Stopper, Work};
use std::ops::ControlFlow;
use std::time::Duration;

/// A file that cannot be read at present is tried again so often, and so much later; then it is passed.
const ATTEMPTS: u32 = 20;
const AGAIN: Duration = Duration::from_millis(100);

/// Counts what `wish` selects, without a journal that is open for writing, and without Kafka.
///
/// # Errors
/// Where the journal cannot be read.
pub fn count(view: &View, wish: &Wish, work: &mut Work) -> Result<Summary, ReplayError> {
    let mut tally = Tally::looking_for(&wish.selection.ids);
    let cursor = view.progress().sequence;
    let mut summary = Summary {
        dry_run: wish.dry_run,
        ..Summary::default()
    };
    let stopper = work.stopper().clone();
    let walked = walk(view, &wish.selection, &stopper, &mut summary, &mut |step| {
        if let Some(stop) = work.stop() {
            return ControlFlow::Break(stop.into());
        }
        if let Met::Delivery(found, delivery) = step {
            match found.sequence > cursor {
                true => tally.pending(&delivery),
                false => tally.selected(&delivery, found.fate),
            }
            work.progress(tally.selected, None, None);
        }
        ControlFlow::Continue(())
    })?;
    if let ControlFlow::Break(end) = walked {
        summary.end = end;
    }
    summary.selected = tally.selected;
    summary.pending = tally.pending;
    summary.unknown_ids = tally.unknown(&wish.selection.ids);
    summary.groups = tally.groups();
    Ok(summary)
}

/// What a walk meets.
pub(super) enum Met<'a> {
    Delivery(&'a Found<'a>, Delivery<'a>),
    /// Nothing that could be published; up to here the journal has been read.
    Nothing(Sequence),
}

/// Walks over the selection; what cannot be read goes to the summary.
pub(super) fn walk(
    view: &View,
    selection: &Selection,
    stopper: &Stopper,
    summary: &mut Summary,
    each: &mut dyn FnMut(Met<'_>) -> ControlFlow<End>,
) -> Result<ControlFlow<End>, ReplayError> {
    let mut survey = Survey::new(view, selection.clone(), 1)?;
    survey.heed(stopper.clone());
    let mut failures = 0;
    loop {
        let flow = match survey.step() {
            Ok(Step::Found(found)) => match &found.delivery {
                Ok(delivery) => each(Met::Delivery(&found, delivery.clone())),
                Err(_) => {
                    summary.unreadable += 1;
                    each(Met::Nothing(found.sequence))
                }
            },
            Ok(Step::Missing {
                from,
                to,
                written_off,
            }) => {
                if !written_off {
                    summary.missing += to - from + 1;
                }
                each(Met::Nothing(to))
            }
            Ok(Step::Unnoted { .. }) => {
                summary.unnoted += 1;
                continue;
            }
            Ok(Step::End) => return Ok(ControlFlow::Continue(())),
            Err(error) => {
                failures += 1;
                if let Some(stop) = stopper.pause(AGAIN) {
                    return Ok(ControlFlow::Break(stop.into()));
                }
                if failures <= ATTEMPTS {
                    continue;
                }
                let Some((from, to)) = survey.skip() else {
                    return Err(error.into());
                };
                tracing::error!(
                    from,
                    to,
                    "replay: the sequences {from} to {to} cannot be read ({error}) and are passed"
                );
                summary.missing += to - from + 1;
                each(Met::Nothing(to))
            }
        };
        failures = 0;
        if flow.is_break() {
            return Ok(flow);
        }
    }
}
