//! Logs: one line an event on standard error, as text or JSON. Never a secret, a body or personal data.
//!
//! A line that cannot be written is dropped, and is no reason for anything else to fail.

use crate::config::Log;
use std::io;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written, at most. Room for all of them is taken at the start: 32 bytes each, and the line itself once it waits.
const QUEUE: usize = 8192;

/// Writes what is still to be written when it is dropped, for a second at most.
#[must_use]
pub struct Flush(#[expect(dead_code, reason = "does its work when dropped")] WorkerGuard);

/// Installs the process's logger: whoever logs writes the line. A second call changes nothing.
pub fn start(log: &Log) {
    install(log, io::stderr);
}

/// The same for a server: a thread writes the lines, so that nobody waits for a full disk or a stuck reader behind standard error. What does
/// not fit into its queue is dropped.
pub fn start_apart(log: &Log) -> Flush {
    let builder = NonBlockingBuilder::default().buffered_lines_limit(QUEUE);
    let (writer, guard) = builder.thread_name("log").finish(io::stderr());
    install(log, writer);
    Flush(guard)
}

fn install(log: &Log, writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    // actix tells of each worker at start and end, and of each request that is no HTTP, as an error: whoever sends garbage would fill the
    // log. Who wants that can say so.
    let directives = match log.directives.as_str() {
        "off" => "off".to_owned(),
        "error" => "actix_http=off,error".to_owned(),
        more => format!("actix_server=warn,actix_http=off,{more}"),
    };
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // It would say so on standard error, and panic if that fails too.
        .log_internal_errors(false);
    let started = if log.json {
        logger.json().flatten_event(true).try_init()
    } else {
        logger
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .try_init()
    };
    // Tests start it more than once in a process; the first one counts.
    drop(started);
}
