//! `stats`: the ledger of a journal, read from its files.

use super::Exit;
use super::print::{errln, outln};
use crate::config::{self, Variables};
use crate::journal::storage::Disk;
use crate::journal::view::View;
use crate::journal::{Ledger, Sequence};
use clap::Args;
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is printed.
#[derive(Serialize)]
struct Stats {
    accepted: u64,
    published: u64,
    quarantined: u64,
    held: u64,
    pending: u64,
    written_off: u64,
    unaccounted: i64,
    first_sequence: Option<Sequence>,
    last_sequence: Option<Sequence>,
}

pub(super) fn run(options: Options, variables: Variables) -> Exit {
    let dir = config::journal_dir(variables);
    let view = match View::open(Arc::new(Disk), &dir) {
        Ok(view) => view,
        Err(error) => {
            errln!("icr-bridge: {error}");
            return Exit::from(&error);
        }
    };
    let ledger = match view.ledger() {
        Ok(ledger) => ledger,
        Err(error) => {
            errln!("icr-bridge: {}: {error}", dir.display());
            return Exit::Io;
        }
    };
    let stats = Stats::new(ledger, view.span());
    if options.json {
        outln!("{}", serde_json::to_string(&stats).unwrap_or_default());
    } else {
        print(&stats);
    }
    Exit::Done
}

impl Stats {
    fn new(ledger: Ledger, span: Option<(Sequence, Sequence)>) -> Self {
        Self {
            accepted: ledger.accepted,
            published: ledger.published,
            quarantined: ledger.quarantined,
            held: ledger.held,
            pending: ledger.pending,
            written_off: ledger.written_off,
            unaccounted: ledger.unaccounted,
            first_sequence: span.map(|(first, _)| first),
            last_sequence: span.map(|(_, last)| last),
        }
    }
}

fn print(stats: &Stats) {
    let lines = [
        ("accepted", stats.accepted.to_string()),
        ("published", stats.published.to_string()),
        ("quarantined", stats.quarantined.to_string()),
        ("held", stats.held.to_string()),
        ("pending", stats.pending.to_string()),
        ("written off", stats.written_off.to_string()),
        ("unaccounted", format!("{} (must be 0)", stats.unaccounted)),
    ];
    for (name, value) in lines {
        outln!("{name:12} {value:>12}");
    }
    match (stats.first_sequence, stats.last_sequence) {
        (Some(first), Some(last)) => outln!("on disk      sequences {first} to {last}"),
        _ => outln!("on disk      nothing"),
    }
}
