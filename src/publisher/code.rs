//! Kafka's error codes, as the numbers they are.
//!
//! Guarantees: a code from a broker, known or not, is never more than a number here. rdkafka turns codes into a Rust enum, and a value
//! that the enum does not list is undefined behaviour there: the process aborts, or a code is taken for another one. A newer broker, a
//! vendor's, or a proxy may send any number in any response. So no code that a broker may have sent passes through rdkafka's enum:
//! `librdkafka` reads them as integers.
use rdkafka::bindings::rd_kafka_resp_err_t as E;
use std::ffi::CStr;
use std::fmt;

/// An error code of Kafka's (0 and above, and -1), or one of librdkafka's own (below -1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub i32);

macro_rules! codes {
    ($($name:ident = $native:ident;)+) => {
        impl Code { $(#[allow(missing_docs)] pub const $name: Self = Self(E::$native as i32);)+ }
    };
}

codes! {
    NO_ERROR = RD_KAFKA_RESP_ERR_NO_ERROR;
    INVALID_MESSAGE_SIZE = RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE;
    MESSAGE_SIZE_TOO_LARGE = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    MESSAGE_BATCH_TOO_LARGE = RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
    INVALID_RECORD = RD_KAFKA_RESP_ERR_INVALID_RECORD;
    INVALID_TIMESTAMP = RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
    UNSUPPORTED_COMPRESSION = RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE;
    UNSUPPORTED_FOR_MESSAGE_FORMAT = RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT;
    UNKNOWN_TOPIC_OR_PARTITION = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    INVALID_TOPIC = RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
    LEADER_NOT_AVAILABLE = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    REQUEST_TIMED_OUT = RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
    NOT_ENOUGH_REPLICAS = RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS;
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND;
    TOPIC_AUTHORIZATION_FAILED = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    CLUSTER_AUTHORIZATION_FAILED = RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    SASL_AUTHENTICATION_FAILED = RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
    UNSUPPORTED_SASL_MECHANISM = RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM;
    ILLEGAL_SASL_STATE = RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE;
    TOPIC_ALREADY_EXISTS = RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
    LOCAL_UNKNOWN_TOPIC = RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    LOCAL_UNKNOWN_PARTITION = RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
    LOCAL_AUTHENTICATION = RD_KAFKA_RESP_ERR__AUTHENTICATION;
    LOCAL_SSL = RD_KAFKA_RESP_ERR__SSL;
    LOCAL_MESSAGE_TIMED_OUT = RD_KAFKA_RESP_ERR__MSG_TIMED_OUT;
    LOCAL_TIMED_OUT = RD_KAFKA_RESP_ERR__TIMED_OUT;
    LOCAL_TIMED_OUT_QUEUE = RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
    LOCAL_ISR_INSUFFICIENT = RD_KAFKA_RESP_ERR__ISR_INSUFF;
    LOCAL_TRANSPORT = RD_KAFKA_RESP_ERR__TRANSPORT;
    LOCAL_ALL_BROKERS_DOWN = RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    LOCAL_RESOLVE = RD_KAFKA_RESP_ERR__RESOLVE;
    LOCAL_FATAL = RD_KAFKA_RESP_ERR__FATAL;
    LOCAL_GAPLESS = RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE;
    LOCAL_FENCED = RD_KAFKA_RESP_ERR__FENCED;
    LOCAL_QUEUE_FULL = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    LOCAL_PURGE_QUEUE = RD_KAFKA_RESP_ERR__PURGE_QUEUE;
    LOCAL_PURGE_INFLIGHT = RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
    LOCAL_DIFFERENT_RECORD = RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: librdkafka takes any number, and answers with a text that lives at least until this thread asks again.
        let words = unsafe { CStr::from_ptr(super::librdkafka::rd_kafka_err2str(self.0)) };
        match words.to_str() {
            // Its words for a number that it does not know.
            Ok(words) if !words.starts_with("Err-") => f.write_str(words),
            _ => write!(f, "error code {}, which this version does not know", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_words() {
        for number in (-300..400).chain([i32::MIN, i16::MIN.into(), i16::MAX.into(), i32::MAX]) {
            let words = Code(number).to_string();
            assert!(words.len() > 3, "{number}: {words}");
        }
        assert_eq!(
            Code::TOPIC_AUTHORIZATION_FAILED.to_string(),
            "Broker: Topic authorization failed"
        );
        assert_eq!(
            Code(132).to_string(),
            "error code 132, which this version does not know"
        );
    }
}
