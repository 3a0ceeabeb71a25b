//! Creating the topics that are missing, where the operator has asked for it (`KAFKA_CREATE_TOPICS`).
use super::kafka::{Batching, Surroundings};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::types::RDKafkaErrorCode as Code;
use std::time::Duration;

/// How a topic is created.
#[derive(Debug, Clone, Copy)]
pub struct Creation {
    /// Partitions of a main topic; the quarantine topic gets as many.
    pub partitions: i32,
    /// Replicas of each.
    pub replication: i32,
}

/// How long the brokers may take; the publisher waits for it, so not long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Creates `topic` with `cleanup.policy=delete` (keys repeat: compaction would destroy data). A topic that exists is left as it is.
pub fn create(surroundings: &Surroundings, creation: Creation, topic: &str) -> Result<(), String> {
    let mut config = surroundings.config(Batching::default());
    config.set("statistics.interval.ms", "0");
    // What goes wrong is in the result; connection troubles are logged by the producer.
    config.set_log_level(RDKafkaLogLevel::Emerg);
    let admin: AdminClient<DefaultClientContext> =
        config.create().map_err(|error| error.to_string())?;
    let _tokens = surroundings.tokens.as_ref().map(|tokens| {
        // SAFETY: declared after the client, and so dropped before it.
        unsafe { tokens.register(admin.inner().native_ptr()) }
    });
    let new = NewTopic::new(
        topic,
        creation.partitions,
        TopicReplication::Fixed(creation.replication),
    )
    .set("cleanup.policy", "delete");
    let options = AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .operation_timeout(Some(PATIENCE));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| error.to_string())?;
    let results = runtime
        .block_on(admin.create_topics([&new], &options))
        .map_err(|error| error.to_string())?;
    for result in results {
        match result {
            Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(code.to_string()),
        }
    }
    Ok(())
}
