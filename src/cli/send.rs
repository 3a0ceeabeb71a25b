//! `send`: signed deliveries to any ICR endpoint, one or many, genuine or not, and what became of each.

mod captured;
mod events;
mod expect;
mod job;
mod json;
mod options;
mod progress;
mod report;
mod secret;
mod turns;
mod watch;

pub(super) use options::{LONG_HELP, Options};

use super::print::errln;
use super::{Exit, explain};
use crate::config::{ConfigError, Variables};
use crate::load::{self, Stop};
use job::Job;
use progress::Progress;
use std::io;
use std::sync::Arc;
use watch::Watch;

/// File descriptors beside one a connection.
const RESERVED_FILES: u64 = 64;

/// Why nothing was sent.
#[derive(Debug)]
enum SendError {
    /// The command line asks for what cannot be; the text says what would be right.
    Usage(String),
    /// A file cannot be read.
    Io(String),
    /// The bridge's own settings, from which the secret was to come.
    Config(ConfigError),
}

pub(super) fn run(options: &Options, variables: Variables) -> Exit {
    let sent = Job::prepare(options, variables).and_then(|job| perform(job, options.json));
    match sent {
        Ok(exit) => exit,
        Err(SendError::Usage(message)) => {
            errln!("error: {message}\n\nFor more information, try 'icr-bridge send --help'.");
            Exit::Usage
        }
        Err(SendError::Io(message)) => {
            errln!("icr-bridge send: {message}");
            Exit::Io
        }
        Err(SendError::Config(error)) => explain(&error),
    }
}

fn perform(job: Job, as_json: bool) -> Result<Exit, SendError> {
    let failed = |error: io::Error| SendError::Io(error.to_string());
    raise_file_limit(job.plan.concurrency)?;
    let stop = Stop::default();
    progress::stop_on_signals(stop.clone()).map_err(failed)?;
    let watch = Watch::new(&job, as_json);
    let progress = Progress::start(&job);
    let plan = job.plan.clone();
    let observer = Arc::clone(&watch).observer(progress.clone());
    let summary = load::run(plan, job.source.clone(), observer, &stop).map_err(failed)?;
    progress.finish();
    let tally = watch.tally();
    let printed = if as_json {
        json::print(&job, &summary, &tally)
    } else {
        report::text(&job, &summary, &tally)
    };
    match printed {
        // Whoever read the output has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(error)),
        _ if tally.is_as_expected(&summary) => Ok(Exit::Done),
        _ => Ok(Exit::Failed),
    }
}

/// As many open files as connections need.
fn raise_file_limit(concurrency: usize) -> Result<(), SendError> {
    let wanted = concurrency as u64 + RESERVED_FILES;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed < wanted => Err(SendError::Usage(format!(
            "--concurrency {concurrency} takes {wanted} open files, and the system allows {allowed}; lower it, or raise the limit (ulimit -n)"
        ))),
        // Where the limit cannot even be asked for, connections that cannot be opened are counted as such.
        _ => Ok(()),
    }
}
