//! Log lines about an app's deliveries that were rejected or refused: per reason one line at once, and then one in ten seconds that says
//! how many there were (see [`crate::throttle`]). So a flood of forgeries stays cheap, and no loss goes uncounted.

use crate::domain::reasons::{Refusal, Rejection};
use crate::throttle::{Line, Throttle};
use parking_lot::Mutex;
use std::sync::Arc;

/// The lines about one app.
pub(super) struct Notices {
    rejected: Vec<Line>,
    refused: Vec<Line>,
}

impl Notices {
    pub(super) fn new(app: &str, throttle: &Throttle) -> Self {
        let rejected = |reason: &Rejection| {
            let (app, reason) = (app.to_owned(), *reason);
            throttle.line(move |count| {
                tracing::warn!(app, %reason, count, "app {app}: rejected: {reason} ({count} since the last such line)");
            })
        };
        let refused = |reason: &Refusal| {
            let (app, reason) = (app.to_owned(), *reason);
            throttle.line(move |count| {
                tracing::error!(
                    app,
                    %reason,
                    count,
                    "app {app}: proven and refused with 503: {reason} ({count} since the last such line); ICR will not send them again"
                );
            })
        };
        Self {
            rejected: Rejection::ALL.iter().map(rejected).collect(),
            refused: Refusal::ALL.iter().map(refused).collect(),
        }
    }

    /// A delivery was turned away.
    pub(super) fn rejected(&self, reason: Rejection) {
        event(self.rejected.get(reason as usize));
    }

    /// A verified delivery could not be stored: ICR will not send it again.
    pub(super) fn refused(&self, reason: Refusal) {
        event(self.refused.get(reason as usize));
    }
}

/// A path in the log is cut to so many characters.
const MAX_PATH: usize = 100;

/// The line about deliveries that a wrong URL loses.
pub(super) struct Misdirected {
    line: Line,
    /// Method, path and status of the latest.
    latest: Arc<Mutex<(String, String, u16)>>,
}

impl Misdirected {
    pub(super) fn new(throttle: &Throttle) -> Self {
        let latest = Arc::new(Mutex::new((String::new(), String::new(), 0)));
        let shown = Arc::clone(&latest);
        let line = throttle.line(move |count| {
            let (method, path, status) = shown.lock().clone();
            tracing::error!(
                path,
                status,
                count,
                "{count} signed deliveries since the last such line came to a URL that takes none, and are lost; the latest: {method} {path:?}, answered {status}. \
                 Correct the webhook URL at ICR; ICR will not send them again"
            );
        });
        Self { line, latest }
    }

    pub(super) fn event(&self, method: &str, path: &str, status: u16) {
        let path = path.chars().take(MAX_PATH).collect();
        *self.latest.lock() = (method.chars().take(MAX_PATH).collect(), path, status);
        self.line.event();
    }
}

fn event(line: Option<&Line>) {
    if let Some(line) = line {
        line.event();
    }
}
