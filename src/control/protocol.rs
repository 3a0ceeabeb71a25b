//! The lines of the protocol; see the [module](super) for their order.

pub use crate::work::Progress;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version that this bridge speaks.
pub const VERSION: u32 = 1;

/// The longest request in bytes, its line end included: a selection of some 25,000 ids.
pub const MAX_REQUEST: usize = 1 << 20;

/// The longest answer line that a client takes.
pub const MAX_ANSWER: usize = 4 << 20;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    pub verb: Verb,
}

/// What the bridge can be asked to do.
///
/// A further verb is a variant here, with a struct of its parameters, and an arm in [`super::verbs::perform`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verb {
    /// Wait until what is in the journal now is published.
    Drain(super::drain::Wish),
    /// Judge again what was rejected.
    Reverify(crate::ingest::reverify::Wish),
    /// Publish deliveries again.
    Replay(Box<crate::publisher::replay::Wish>),
}

/// A line of the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Progress(Progress),
    /// The end.
    Result(Value),
    /// Another end.
    Failure(Failure),
}

/// Why a verb was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// A sentence for the user.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request is no request.
    Malformed,
    /// A version or a verb that this bridge does not know.
    Unsupported,
    /// Something is under way that excludes it, or too many are connected.
    Busy,
    /// The bridge is shutting down.
    Leaving,
    /// It was tried and did not succeed.
    Failed,
    /// A file could not be used.
    Io,
    /// A kind that a newer bridge knows.
    #[serde(other)]
    Other,
}

impl Failure {
    /// A failure of this kind, told in this sentence.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl Request {
    /// A request for this verb in our version.
    pub fn new(verb: Verb) -> Self {
        Self {
            version: VERSION,
            verb,
        }
    }

    /// Reads the first line (without its end).
    ///
    /// # Errors
    /// `Unsupported` where another version or verb is asked for, `Malformed` for anything else that cannot be read.
    pub fn parse(line: &[u8]) -> Result<Verb, Failure> {
        #[derive(Deserialize)]
        struct Envelope {
            version: u32,
            verb: Value,
        }
        let malformed = |error: serde_json::Error| {
            Failure::new(
                FailureKind::Malformed,
                format!("the request cannot be read: {error}"),
            )
        };
        let envelope: Envelope = serde_json::from_slice(line).map_err(malformed)?;
        if envelope.version != VERSION {
            return Err(Failure::new(
                FailureKind::Unsupported,
                format!(
                    "the bridge speaks version {VERSION} of the control protocol, not {}; use the command of the bridge's own version",
                    envelope.version
                ),
            ));
        }
        serde_json::from_value(envelope.verb).map_err(|error| {
            Failure::new(
                FailureKind::Unsupported,
                format!("the bridge does not know how to do that ({error}); use the command of the bridge's own version"),
            )
        })
    }
}

/// A line, its end included.
pub fn line(message: &impl Serialize) -> Vec<u8> {
    // Our own types: strings as keys, nothing that JSON cannot hold.
    let mut bytes = serde_json::to_vec(message).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(line: &str) -> FailureKind {
        Request::parse(line.as_bytes()).unwrap_err().kind
    }

    #[test]
    fn a_request_survives_the_wire() {
        let verb = Verb::Drain(crate::control::drain::Wish {
            timeout_ms: Some(7),
        });
        let bytes = line(&Request::new(verb.clone()));
        assert_eq!(
            bytes,
            b"{\"version\":1,\"verb\":{\"drain\":{\"timeout_ms\":7}}}\n"
        );
        assert_eq!(Request::parse(bytes.trim_ascii_end()).unwrap(), verb);
    }

    #[test]
    fn what_cannot_be_read_is_told_from_what_is_not_known() {
        for malformed in ["", "{", "GET / HTTP/1.1", "[]", "{\"version\":1}", "\u{0}"] {
            assert_eq!(kind(malformed), FailureKind::Malformed, "{malformed:?}");
        }
        for unsupported in [
            r#"{"version":2,"verb":{"drain":{}}}"#,
            r#"{"version":1,"verb":{"make_coffee":{}}}"#,
            r#"{"version":1,"verb":{"drain":{"sugar":true}}}"#,
        ] {
            assert_eq!(kind(unsupported), FailureKind::Unsupported, "{unsupported}");
        }
    }

    #[test]
    fn a_kind_of_failure_that_a_newer_bridge_knows_can_be_read() {
        let answer: Answer =
            serde_json::from_str(r#"{"failure":{"kind":"moonstruck","message":"m"}}"#).unwrap();
        assert_eq!(
            answer,
            Answer::Failure(Failure::new(FailureKind::Other, "m"))
        );
    }
}
