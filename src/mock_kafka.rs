//! A Kafka broker within the process, for `demo` and tests, and a reader of whole topics that works with a real Kafka too.
//!
//! The broker is librdkafka's mock cluster: it speaks the real protocol on a real port, keeps records in memory (5 MiB a
//! partition, then it drops the oldest) and can be told to fail. It has no topic administration and no authentication.
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a question to a broker may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The mock cluster, as librdkafka's bindings know it.
pub type Cluster = MockCluster<'static, DefaultProducerContext>;

type Job = Box<dyn FnOnce(&Cluster) + Send>;

/// A topic to create in a mock cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MockTopic {
    pub name: String,
    /// How many partitions it gets.
    pub partitions: i32,
}

impl MockTopic {
    /// A topic of that name with so many partitions.
    pub fn new(name: &str, partitions: i32) -> Self {
        Self {
            name: name.to_owned(),
            partitions,
        }
    }
}

/// An in-process broker; it is gone, with all records, when this is dropped.
pub struct MockKafka {
    bootstrap: String,
    jobs: Option<Sender<Job>>,
    // The cluster may not leave the thread that made it.
    keeper: Option<JoinHandle<()>>,
}

impl MockKafka {
    /// Starts a cluster of one broker with these topics; `Err` is librdkafka's word.
    pub fn start(topics: &[MockTopic]) -> Result<Self, KafkaError> {
        let topics = topics.to_vec();
        let (jobs, inbox) = channel::<Job>();
        let (started, start) = channel();
        let keeper = std::thread::Builder::new()
            .name("mock-kafka".to_owned())
            .spawn(move || {
                let cluster = MockCluster::new(1).and_then(|cluster| {
                    for topic in &topics {
                        cluster.create_topic(&topic.name, topic.partitions, 1)?;
                    }
                    Ok(cluster)
                });
                match cluster {
                    Ok(cluster) => {
                        // Nobody listens only if the starter is gone, and then so are the jobs.
                        let _ = started.send(Ok(cluster.bootstrap_servers()));
                        for job in inbox {
                            job(&cluster);
                        }
                    }
                    Err(error) => {
                        let _ = started.send(Err(error));
                    }
                }
            })
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        let bootstrap = start
            .recv()
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))??;
        Ok(Self {
            bootstrap,
            jobs: Some(jobs),
            keeper: Some(keeper),
        })
    }

    /// Where its broker listens: `host:port`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap
    }

    /// Does something with the cluster, on its own thread, and waits for it: inject errors, take the broker down, add a topic.
    pub fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cluster) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = channel();
        let job: Job = Box::new(move |cluster| {
            let _ = done.send(work(cluster));
        });
        self.jobs.as_ref()?.send(job).ok()?;
        result.recv().ok()
    }
}

impl Drop for MockKafka {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(keeper) = self.keeper.take() {
            // It has only ended: there is nothing to do about a panic in it.
            let _ = keeper.join();
        }
    }
}

/// A record as it stands in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumedRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// The key, where there is one.
    pub key: Option<Vec<u8>>,
    /// Headers in their order; a name may repeat.
    pub headers: Vec<(String, Vec<u8>)>,
    pub value: Vec<u8>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
}

impl ConsumedRecord {
    /// The first header of that name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// Reads topics from their beginning, all partitions, and goes on with what comes. It joins no group and leaves no trace.
pub struct TopicReader {
    consumer: BaseConsumer,
    topics: Vec<String>,
    assigned: BTreeSet<(String, i32)>,
    refreshed: Option<Instant>,
}

impl TopicReader {
    /// Reads `topics` of the cluster at `bootstrap`. A topic that does not exist yet is read from when it does.
    pub fn open(bootstrap: &str, topics: &[&str]) -> Result<Self, KafkaError> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            // Assigning needs a group's name, though none is joined.
            .set("group.id", "icr-bridge-topic-reader")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "false")
            .set("fetch.wait.max.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
            .create()?;
        Ok(Self {
            consumer,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            assigned: BTreeSet::new(),
            refreshed: None,
        })
    }

    /// The next record, of whichever partition has one; `None` if none comes within `wait`. Order holds within a partition.
    pub fn next(&mut self, wait: Duration) -> Result<Option<ConsumedRecord>, KafkaError> {
        let deadline = Instant::now() + wait;
        loop {
            self.assign_what_is_new()?;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(left.min(Duration::from_millis(100))) {
                Some(Ok(message)) => {
                    return Ok(Some(ConsumedRecord {
                        topic: message.topic().to_owned(),
                        partition: message.partition(),
                        offset: message.offset(),
                        key: message.key().map(<[u8]>::to_vec),
                        headers: message.headers().map_or_else(Vec::new, |headers| {
                            headers
                                .iter()
                                .map(|header| {
                                    let value = header.value.unwrap_or_default();
                                    (header.key.to_owned(), value.to_vec())
                                })
                                .collect()
                        }),
                        value: message.payload().unwrap_or_default().to_vec(),
                        timestamp: message.timestamp().to_millis(),
                    }));
                }
                // A broker away, a partition without leader: the consumer goes on by itself.
                Some(Err(_)) | None if left.is_zero() => return Ok(None),
                Some(Err(_)) | None => {}
            }
        }
    }

    /// Assigns partitions that were not there at the last look (at most every 200 ms while a topic is missing).
    fn assign_what_is_new(&mut self) -> Result<(), KafkaError> {
        let missing = self
            .topics
            .iter()
            .any(|topic| !self.assigned.iter().any(|(known, _)| known == topic));
        let recently = self
            .refreshed
            .is_some_and(|at| at.elapsed() < Duration::from_millis(200));
        if !missing || recently {
            return Ok(());
        }
        self.refreshed = Some(Instant::now());
        let before = self.assigned.len();
        for name in &self.topics {
            let Ok(metadata) = self.consumer.fetch_metadata(Some(name), PATIENCE) else {
                continue;
            };
            for topic in metadata.topics() {
                self.assigned.extend(
                    topic
                        .partitions()
                        .iter()
                        .map(|partition| (topic.name().to_owned(), partition.id())),
                );
            }
        }
        if self.assigned.len() == before {
            return Ok(());
        }
        // Positions of what is read already are kept.
        let position = self.consumer.position()?;
        let mut assignment = TopicPartitionList::new();
        for (topic, partition) in &self.assigned {
            let offset = position
                .find_partition(topic, *partition)
                .map(|found| found.offset())
                .filter(|offset| matches!(offset, Offset::Offset(_)))
                .unwrap_or(Offset::Beginning);
            assignment.add_partition_offset(topic, *partition, offset)?;
        }
        self.consumer.assign(&assignment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

    #[test]
    fn what_is_produced_is_read_back_and_a_topic_may_come_later() {
        let kafka = MockKafka::start(&[MockTopic::new("a", 2)]).unwrap();
        let mut reader = TopicReader::open(kafka.bootstrap_servers(), &["a", "b"]).unwrap();
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", kafka.bootstrap_servers())
            .create()
            .unwrap();
        let send = |topic: &str, value: &str| {
            producer
                .send(BaseRecord::<str, str>::to(topic).key("k").payload(value))
                .unwrap();
            producer.flush(Duration::from_secs(10)).unwrap();
        };
        send("a", "1");
        send("a", "2");
        let mut next = || reader.next(Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(next().value, b"1");
        assert_eq!(next().value, b"2");
        kafka
            .with(|cluster| cluster.create_topic("b", 1, 1))
            .unwrap()
            .unwrap();
        send("b", "3");
        let third = next();
        assert_eq!((third.topic.as_str(), third.value), ("b", b"3".to_vec()));
    }
}
