//! `reverify`: judges again what was rejected.

use super::Exit;
use super::errand::{Alone, Errand};
use super::print::outln;
use crate::config::Variables;
use crate::control::Verb;
use crate::ingest::Reverified;
use crate::ingest::reverify::{End, Wish};
use clap::Args;

pub(super) const HELP: &str = "\
Deliveries rejected as signature_wrong are kept for a while (ICR_BRIDGE_REJECTED_RING_BYTES), for the case that the secret was changed at ICR
before it was changed here. Those that a secret in force proves now are journaled as if they had just come, with their time of arrival as
ce_time; the others stay. A running bridge does this by itself at its start and whenever a secret file has changed.

With a running bridge it needs only ICR_BRIDGE_JOURNAL_DIR; the bridge judges with the secrets that it has in force. With none it opens the
journal itself, and needs the secrets too; what it journals is published once a bridge runs, or by `icr-bridge drain`. Ctrl-C cancels it and
says how far it came; it can be repeated at any time.

Exit codes: 0 everything that was proven is journaled (or, with --dry-run, counted); 1 not everything, as it says, or nothing is kept; 64
configuration or usage; 74 the rejected deliveries cannot be read; 75 another process holds the journal and does not answer.";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Count what would be proven, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: Options, variables: Variables) -> Exit {
    let errand = Errand {
        name: "reverify",
        alone: Alone::Judge,
    };
    let wish = Wish {
        dry_run: options.dry_run,
    };
    let sum: Reverified = match errand.run(Verb::Reverify(wish), variables) {
        Ok(sum) => sum,
        Err(exit) => return exit,
    };
    if options.json {
        outln!("{}", serde_json::to_string(&sum).unwrap_or_default());
    } else {
        let end = match sum.end {
            End::Completed => "",
            End::Cancelled => "cancelled: ",
            End::Leaving => "the bridge is leaving: ",
        };
        outln!("{end}{sum}");
    }
    if sum.end == End::Completed && sum.refused + sum.unreadable == 0 {
        Exit::Done
    } else {
        Exit::Failed
    }
}
