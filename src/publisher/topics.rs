//! Creating the topics that are missing, where the operator has asked for it (`KAFKA_CREATE_TOPICS`).
//!
//! The producer asks for it itself, over the connections that it has: another client would have a back-off of its own, and start it anew each time.
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::time::{Duration, Instant};

/// How a topic is created.
#[derive(Debug, Clone, Copy)]
pub struct Creation {
    /// Partitions of a main topic; the quarantine topic gets as many.
    pub partitions: i32,
    /// Replicas of each.
    pub replication: i32,
}

/// Keys repeat: compaction would destroy data.
pub const CLEANUP: (&CStr, &CStr) = (c"cleanup.policy", c"delete");

/// How long the brokers may take; the publisher waits for it, so not long.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long brokers may take to tell each other of a new topic.
const SPREAD: Duration = Duration::from_secs(10);

/// What was created lately: it is not missing, and not to be created again, when a broker does not know it yet.
#[derive(Default)]
pub struct Created(BTreeMap<String, Instant>);

impl Created {
    /// A topic was created just now.
    pub fn note(&mut self, topic: &str) {
        self.0.insert(topic.to_owned(), Instant::now());
    }

    /// Whether it was created so lately that not every broker need know it.
    pub fn is_spreading(&self, topic: &str) -> bool {
        self.0
            .get(topic)
            .is_some_and(|created| created.elapsed() < SPREAD)
    }
}
