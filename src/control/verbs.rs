//! Carries a verb out: the same for a request over the socket and for a command that has opened the journal itself.

use super::drain;
use super::protocol::{Failure, FailureKind, Verb};
use crate::ingest::Ingest;
use crate::ingest::reverify::ReverifyError;
use crate::journal::Journal;
use crate::publisher::replay::{ReplayError, Replayer};
use crate::work::Work;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// What verbs work with.
pub struct Services {
    /// The journal, open for writing.
    pub journal: Journal,
    /// Publishes again; `None` in a command that has opened the journal for another verb.
    pub replayer: Option<Replayer>,
    /// Judges again; `None` likewise.
    pub ingest: Option<Arc<Ingest>>,
}

/// Carries `verb` out to its end, or until `work` is told to stop. Blocks: a thread of its own is best.
///
/// # Errors
/// Where it could not be carried out. One that was stopped early is no failure: its result says how far it came.
pub fn perform(verb: Verb, services: &Services, work: &mut Work) -> Result<Value, Failure> {
    match verb {
        Verb::Drain(wish) => told(&drain::drain(&services.journal, wish, work)),
        Verb::Reverify(wish) => {
            let ingest = services.ingest.as_ref().ok_or_else(not_here)?;
            match ingest.reverify(wish, work) {
                Ok(sum) => told(&sum),
                Err(error) => Err(unjudged(&error)),
            }
        }
        Verb::Replay(wish) => {
            let replayer = services.replayer.as_ref().ok_or_else(not_here)?;
            match replayer.replay(&wish, work) {
                Ok(summary) => told(&summary),
                Err(error) => Err(refusal(&error)),
            }
        }
    }
}

fn not_here() -> Failure {
    Failure::new(FailureKind::Failed, "it cannot be done here")
}

fn unjudged(error: &ReverifyError) -> Failure {
    let kind = match error {
        ReverifyError::Busy => FailureKind::Busy,
        ReverifyError::Off => FailureKind::Failed,
        ReverifyError::Unavailable => FailureKind::Io,
    };
    Failure::new(kind, error.to_string())
}

fn refusal(error: &ReplayError) -> Failure {
    let kind = match error {
        ReplayError::Busy { .. } => FailureKind::Busy,
        ReplayError::Open(_) | ReplayError::Io(_) => FailureKind::Io,
    };
    Failure::new(kind, error.to_string())
}

/// A result as it goes over the wire.
fn told(result: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(result)
        .map_err(|error| Failure::new(FailureKind::Failed, error.to_string()))
}
