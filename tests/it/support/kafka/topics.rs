//! Topics: how a test creates, changes and deletes them, and what the broker says about them.

use super::{PATIENCE, RealKafka, eventually, unique};
use std::collections::HashMap;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;

impl RealKafka {
    /// Makes a topic and waits until each partition has a leader. `config` is `[("max.message.bytes", "2000")]` and the like.
    pub fn create_topic(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) {
        self.create_replicated_topic(topic, partitions, 1, config);
    }

    /// The same with so many replicas.
    pub fn create_replicated_topic(
        &self,
        topic: &str,
        partitions: i32,
        replicas: i32,
        config: &[(&str, &str)],
    ) {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas));
        for (name, value) in config {
            new = new.set(name, value);
        }
        let admin = self.admin();
        let created =
            wait_for(admin.create_topics([&new], &options())).expect("an answer of the broker");
        for one in created {
            one.unwrap_or_else(|(topic, error)| panic!("topic {topic} was not created: {error}"));
        }
        let consumer = self.consumer();
        eventually("the new topic has leaders", || {
            let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).ok()?;
            let found = metadata.topics().first()?.partitions();
            let all_led = found.iter().all(|partition| partition.leader() >= 0);
            (all_led && i32::try_from(found.len()) == Ok(partitions)).then_some(())
        });
    }

    /// A fresh topic with a unique name, `name` at its front.
    pub fn new_topic(&self, name: &str, partitions: i32) -> String {
        let topic = unique(name);
        self.create_topic(&topic, partitions, &[]);
        topic
    }

    /// Deletes a topic and waits until the broker does not know it any more.
    pub fn delete_topic(&self, topic: &str) {
        let deleted = wait_for(self.admin().delete_topics(&[topic], &options()))
            .expect("an answer of the broker");
        for one in deleted {
            one.unwrap_or_else(|(topic, error)| panic!("topic {topic} was not deleted: {error}"));
        }
        eventually("the topic is gone", || {
            (!self.topics().contains_key(topic)).then_some(())
        });
    }

    /// Changes a topic's configuration under its clients.
    pub fn configure_topic(&self, topic: &str, name: &str, value: &str) {
        self.run_admin(&[
            "config",
            "--alter",
            "--entity-type",
            "topics",
            "--entity-name",
            topic,
            "--add-config",
            &format!("{name}={value}"),
        ]);
    }

    /// Gives a topic more partitions.
    pub fn add_partitions(&self, topic: &str, partitions: u32) {
        let partitions = partitions.to_string();
        let arguments = [
            "topic",
            "--alter",
            "--topic",
            topic,
            "--partitions",
            &partitions,
        ];
        self.run_admin(&arguments);
    }

    /// The leaders of a topic's partitions, in their order.
    pub fn leaders(&self, topic: &str) -> Vec<i32> {
        let metadata = self
            .consumer()
            .fetch_metadata(Some(topic), PATIENCE)
            .expect("metadata");
        let partitions = metadata.topics()[0].partitions().iter();
        partitions
            .map(rdkafka::metadata::MetadataPartition::leader)
            .collect()
    }

    /// One setting of a topic, as the broker tells it.
    pub fn topic_setting(&self, topic: &str, name: &str) -> Option<String> {
        let described = wait_for(
            self.admin()
                .describe_configs(&[ResourceSpecifier::Topic(topic)], &options()),
        );
        let resources = described.expect("an answer of the broker");
        let resource = resources
            .into_iter()
            .next()?
            .expect("the topic's configuration");
        resource.get(name)?.value.clone()
    }

    /// Every topic with the number of its partitions.
    pub fn topics(&self) -> HashMap<String, usize> {
        let metadata = self
            .consumer()
            .fetch_metadata(None, PATIENCE)
            .expect("metadata");
        let topics = metadata.topics().iter();
        topics
            .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
            .collect()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .operation_timeout(Some(PATIENCE))
}

/// Waits on a thread of its own, since the test may run inside a runtime already.
fn wait_for<F>(future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    let waiting = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(future)
    };
    std::thread::scope(|scope| scope.spawn(waiting).join().unwrap())
}
