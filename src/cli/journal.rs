//! `journal verify` and `journal repair`.

use super::Exit;
use super::print::{errln, outln};
use crate::config::{self, Variables};
use crate::journal::OpenError;
use crate::journal::storage::Disk;
use crate::journal::view::{Finding, View, repair};
use clap::Subcommand;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Checks every byte of the journal and changes nothing; exit 65 if there is damage
    #[command(
        after_help = "Needs only ICR_BRIDGE_JOURNAL_DIR. Works beside a running bridge and on a copy."
    )]
    Verify,
    /// Rewrites damaged segments with their good records, keeping the originals; exit 75 while a bridge runs
    #[command(
        after_help = "Needs only ICR_BRIDGE_JOURNAL_DIR, and that no bridge runs on it.\n\
        Damaged originals stay beside the journal as *.damaged.bak. What is lost is written off, so that the ledger adds up again."
    )]
    Repair,
}

pub(super) fn run(command: Command, variables: Variables) -> Exit {
    let dir = config::journal_dir(variables);
    let outcome = match command {
        Command::Verify => verify(&dir),
        Command::Repair => mend(&dir),
    };
    outcome.unwrap_or_else(|error| {
        errln!("icr-bridge: {error}");
        Exit::from(&error)
    })
}

fn verify(dir: &Path) -> Result<Exit, OpenError> {
    let view = View::open(Arc::new(Disk), dir)?;
    let found = view.verify().map_err(|source| OpenError::Io {
        path: dir.into(),
        source,
    })?;
    for remark in &found.remarks {
        outln!("remark  {}", line(remark));
    }
    for damage in &found.damage {
        outln!("DAMAGE  {}", line(damage));
    }
    outln!(
        "{} segments, {} good records, {} damaged places",
        found.segments,
        found.records,
        found.damage.len()
    );
    if found.damage.is_empty() {
        return Ok(Exit::Done);
    }
    outln!("Stop the bridge and run `icr-bridge journal repair`.");
    Ok(Exit::Damage)
}

fn line(finding: &Finding) -> String {
    let position = finding
        .position
        .map(|position| format!(" at byte {position}"))
        .unwrap_or_default();
    format!("{}{position}: {}", finding.file, finding.what)
}

fn mend(dir: &Path) -> Result<Exit, OpenError> {
    let repaired = repair(Arc::new(Disk), dir)?;
    for done in &repaired.done {
        outln!("{done}");
    }
    if repaired.done.is_empty() {
        outln!("nothing to repair");
    }
    if repaired.written_off > 0 {
        outln!(
            "{} deliveries are lost and written off",
            repaired.written_off
        );
    }
    Ok(Exit::Done)
}
