//! What each delivery should come to, and how that compares with what it came to.

use crate::load::{Outcome, Summary};
use std::collections::BTreeMap;

/// What a delivery is: a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Signed with the secret, and new.
    Genuine,
    /// Signed without the secret.
    Forged,
    /// Answered 202 before.
    Repeated,
    /// Spoilt on the way.
    Garbled,
    /// A payload of the user's, as it stands: perhaps not for the first time.
    Payload,
    /// Captured, and to be taken: perhaps not for the first time.
    Captured,
    /// Captured, and to be rejected.
    CapturedWrong,
}

impl Kind {
    /// As it stands in the report.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Genuine => "genuine",
            Self::Forged => "forged",
            Self::Repeated => "repeated",
            Self::Garbled => "garbled",
            Self::Payload => "payload",
            Self::Captured => "captured",
            Self::CapturedWrong => "captured_wrong",
        }
    }

    /// What should become of it, in words.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::Genuine => "202 accepted",
            Self::Repeated => "202 duplicate",
            Self::Payload | Self::Captured => "202",
            Self::Forged | Self::Garbled | Self::CapturedWrong => "4xx",
        }
    }

    /// Compares. Of a receiver that is no bridge the status alone is known.
    pub(super) fn judge(self, outcome: &Outcome) -> Verdict {
        let Some(answer) = outcome.answer() else {
            return Verdict::Unexpected;
        };
        let word = answer.word();
        let taken = |wanted: &str| {
            answer.status == 202 && word.as_deref().is_none_or(|word| word == wanted)
        };
        let as_expected = match self {
            Self::Genuine => taken("accepted"),
            Self::Repeated => taken("duplicate"),
            Self::Payload | Self::Captured => answer.status == 202,
            Self::Forged | Self::Garbled | Self::CapturedWrong => {
                if (200..300).contains(&answer.status) {
                    return Verdict::Alarm;
                }
                (400..500).contains(&answer.status)
            }
        };
        if as_expected {
            Verdict::AsExpected
        } else {
            Verdict::Unexpected
        }
    }
}

/// How an outcome compares with the expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It does.
    AsExpected,
    /// It does not.
    Unexpected,
    /// What should have been turned away was taken.
    Alarm,
}

/// Counts of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) as_expected: u64,
    pub(super) alarms: u64,
}

/// How many examples of what was not expected are kept.
const EXAMPLES: usize = 5;

#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) kinds: BTreeMap<Kind, Counts>,
    /// The first deliveries that came to something unexpected, in words.
    pub(super) examples: Vec<String>,
    /// The last outcome: of a single delivery, the only one.
    pub(super) last: Option<(Kind, Outcome)>,
}

impl Tally {
    /// Counts one; `example` says what it was, should that be needed.
    pub(super) fn count(
        &mut self,
        kind: Kind,
        outcome: &Outcome,
        example: impl FnOnce() -> String,
    ) -> Verdict {
        let verdict = kind.judge(outcome);
        let counts = self.kinds.entry(kind).or_default();
        counts.sent += 1;
        counts.as_expected += u64::from(verdict == Verdict::AsExpected);
        counts.alarms += u64::from(verdict == Verdict::Alarm);
        if verdict != Verdict::AsExpected && self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
        verdict
    }

    /// Deliveries that should have been turned away and were taken.
    pub(super) fn alarms(&self) -> u64 {
        self.kinds.values().map(|counts| counts.alarms).sum()
    }

    /// Deliveries that came to something else than expected.
    pub(super) fn unexpected(&self) -> u64 {
        self.kinds
            .values()
            .map(|counts| counts.sent - counts.as_expected)
            .sum()
    }

    /// Whether every delivery that was due was sent and came to what it should.
    pub(super) fn is_as_expected(&self, summary: &Summary) -> bool {
        self.unexpected() == 0 && summary.unsent == 0 && summary.sent() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Answer, NoAnswer};

    fn answered(status: u16, body: &'static str) -> Outcome {
        Outcome::Answered(Answer {
            status,
            body: body.into(),
        })
    }

    #[test]
    fn only_a_new_202_is_right_for_a_genuine_delivery() {
        let accepted = answered(202, r#"{"status":"accepted","id":"1"}"#);
        let duplicate = answered(202, r#"{"status":"duplicate","id":"1"}"#);
        let plain = answered(202, "OK");
        let judge = |kind: Kind| {
            [&accepted, &duplicate, &plain]
                .map(|outcome| kind.judge(outcome) == Verdict::AsExpected)
        };
        assert_eq!(judge(Kind::Genuine), [true, false, true]);
        assert_eq!(judge(Kind::Repeated), [false, true, true]);
        assert_eq!(judge(Kind::Captured), [true, true, true]);
        for wrong in [answered(200, ""), answered(403, ""), answered(503, "")] {
            assert_eq!(Kind::Genuine.judge(&wrong), Verdict::Unexpected);
        }
    }

    #[test]
    fn what_should_be_turned_away_and_is_taken_is_an_alarm() {
        for kind in [Kind::Forged, Kind::Garbled, Kind::CapturedWrong] {
            assert_eq!(kind.judge(&answered(202, "")), Verdict::Alarm);
            assert_eq!(kind.judge(&answered(200, "")), Verdict::Alarm);
            assert_eq!(kind.judge(&answered(403, "")), Verdict::AsExpected);
            assert_eq!(kind.judge(&answered(400, "")), Verdict::AsExpected);
            assert_eq!(kind.judge(&answered(503, "")), Verdict::Unexpected);
            assert_eq!(
                kind.judge(&Outcome::NoAnswer(NoAnswer::Timeout)),
                Verdict::Unexpected
            );
        }
    }
}
