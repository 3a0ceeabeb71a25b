//! Logs: one line an event on standard error, as text or JSON. Never a secret, a body or personal data.

use crate::config::Log;
use tracing_subscriber::EnvFilter;

/// Installs the process's logger. A second call changes nothing.
pub fn start(log: &Log) {
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
        .with_writer(std::io::stderr);
    let started = if log.json {
        logger.json().flatten_event(true).try_init()
    } else {
        logger
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init()
    };
    // Tests start it more than once in a process; the first one counts.
    drop(started);
}
