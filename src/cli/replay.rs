//! `replay`: publishes deliveries of the journal again.

use super::errand::{Alone, Errand};
use super::print::{errln, outln};
use super::selection::Criteria;
use super::{Exit, explain_usage};
use crate::config::{self, Variables};
use crate::control::Verb;
use crate::domain::selection::Selection;
use crate::journal::storage::Disk;
use crate::journal::view::View;
use crate::publisher::replay::{self, End, Summary, Wish};
use crate::work::{Stopper, Work};
use clap::Args;
use std::sync::Arc;

pub(super) const HELP: &str = "\
Records are made anew by the present settings and have the same ce_id; ce_replay says when they were replayed. So what was quarantined by a \
mistake of an earlier version is repaired: `icr-bridge replay --outcome quarantined`. Consumers must expect them, as any repeat.

With a running bridge it needs only ICR_BRIDGE_JOURNAL_DIR; the bridge does it, and live deliveries come first. With none it opens the journal \
itself, and needs the Kafka settings too. --dry-run needs neither.

One replay at a time. Ctrl-C cancels it and says how far it came; what was published until then stays. While Kafka is away it waits; a topic \
that is missing or forbidden ends it. The journal's retention waits for what is still to be read. A delivery that is pending is skipped: it is \
published in its turn.

The ledger counts first outcomes: a replay changes only held deliveries, which are released to the topic that takes them.

Exit codes: 0 everything selected was published (or counted); 1 not everything, as the summary says; 64 no criteria, and not --all either; 74 \
the journal cannot be read; 75 another process holds the journal and does not answer.

Examples:
  icr-bridge replay --since 2h --dry-run
  icr-bridge replay --event organizationTransaction --since 2026-11-01 --until 2026-11-02
  icr-bridge replay --outcome held,quarantined";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Count what would be published, and publish nothing
    #[arg(long)]
    dry_run: bool,
    /// Publish so many records a second at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    criteria: Criteria,
    /// Every delivery that the journal still has
    #[arg(long)]
    all: bool,
}

pub(super) fn run(options: Options, variables: Variables) -> Exit {
    let selection = match options.criteria.selection() {
        Ok(selection) => selection,
        Err(problem) => return explain_usage("replay", &problem),
    };
    let any = selection == Selection::default();
    if any && !options.all {
        return explain_usage(
            "replay",
            "say which deliveries: by --id, --since, --until, --event, --organization, --app or --outcome; or --all",
        );
    }
    if options.all && !any {
        return explain_usage(
            "replay",
            "--all means every delivery, and the other criteria some: leave one of them out",
        );
    }
    let wish = Wish {
        selection,
        dry_run: options.dry_run,
        rate: options.rate,
    };
    let summary = match replayed(wish, variables) {
        Ok(summary) => summary,
        Err(exit) => return exit,
    };
    if options.json {
        outln!("{}", serde_json::to_string(&summary).unwrap_or_default());
    } else {
        print(&summary);
    }
    exit_of(&summary)
}

fn replayed(wish: Wish, variables: Variables) -> Result<Summary, Exit> {
    let errand = Errand {
        name: "replay",
        alone: Alone::Nothing,
    };
    if wish.dry_run && !errand.is_there_a_bridge(&variables) {
        return count(&wish, variables);
    }
    errand.run(Verb::Replay(Box::new(wish)), variables)
}

/// Counts by the files alone: with no bridge to ask, nothing is opened for that.
fn count(wish: &Wish, variables: Variables) -> Result<Summary, Exit> {
    let view = View::open(Arc::new(Disk), &config::journal_dir(variables)).map_err(|error| {
        errln!("icr-bridge replay: {error}");
        Exit::from(&error)
    })?;
    let mut work = Work::new(Stopper::default(), Box::new(drop));
    replay::count(&view, wish, &mut work).map_err(|error| {
        errln!("icr-bridge replay: {error}");
        Exit::Io
    })
}

fn exit_of(summary: &Summary) -> Exit {
    let left_out = summary.refused
        + summary.unreadable
        + summary.missing
        + summary.given_up
        + summary.unnoted
        + summary.unknown_ids;
    if summary.end == End::Completed && left_out == 0 {
        Exit::Done
    } else {
        Exit::Failed
    }
}

fn print(summary: &Summary) {
    let selected = summary.selected;
    if summary.dry_run {
        outln!("{selected} deliveries would be published again");
        for group in &summary.groups {
            outln!(
                "  {:>9}  {}  {}  {}",
                group.count,
                group.app,
                group.event,
                group.outcome.name()
            );
        }
    } else {
        let done = summary.published + summary.quarantined;
        let how = match summary.end {
            End::Completed => "done",
            End::Cancelled => "cancelled",
            End::Leaving => "the bridge is leaving",
            End::Failed => "failed",
        };
        outln!("{how}: {done} of {selected} deliveries stand in Kafka again");
    }
    if let Some(why) = &summary.why {
        outln!("  because {why}");
    }
    let parts = [
        (summary.published, "published"),
        (summary.quarantined, "quarantined"),
        (summary.released, "of these held until now, and released"),
        (
            summary.refused,
            "refused by both topics; they stay what they were",
        ),
        (
            summary.pending,
            "skipped: still to be published for the first time, in their turn",
        ),
        (
            summary.unreadable,
            "skipped: their records cannot be read by this version",
        ),
        (
            summary.missing,
            "sequences are lost to damage or cannot be read; nobody knows whether they were meant (`journal verify` says more)",
        ),
        (
            summary.given_up,
            "sequences at most were deleted on a full disk before they could be read",
        ),
        (
            summary.unnoted,
            "segments do not tell what became of their deliveries: their outcome logs cannot be read",
        ),
        (
            summary.unknown_ids,
            "ids are of no delivery in the journal, or the other criteria rule it out",
        ),
    ];
    for (count, what) in parts {
        if count > 0 {
            outln!("  {count:>9}  {what}");
        }
    }
}
