//! What became of one delivery.

use bytes::Bytes;
use serde_json::Value;
use std::time::{Duration, Instant};

/// One delivery that was sent.
#[derive(Debug, Clone)]
pub struct Fate<T> {
    /// Its number, from 0 on.
    pub number: u64,
    /// When it was due (open loop), or when it was sent (closed loop).
    pub scheduled: Instant,
    /// When it was sent: later than `scheduled` where it waited for a connection.
    pub sent: Instant,
    /// From `scheduled` until the answer was complete, or until it was clear that there is none.
    pub latency: Duration,
    /// What came back.
    pub outcome: Outcome,
    /// The caller's own.
    pub tag: T,
}

/// An answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An HTTP answer, whatever it says.
    Answered(Answer),
    /// None: whether the delivery was taken nobody knows, unless it never got through.
    NoAnswer(NoAnswer),
}

impl Outcome {
    pub fn status(&self) -> Option<u16> {
        self.answer().map(|answer| answer.status)
    }

    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::NoAnswer(_) => None,
        }
    }
}

/// The most characters of a word that is counted: it comes from the other side.
const MAX_WORD: usize = 40;

/// What precedes the reason in the `type` of the bridge's problem documents.
const PROBLEM: &str = "urn:icr-bridge:problem:";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Its body, no more than 64 KiB of it.
    pub body: Bytes,
}

impl Answer {
    /// `accepted`, `duplicate`, or the reason of a problem document; none where the body is in no form of the bridge's.
    pub fn word(&self) -> Option<String> {
        let body = self.json()?;
        let reason = text(&body, "type").and_then(|kind| kind.strip_prefix(PROBLEM));
        let word = reason.or_else(|| text(&body, "status"))?;
        let sound = (1..=MAX_WORD).contains(&word.len())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        sound.then(|| word.to_owned())
    }

    /// The id under which the bridge keeps the delivery.
    pub fn id(&self) -> Option<String> {
        text(&self.json()?, "id").map(str::to_owned)
    }

    /// What a problem document says to people.
    pub fn detail(&self) -> Option<String> {
        text(&self.json()?, "detail").map(str::to_owned)
    }

    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

fn text<'a>(body: &'a Value, member: &str) -> Option<&'a str> {
    body.get(member)?.as_str()
}

/// Why a delivery got no answer: a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoAnswer {
    /// The host's name has no address.
    Unresolved,
    /// Nobody listens there.
    Refused,
    /// There is no way to the host.
    Unreachable,
    /// No TLS connection came about, or the certificate cannot be trusted.
    Tls,
    /// Neither connected nor answered in time.
    Timeout,
    /// The other side broke the connection.
    Reset,
    /// The other side closed the connection before its answer was complete.
    Closed,
    /// What came back is no HTTP.
    NotHttp,
    /// This machine has no file descriptor or port left for a connection.
    NoSocket,
    /// The run was told to end at once, and did not wait for the answer.
    GivenUp,
    /// Anything else.
    Other,
}

impl NoAnswer {
    pub const ALL: &'static [Self] = &[
        Self::Unresolved,
        Self::Refused,
        Self::Unreachable,
        Self::Tls,
        Self::Timeout,
        Self::Reset,
        Self::Closed,
        Self::NotHttp,
        Self::NoSocket,
        Self::GivenUp,
        Self::Other,
    ];

    /// The word under which it is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::NotHttp => "not_http",
            Self::NoSocket => "no_socket",
            Self::GivenUp => "given_up",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &'static str) -> Answer {
        Answer {
            status: 202,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn the_bridges_answers_are_understood() {
        let accepted = answer(r#"{"status":"accepted","id":"0198"}"#);
        assert_eq!(accepted.word().as_deref(), Some("accepted"));
        assert_eq!(accepted.id().as_deref(), Some("0198"));
        let problem = answer(
            r#"{"type":"urn:icr-bridge:problem:signature_wrong","title":"Forbidden","status":403,"detail":"The signature does not match."}"#,
        );
        assert_eq!(problem.word().as_deref(), Some("signature_wrong"));
        assert_eq!(
            problem.detail().as_deref(),
            Some("The signature does not match.")
        );
        assert_eq!(problem.id(), None);
    }

    #[test]
    fn an_answer_in_another_form_has_no_word() {
        for body in [
            "",
            "OK",
            "[]",
            "{}",
            r#"{"status":200}"#,
            r#"{"status":"Fine, thanks \u001b[2J"}"#,
            r#"{"type":"about:blank","status":404}"#,
        ] {
            assert_eq!(answer(body).word(), None, "{body}");
        }
    }

    #[test]
    fn no_two_reasons_share_a_name() {
        let mut names: Vec<_> = NoAnswer::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NoAnswer::ALL.len());
    }
}
