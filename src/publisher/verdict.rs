//! What an error of Kafka's says: something of the record itself, or of everything around it.
//!
//! A wrong verdict costs much either way: a good record set aside, or the line stopped for ever by one that no broker will
//! take. Hence two rules. Only a code that speaks of the record's own bytes can become a verdict; and it becomes one only when
//! the record was *alone* in its batch, since a broker refuses whole batches. Everything else is a failure of the
//! surroundings: go back to the cursor and try again.
use crate::domain::reasons::QuarantineReason;
use rdkafka::types::RDKafkaErrorCode as Code;

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
    /// Our clock is ahead of the brokers', which refuse records from their future.
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
                "grant WRITE and DESCRIBE on the topic; publishing resumes by itself"
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
                "set this machine's clock right; records are stamped earlier until one is taken"
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
    /// We purged it ourselves when discarding a producer: says nothing.
    Purged,
}

/// How much older than now a record must be for `INVALID_TIMESTAMP` to mean that it is too old. Records are never stamped in
/// our future, so anything younger means that our clock and the broker's differ, which no record is to blame for. (The line suspects the
/// clock first, see `clock`.)
const TOO_OLD_MILLIS: u64 = 3_600_000;

/// Classifies a code; `age_millis` is the record's age (now less its timestamp).
pub fn classify(code: Code, age_millis: u64) -> Class {
    use FailureReason as F;
    match code {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            Class::Record(QuarantineReason::RecordTooLarge)
        }
        Code::InvalidRecord => Class::Record(QuarantineReason::RecordInvalid),
        Code::InvalidTimestamp if age_millis > TOO_OLD_MILLIS => {
            Class::Record(QuarantineReason::RecordInvalid)
        }
        Code::InvalidTimestamp => Class::Failure(F::Clock),
        Code::InvalidDifferentRecord => Class::Bystander,
        Code::PurgeQueue | Code::PurgeInflight => Class::Purged,
        Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition
        | Code::InvalidTopic => Class::Failure(F::UnknownTopic),
        Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => Class::Failure(F::Unauthorized),
        Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL => {
            Class::Failure(F::Authentication)
        }
        Code::MessageTimedOut
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::TimedOutQueue => Class::Failure(F::TimedOut),
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend | Code::ISRInsufficient => {
            Class::Failure(F::NotEnoughReplicas)
        }
        Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve => {
            Class::Failure(F::NoBroker)
        }
        Code::Fatal | Code::GaplessGuarantee | Code::Fenced => Class::Failure(F::Fatal),
        _ => Class::Failure(F::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_speak_of_the_record_can_become_a_verdict() {
        let speaks = |code| matches!(classify(code, 0), Class::Record(_));
        assert!(speaks(Code::MessageSizeTooLarge));
        assert!(speaks(Code::MessageBatchTooLarge));
        assert!(speaks(Code::InvalidRecord));
        for code in [
            Code::UnknownTopicOrPartition,
            Code::TopicAuthorizationFailed,
            Code::MessageTimedOut,
            Code::NotEnoughReplicas,
            Code::Fatal,
            Code::GaplessGuarantee,
            Code::InvalidDifferentRecord,
            Code::PurgeQueue,
            Code::InvalidMessage,
            Code::KafkaStorageError,
            Code::Unknown,
        ] {
            assert!(!speaks(code), "{code:?}");
        }
    }

    #[test]
    fn a_timestamp_is_the_records_fault_only_when_it_is_old() {
        assert_eq!(
            classify(Code::InvalidTimestamp, 5_000),
            Class::Failure(FailureReason::Clock)
        );
        assert_eq!(
            classify(Code::InvalidTimestamp, 2 * TOO_OLD_MILLIS),
            Class::Record(QuarantineReason::RecordInvalid)
        );
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
