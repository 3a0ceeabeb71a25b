//! `drain`: waits until the journal is published.

use super::errand::{Alone, Errand};
use super::print::outln;
use super::{Exit, selection::duration};
use crate::config::Variables;
use crate::control::Verb;
use crate::control::drain::{End, Summary, Wish};
use clap::Args;
use std::time::Duration;

pub(super) const HELP: &str = "\
With a running bridge it needs only ICR_BRIDGE_JOURNAL_DIR. With none it opens the journal itself and publishes until it is drained; then it \
needs the Kafka settings too. It waits for what is in the journal when it is asked; deliveries that come later are not waited for.

Exit codes: 0 nothing of these is pending, and nothing is held; 1 the time was up, it was cancelled, or deliveries are held on disk, which no \
topic has taken yet (do not throw the journal away); 75 another process holds the journal and does not answer.";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Give up after this time, such as 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: Options, variables: Variables) -> Exit {
    let wish = Wish {
        timeout_ms: options
            .timeout
            .map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
    };
    let errand = Errand {
        name: "drain",
        alone: Alone::Publish,
    };
    let summary: Summary = match errand.run(Verb::Drain(wish), variables) {
        Ok(summary) => summary,
        Err(exit) => return exit,
    };
    if options.json {
        outln!("{}", serde_json::to_string(&summary).unwrap_or_default());
    } else {
        print(&summary);
    }
    if summary.end == End::Drained && summary.held == 0 {
        Exit::Done
    } else {
        Exit::Failed
    }
}

fn print(summary: &Summary) {
    let Summary {
        drained, pending, ..
    } = summary;
    match summary.end {
        End::Drained => outln!("drained: {drained} deliveries, none pending"),
        End::TimedOut => {
            outln!("the time is up: {drained} deliveries drained, {pending} pending");
        }
        End::Cancelled => {
            outln!("cancelled: {drained} deliveries drained, {pending} pending");
        }
        End::Leaving => outln!(
            "the bridge is leaving: {drained} deliveries drained, {pending} pending; they wait in the journal for its next start"
        ),
    }
    if summary.held > 0 {
        outln!(
            "{} deliveries are held on disk, which no topic has taken; they are offered to the quarantine topic by and by",
            summary.held
        );
    }
}
