//! What a bridge cannot be faster than: the same bytes through the same parts, and nothing around them.

use super::load::Load;
use super::subject::Subject;
use super::topic;
use icr_bridge::config;
use icr_bridge::domain::delivery::{Delivery, Millis};
use icr_bridge::domain::record::{self, Occasion, Record, RecordSettings};
use icr_bridge::journal::reader::Next;
use icr_bridge::journal::storage::Disk;
use icr_bridge::journal::view::View;
use icr_bridge::publisher::properties;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Deliveries as the journal holds them.
pub struct Stored(Vec<Vec<u8>>);

/// User and system time of this process, in seconds.
pub fn own_cpu() -> f64 {
    super::subject::cpu_seconds(std::process::id())
}

impl Stored {
    /// Some, with bodies of so many bytes, as a bridge stores them.
    pub fn of(body_bytes: usize) -> Self {
        let count = if body_bytes > (16 << 10) { 200 } else { 2000 };
        let bridge = Subject::bridge(None);
        Load::of(body_bytes).closed_loop(bridge.ingress, 64, count);
        let journal = bridge.leave();
        let view = View::open(Arc::new(Disk), journal.path()).unwrap();
        let mut reader = view.reader(1).unwrap();
        let mut bodies = Vec::new();
        while let Next::Record(stored) = reader.next(Duration::ZERO).unwrap() {
            bodies.push(stored.body.to_vec());
        }
        assert_eq!(bodies.len() as u64, count);
        Self(bodies)
    }

    fn records(&self, settings: &RecordSettings) -> Vec<Record> {
        let bodies = (1..).zip(&self.0);
        let records = bodies.map(|(sequence, body)| record(sequence, body, settings));
        records.collect()
    }

    /// CPU µs of normalizing one, on one thread.
    pub fn normalization(&self) -> f64 {
        let settings = settings("bench");
        let rounds = 100_000 / self.0.len();
        let before = own_cpu();
        for _ in 0..rounds {
            for (sequence, body) in (1..).zip(&self.0) {
                std::hint::black_box(record(sequence, body, &settings));
            }
        }
        (own_cpu() - before) / (rounds * self.0.len()) as f64 * 1e6
    }

    /// CPU µs of appending one in groups of `group`, each written at once and synced, into space that was written before.
    pub fn append(&self, group: usize) -> f64 {
        const SPACE: u64 = 64 << 20;
        let file = space(SPACE);
        let groups = 1500.min(40_000 / group).max(20);
        let (mut at, mut next, mut taken) = (0, self.0.iter().cycle(), 0);
        let before = own_cpu();
        for _ in 0..groups {
            let mut bytes = Vec::new();
            for body in next.by_ref().take(group) {
                bytes.extend_from_slice(body);
                taken += 1;
            }
            if at + bytes.len() as u64 > SPACE {
                at = 0;
            }
            file.write_all_at(&bytes, at).unwrap();
            file.sync_data().unwrap();
            at += bytes.len() as u64;
        }
        (own_cpu() - before) / f64::from(taken) * 1e6
    }

    /// CPU µs of producing the record of one with librdkafka alone, set as the bridge sets it; and how many a second were acknowledged.
    /// At `rate` a second, or as fast as it goes.
    pub fn produce(&self, rate: Option<f64>, time: Duration) -> (f64, f64) {
        let topic = topic::created();
        let mut config = ClientConfig::new();
        config.extend(properties::effective(&BTreeMap::new(), None).unwrap());
        let bootstrap = std::env::var("KAFKA_BOOTSTRAP").expect("KAFKA_BOOTSTRAP");
        config.set("bootstrap.servers", bootstrap);
        let producer: ThreadedProducer<DefaultProducerContext> = config.create().unwrap();
        let records = self.records(&settings(&topic));
        // Connections and buffers.
        records.iter().for_each(|record| send(&producer, record));
        producer.flush(Duration::from_secs(60)).unwrap();

        let (before, started) = (own_cpu(), Instant::now());
        let mut count = 0_u64;
        for record in records.iter().cycle() {
            if started.elapsed() > time {
                break;
            }
            if let Some(rate) = rate {
                let due = started + Duration::from_secs_f64(count as f64 / rate);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            send(&producer, record);
            count += 1;
        }
        producer.flush(Duration::from_secs(60)).unwrap();
        let used = own_cpu() - before;
        let rate = count as f64 / started.elapsed().as_secs_f64();
        (used / count as f64 * 1e6, rate)
    }
}

fn settings(topic: &str) -> RecordSettings {
    let variables = [
        ("ICR_BRIDGE_KAFKA_TOPIC".into(), topic.into()),
        (
            "ICR_BRIDGE_KAFKA_QUARANTINE_TOPIC".into(),
            format!("{topic}.quarantine").into(),
        ),
    ];
    config::record_settings(variables.to_vec()).unwrap()
}

fn record(sequence: u64, body: &[u8], settings: &RecordSettings) -> Record {
    let occasion = Occasion {
        sequence,
        now: Millis(u64::MAX),
        replay: false,
    };
    record::record(&Delivery::decode(body).unwrap(), settings, occasion)
}

/// Waits where librdkafka's queue is full, as the bridge does.
fn send(producer: &ThreadedProducer<DefaultProducerContext>, record: &Record) {
    let headers = record.headers.iter().fold(
        OwnedHeaders::new_with_capacity(record.headers.len()),
        |headers, (key, value)| {
            let value = Some(value.as_ref());
            headers.insert(Header { key, value })
        },
    );
    let mut message = BaseRecord::<[u8], [u8]>::to(&record.topic)
        .payload(&record.value)
        .headers(headers);
    if let Some(key) = &record.key {
        message = message.key(key);
    }
    while producer.in_flight_count() > 10_000 {
        std::thread::sleep(Duration::from_micros(500));
    }
    let sent = producer.send(message);
    sent.map_err(|(error, _)| error).unwrap();
}

/// A file whose space was written before, as the journal's segments are.
fn space(bytes: u64) -> File {
    let file = tempfile::tempfile().unwrap();
    let zeros = vec![0; 1 << 20];
    for at in (0..bytes).step_by(zeros.len()) {
        file.write_all_at(&zeros, at).unwrap();
    }
    file.sync_all().unwrap();
    file
}

/// Milliseconds of a write and `fdatasync` of 4 KiB: median and 99th percentile.
pub fn sync() -> (f64, f64) {
    let file = space(8 << 20);
    let block = [1; 4096];
    let mut took: Vec<f64> = (0..1000)
        .map(|index| {
            file.write_all_at(&block, index * 4096).unwrap();
            let started = Instant::now();
            file.sync_data().unwrap();
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    (took[500], took[990])
}
