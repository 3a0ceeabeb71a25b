//! What an error of Kafka's says: something of the record itself, or of everything around it.
//!
//! A wrong verdict costs much either way: a good record set aside, or the line stopped for ever by one that no broker will
//! take. Hence two rules. Only a code that speaks of the record's own bytes can become a verdict; and it becomes one only when
//! the record was *alone* in its batch, since a broker refuses whole batches. Everything else is a failure of the
//! surroundings: go back to the cursor and try again.
use super::code::Code;
use crate::domain::reasons::QuarantineReason;

macro_rules! failure_reasons {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)+) => {
        /// Why publishing did not get on: the closed vocabulary of `publish_failures_total{reason}`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FailureReason { $($(#[$doc])* $variant,)+ }

        impl FailureReason {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// The word as it stands in the label and in logs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for FailureReason {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.name()) }
        }
    };
}

failure_reasons! {
    /// No broker can be reached.
    NoBroker => "no_broker",
    /// Brokers are reached, but refuse to log us in, or TLS fails.
    Authentication => "authentication",
    /// The topic or partition does not exist.
    UnknownTopic => "unknown_topic",
    /// We may not write to the topic.
    Unauthorized => "unauthorized",
    /// Fewer replicas in sync than the topic demands.
    NotEnoughReplicas => "not_enough_replicas",
    /// A record was not acknowledged in the time that the operator allowed (`message.timeout.ms`).
    TimedOut => "timed_out",
    /// Records are in flight, nothing is reported, and metadata shows nothing wrong.
    Stalled => "stalled",
    /// A batch was refused for a record in it; the culprit is being sought.
    RecordRefused => "record_refused",
    /// librdkafka gave the producer up.
    Fatal => "fatal",
    /// Our clock and the brokers' differ by more than they accept in a record's timestamp.
    Clock => "clock",
    /// The journal could not be read, or the cursor not be saved.
    Journal => "journal",
    /// Anything else; the log has Kafka's words.
    Other => "other",
}

impl FailureReason {
    /// What an operator does about it, as the end of a log line.
    pub const fn way_out(self) -> &'static str {
        match self {
            Self::NoBroker => {
                "check that the brokers run, and their addresses; publishing resumes by itself"
            }
            Self::Authentication => "check the credentials and TLS settings of the producer",
            Self::UnknownTopic => {
                "create the topic, or let the bridge create it; publishing resumes by itself"
            }
            Self::Unauthorized => {
                "grant WRITE and DESCRIBE on the topic (before Kafka 2.8 also IDEMPOTENT_WRITE on the cluster); publishing resumes by itself"
            }
            Self::NotEnoughReplicas => {
                "bring the missing brokers back; publishing resumes by itself"
            }
            Self::TimedOut => {
                "check the brokers' load, or raise message.timeout.ms; it is tried again"
            }
            Self::Stalled => "check the brokers' logs; the producer is rebuilt if it lasts",
            Self::RecordRefused => {
                "nothing to do: the records are sent one by one to find the culprit"
            }
            Self::Fatal => "nothing to do: the producer is rebuilt",
            Self::Clock => {
                "set this machine's clock right; records are stamped earlier, then later, until one is taken"
            }
            Self::Journal => "check the journal's disk and its permissions; it is tried again",
            Self::Other => "see Kafka's words; it is tried again",
        }
    }
}

/// What an error code speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The record's own bytes, or its batch's: with the record alone in its batch, a verdict.
    Record(QuarantineReason),
    /// Another record of the same batch: never a verdict on this one.
    Bystander,
    /// The surroundings: go back and try again.
    Failure(FailureReason),
    /// The record's timestamp: too old for the topic, or in the broker's future. Never a verdict: `stamps` finds one that is taken.
    Timestamp,
    /// The codec of its batch: never a verdict either, another codec is used.
    Compression,
    /// We purged it ourselves when discarding a producer: says nothing.
    Purged,
}

/// Classifies a code.
pub fn classify(code: Code) -> Class {
    use FailureReason as F;
    match code {
        Code::MESSAGE_SIZE_TOO_LARGE
        | Code::MESSAGE_BATCH_TOO_LARGE
        | Code::INVALID_MESSAGE_SIZE => Class::Record(QuarantineReason::RecordTooLarge),
        Code::INVALID_RECORD => Class::Record(QuarantineReason::RecordInvalid),
        Code::INVALID_TIMESTAMP => Class::Timestamp,
        // Azure Event Hubs says the latter.
        Code::UNSUPPORTED_COMPRESSION | Code::UNSUPPORTED_FOR_MESSAGE_FORMAT => Class::Compression,
        Code::LOCAL_DIFFERENT_RECORD => Class::Bystander,
        Code::LOCAL_PURGE_QUEUE | Code::LOCAL_PURGE_INFLIGHT => Class::Purged,
        Code::LOCAL_UNKNOWN_TOPIC
        | Code::LOCAL_UNKNOWN_PARTITION
        | Code::UNKNOWN_TOPIC_OR_PARTITION
        | Code::INVALID_TOPIC => Class::Failure(F::UnknownTopic),
        Code::TOPIC_AUTHORIZATION_FAILED
        | Code::CLUSTER_AUTHORIZATION_FAILED
        | Code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => Class::Failure(F::Unauthorized),
        Code::LOCAL_AUTHENTICATION
        | Code::LOCAL_SSL
        | Code::SASL_AUTHENTICATION_FAILED
        | Code::UNSUPPORTED_SASL_MECHANISM
        | Code::ILLEGAL_SASL_STATE => Class::Failure(F::Authentication),
        Code::LOCAL_MESSAGE_TIMED_OUT
        | Code::LOCAL_TIMED_OUT
        | Code::REQUEST_TIMED_OUT
        | Code::LOCAL_TIMED_OUT_QUEUE => Class::Failure(F::TimedOut),
        Code::NOT_ENOUGH_REPLICAS
        | Code::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | Code::LOCAL_ISR_INSUFFICIENT => Class::Failure(F::NotEnoughReplicas),
        Code::LOCAL_TRANSPORT | Code::LOCAL_ALL_BROKERS_DOWN | Code::LOCAL_RESOLVE => {
            Class::Failure(F::NoBroker)
        }
        Code::LOCAL_FATAL | Code::LOCAL_GAPLESS | Code::LOCAL_FENCED => Class::Failure(F::Fatal),
        _ => Class::Failure(F::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_speak_of_the_record_can_become_a_verdict() {
        let speaks = |code| matches!(classify(code), Class::Record(_));
        assert!(speaks(Code::MESSAGE_SIZE_TOO_LARGE));
        assert!(speaks(Code::MESSAGE_BATCH_TOO_LARGE));
        assert!(speaks(Code::INVALID_MESSAGE_SIZE));
        assert!(speaks(Code::INVALID_RECORD));
        // Whatever a broker may say, now or in future: no other number is a verdict.
        let verdicts = (i32::from(i16::MIN)..=i32::from(i16::MAX))
            .filter(|&number| speaks(Code(number)))
            .count();
        assert_eq!(verdicts, 4);
    }

    #[test]
    fn a_timestamp_or_a_codec_is_never_the_records_fault() {
        assert_eq!(classify(Code::INVALID_TIMESTAMP), Class::Timestamp);
        assert_eq!(classify(Code::UNSUPPORTED_COMPRESSION), Class::Compression);
    }

    #[test]
    fn the_names_are_distinct() {
        let names: std::collections::BTreeSet<_> = FailureReason::ALL
            .iter()
            .map(|reason| reason.name())
            .collect();
        assert_eq!(names.len(), FailureReason::ALL.len());
    }
}
