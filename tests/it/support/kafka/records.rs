//! The records in topics: counting them and reading all of them.

use super::{PATIENCE, RealKafka, eventually};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

/// A record as it stands in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    /// In their order; a name may repeat.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub value: Option<Vec<u8>>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
}

impl OwnedRecord {
    /// The first header of that name, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// The key as text.
    pub fn key_text(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok()
    }

    /// The value as text.
    pub fn value_text(&self) -> Option<&str> {
        std::str::from_utf8(self.value.as_deref()?).ok()
    }
}

impl RealKafka {
    /// The end of each partition: the offset that the next record will get.
    pub fn high_watermarks(&self, topic: &str) -> Vec<i64> {
        self.ends(&self.consumer(), topic)
            .into_iter()
            .map(|(_, end)| end)
            .collect()
    }

    /// How many records a topic took so far.
    pub fn count(&self, topic: &str) -> i64 {
        self.high_watermarks(topic).iter().sum()
    }

    /// Everything that stands in these topics as soon as it is `at_least` records, ordered by topic, partition and offset.
    /// More may come back: whoever expects an exact number must compare.
    ///
    /// # Panics
    /// When there are fewer after `deadline`; tells what is there.
    pub fn read_all(
        &self,
        topics: &[&str],
        at_least: usize,
        deadline: Duration,
    ) -> Vec<OwnedRecord> {
        let consumer = self.consumer();
        let until = Instant::now() + deadline;
        loop {
            let total: i64 = topics
                .iter()
                .flat_map(|topic| self.ends(&consumer, topic))
                .map(|(_, end)| end)
                .sum();
            if usize::try_from(total).unwrap() >= at_least || Instant::now() > until {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let records = self.read_now(topics);
        assert!(
            records.len() >= at_least,
            "{} of {at_least} records in {topics:?} after {deadline:?}: {}",
            records.len(),
            summary(&records),
        );
        records
    }

    /// Everything that stands in these topics now, ordered by topic, partition and offset.
    pub fn read_now(&self, topics: &[&str]) -> Vec<OwnedRecord> {
        let mut records = Vec::new();
        self.each_now(topics, |record| records.push(record));
        records.sort_by(|a, b| {
            (&a.topic, a.partition, a.offset).cmp(&(&b.topic, b.partition, b.offset))
        });
        records
    }

    /// Everything that stands in these topics now, one by one; those of a partition in the order of their offsets.
    pub fn each_now(&self, topics: &[&str], mut each: impl FnMut(OwnedRecord)) {
        let consumer = self.consumer();
        let mut assignment = TopicPartitionList::new();
        let mut missing = HashMap::new();
        for topic in topics {
            for (partition, (start, end)) in (0..).zip(self.ends(&consumer, topic)) {
                if end > start {
                    assignment
                        .add_partition_offset(topic, partition, Offset::Offset(start))
                        .unwrap();
                    missing.insert(((*topic).to_owned(), partition), end);
                }
            }
        }
        consumer.assign(&assignment).expect("an assignment");

        let mut until = Instant::now() + PATIENCE;
        while !missing.is_empty() {
            assert!(
                Instant::now() < until,
                "no end of {missing:?}: nothing came for {PATIENCE:?}"
            );
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
                continue;
            };
            until = Instant::now() + PATIENCE;
            let record = owned(&message);
            let place = (record.topic.clone(), record.partition);
            if missing
                .get(&place)
                .is_some_and(|end| record.offset + 1 >= *end)
            {
                missing.remove(&place);
            }
            each(record);
        }
    }

    /// First and next offset of each partition, in their order.
    fn ends(&self, consumer: &BaseConsumer, topic: &str) -> Vec<(i64, i64)> {
        let metadata = eventually("metadata", || {
            consumer.fetch_metadata(Some(topic), PATIENCE).ok()
        });
        let mut partitions: Vec<i32> = metadata.topics()[0]
            .partitions()
            .iter()
            .map(|found| found.id())
            .collect();
        partitions.sort_unstable();
        assert!(!partitions.is_empty(), "there is no topic {topic}");
        let ends = partitions.into_iter().map(|partition| {
            eventually("the end of a partition", || {
                consumer.fetch_watermarks(topic, partition, PATIENCE).ok()
            })
        });
        ends.collect()
    }
}

fn owned(message: &impl Message) -> OwnedRecord {
    let headers = message.headers().map(|headers| {
        let all = headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)));
        all.collect()
    });
    OwnedRecord {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
        value: message.payload().map(<[u8]>::to_vec),
        timestamp: message.timestamp().to_millis(),
    }
}

fn summary(records: &[OwnedRecord]) -> String {
    let mut text = String::new();
    for record in records.iter().take(20) {
        let _ = write!(
            text,
            "\n  {}[{}]@{} {:?}",
            record.topic,
            record.partition,
            record.offset,
            record.key_text()
        );
    }
    text
}
