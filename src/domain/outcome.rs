//! What became of a delivery, as the journal's outcome log keeps it for `inspect` and `stats`.
//!
//! The encoding, version 1: a byte `1`; a byte for the kind; for published: partition (i32), offset (i64), topic (UTF-8, to the
//! end); for quarantined: partition, offset, length of the reason (u8), reason, topic; for held: reason, to the end. Integers
//! are little-endian. A reader that meets another version or kind gets `None` and shows what it can without it.
use super::reasons::{QuarantineReason, vocabulary};
use std::borrow::Cow;

const VERSION: u8 = 1;
const PUBLISHED: u8 = 1;
const QUARANTINED: u8 = 2;
const HELD: u8 = 3;

vocabulary! {
    /// What became of a delivery, in a word: as `--outcome` takes it and `inspect` shows it.
    Fate {
        /// Above the cursor: not published yet.
        Pending => "pending",
        /// It stands in its topic.
        Published => "published",
        /// It stands in the quarantine topic.
        Quarantined => "quarantined",
        /// Kept on disk until the quarantine topic takes it.
        Held => "held",
        /// The cursor has passed it, and the note of what became of it was lost.
        Unknown => "unknown",
    }
}

impl Fate {
    /// The fate of a delivery that the cursor has passed (or not), and whose noted outcome is `outcome`.
    pub fn of(passed: bool, outcome: Option<&Outcome<'_>>) -> Self {
        match outcome {
            Some(Outcome::Published { .. }) => Self::Published,
            Some(Outcome::Quarantined { .. }) => Self::Quarantined,
            Some(Outcome::Held { .. }) => Self::Held,
            None if passed => Self::Unknown,
            None => Self::Pending,
        }
    }
}

/// The reason of a delivery that is held because this bridge cannot read its journal record.
pub const UNREADABLE: &str = "unreadable";

/// Why a delivery is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldReason {
    /// The quarantine topic refused it as well, alone in its batch.
    Refused(QuarantineReason),
    /// Its record in the journal is of a newer version or malformed: kept whole for a bridge that can read it.
    Unreadable,
}

impl HeldReason {
    /// The word as it stands in logs and in the outcome log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused(reason) => reason.name(),
            Self::Unreadable => UNREADABLE,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        if name == UNREADABLE {
            return Some(Self::Unreadable);
        }
        QuarantineReason::from_name(name).map(Self::Refused)
    }
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It stands in its topic.
    Published {
        /// The topic's name.
        topic: Cow<'a, str>,
        /// The partition.
        partition: i32,
        /// Kafka's offset.
        offset: i64,
    },
    /// It stands in the quarantine topic.
    Quarantined {
        /// Why.
        reason: QuarantineReason,
        /// The quarantine topic's name.
        topic: Cow<'a, str>,
        /// The partition.
        partition: i32,
        /// Kafka's offset.
        offset: i64,
    },
    /// It is kept on disk until the quarantine topic takes it.
    Held {
        /// Why.
        reason: HeldReason,
    },
}

impl<'a> Outcome<'a> {
    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Self::Published {
                topic,
                partition,
                offset,
            } => {
                out.push(PUBLISHED);
                out.extend_from_slice(&partition.to_le_bytes());
                out.extend_from_slice(&offset.to_le_bytes());
                out.extend_from_slice(topic.as_bytes());
            }
            Self::Quarantined {
                reason,
                topic,
                partition,
                offset,
            } => {
                out.push(QUARANTINED);
                out.extend_from_slice(&partition.to_le_bytes());
                out.extend_from_slice(&offset.to_le_bytes());
                let reason = reason.name().as_bytes();
                // Reasons are our own words, far shorter than 255 bytes.
                out.push(u8::try_from(reason.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(reason);
                out.extend_from_slice(topic.as_bytes());
            }
            Self::Held { reason } => {
                out.push(HELD);
                out.extend_from_slice(reason.name().as_bytes());
            }
        }
    }

    /// Reads an outcome back; `None` for bytes of another version or none at all.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&[version, kind], rest) = bytes.split_first_chunk::<2>()?;
        if version != VERSION {
            return None;
        }
        match kind {
            PUBLISHED => {
                let (partition, offset, rest) = place(rest)?;
                Some(Self::Published {
                    topic: text(rest)?,
                    partition,
                    offset,
                })
            }
            QUARANTINED => {
                let (partition, offset, rest) = place(rest)?;
                let (&length, rest) = rest.split_first()?;
                let (reason, topic) = rest.split_at_checked(usize::from(length))?;
                Some(Self::Quarantined {
                    reason: QuarantineReason::from_name(std::str::from_utf8(reason).ok()?)?,
                    topic: text(topic)?,
                    partition,
                    offset,
                })
            }
            HELD => Some(Self::Held {
                reason: HeldReason::from_name(std::str::from_utf8(rest).ok()?)?,
            }),
            _ => None,
        }
    }
}

fn place(bytes: &[u8]) -> Option<(i32, i64, &[u8])> {
    let (partition, rest) = bytes.split_first_chunk::<4>()?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    Some((
        i32::from_le_bytes(*partition),
        i64::from_le_bytes(*offset),
        rest,
    ))
}

fn text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    std::str::from_utf8(bytes).ok().map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Outcome<'static>> {
        vec![
            Outcome::Published {
                topic: "icr.webhooks".into(),
                partition: 5,
                offset: 1 << 40,
            },
            Outcome::Quarantined {
                reason: QuarantineReason::RecordTooLarge,
                topic: "icr.webhooks.quarantine".into(),
                partition: 0,
                offset: 7,
            },
            Outcome::Held {
                reason: HeldReason::Refused(QuarantineReason::RecordInvalid),
            },
            Outcome::Held {
                reason: HeldReason::Unreadable,
            },
        ]
    }

    #[test]
    fn every_outcome_reads_back_as_it_was_written() {
        for outcome in all() {
            let mut bytes = Vec::new();
            outcome.encode(&mut bytes);
            assert_eq!(Outcome::decode(&bytes), Some(outcome));
        }
    }

    #[test]
    fn a_delivery_without_a_noted_outcome_is_pending_until_the_cursor_passes_it() {
        assert_eq!(Fate::of(false, None), Fate::Pending);
        assert_eq!(Fate::of(true, None), Fate::Unknown);
        let fates: Vec<Fate> = all()
            .iter()
            .map(|outcome| Fate::of(false, Some(outcome)))
            .collect();
        use Fate::{Held, Published, Quarantined};
        assert_eq!(fates, [Published, Quarantined, Held, Held]);
    }

    #[test]
    fn bytes_cut_short_or_of_another_version_are_no_outcome_and_no_panic() {
        for outcome in all() {
            let mut bytes = Vec::new();
            outcome.encode(&mut bytes);
            for length in 0..14.min(bytes.len()) {
                assert_eq!(Outcome::decode(&bytes[..length]), None);
            }
            bytes[0] = 9;
            assert_eq!(Outcome::decode(&bytes), None);
        }
    }
}
