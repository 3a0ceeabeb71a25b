//! A journal in a temporary folder, a broker within the process, and everything the publisher says of itself.
use icr_bridge::domain::delivery::{Delivery, Millis};
use icr_bridge::domain::envelope::Envelope;
use icr_bridge::domain::normalize::Redaction;
use icr_bridge::domain::reasons::QuarantineReason;
use icr_bridge::domain::record::{ContentMode, RecordSettings, Template};
use icr_bridge::domain::signature::Signature;
use icr_bridge::journal::storage::{Disk, Storage};
use icr_bridge::journal::{Append, Journal, Observer, Options, Sequence};
use icr_bridge::mock_kafka::{ConsumedRecord, MockKafka, MockTopic, TopicReader};
use icr_bridge::publisher::{
    FailureReason, KafkaSettings, Publication, Publisher, PublisherSettings, Sink, Timings,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uuid::Uuid;

pub const MAIN: &str = "icr.webhooks";
pub const QUARANTINE: &str = "icr.webhooks.quarantine";

/// How long anything may take before a test gives up: far longer than it does, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the publisher has told its sink.
#[derive(Debug, Default, Clone)]
pub struct Told {
    pub published: u64,
    pub again: u64,
    pub quarantined: Vec<QuarantineReason>,
    pub held: Option<usize>,
    pub failures: Vec<FailureReason>,
    pub rebuilt: u64,
    pub lost: u64,
    pub oldest: Option<Millis>,
}

#[derive(Default)]
pub struct Seen(Mutex<Told>);

impl Seen {
    pub fn told(&self) -> Told {
        self.0.lock().unwrap().clone()
    }
    fn note(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl Sink for Seen {
    fn published(&self, publication: Publication<'_>) {
        assert_eq!(publication.topic, MAIN);
        self.note(|told| {
            told.published += 1;
            told.again += u64::from(publication.again);
        });
    }
    fn quarantined(&self, reason: QuarantineReason) {
        self.note(|told| told.quarantined.push(reason));
    }
    fn held(&self, count: usize) {
        self.note(|told| told.held = Some(count));
    }
    fn failure(&self, reason: FailureReason) {
        self.note(|told| told.failures.push(reason));
    }
    fn rebuilt(&self) {
        self.note(|told| told.rebuilt += 1);
    }
    fn lost(&self, sequences: u64) {
        self.note(|told| told.lost += sequences);
    }
    fn oldest_pending(&self, accepted_at: Option<Millis>) {
        self.note(|told| told.oldest = accepted_at);
    }
}

struct Quiet;
impl Observer for Quiet {}

pub struct Rig {
    pub dir: TempDir,
    pub journal: Journal,
    pub seen: Arc<Seen>,
    pub settings: PublisherSettings,
    storage: Arc<dyn Storage>,
}

impl Rig {
    /// A journal whose publisher will find its brokers at `bootstrap`.
    pub fn new(bootstrap: &str) -> Self {
        Self::on(Arc::new(Disk), bootstrap)
    }

    /// The same on another filesystem.
    pub fn on(storage: Arc<dyn Storage>, bootstrap: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            journal: open(&dir, &storage),
            storage,
            dir,
            seen: Arc::default(),
            settings: settings(bootstrap),
        }
    }

    pub fn start(&self) -> Publisher {
        let sink: Arc<dyn Sink> = Arc::clone(&self.seen) as Arc<dyn Sink>;
        Publisher::start(self.journal.clone(), self.settings.clone(), sink).unwrap()
    }

    /// Closes the journal and opens it again, as a new process would.
    pub fn reopen(&mut self) {
        self.journal.close();
        self.journal = open(&self.dir, &self.storage);
        self.seen = Arc::default();
    }

    /// Appends raw bytes as the body of a record.
    pub fn append(&self, body: &[u8]) -> Sequence {
        let (done, result) = mpsc::channel();
        self.journal
            .append(Append {
                tag_length: 0,
                bytes: body.to_vec(),
                done: Box::new(move |outcome| done.send(outcome).unwrap()),
            })
            .unwrap();
        result.recv().unwrap().unwrap()
    }

    /// Appends `count` deliveries of one event type each with a payload of about `size` bytes; `n` counts from `first`.
    pub fn deliveries(&self, first: u64, count: u64, size: usize) {
        let (done, result) = mpsc::channel();
        for n in first..first + count {
            let done = done.clone();
            self.journal
                .append(Append {
                    tag_length: 0,
                    bytes: delivery(&payload(n, size)),
                    done: Box::new(move |outcome| done.send(outcome).unwrap()),
                })
                .unwrap();
            // Stays below the journal's queue.
            result.recv().unwrap().unwrap();
        }
    }

    /// Flips a bit of `text` wherever it stands in the journal's files.
    pub fn rot(&self, text: &[u8]) {
        let mut found = 0;
        for entry in std::fs::read_dir(self.dir.path().join("journal")).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap_or_default();
            if let Some(at) = bytes.windows(text.len()).position(|part| part == text) {
                bytes[at] ^= 1;
                std::fs::write(&path, bytes).unwrap();
                found += 1;
            }
        }
        assert_eq!(found, 1);
    }

    pub fn cursor(&self) -> Sequence {
        self.journal.progress().sequence
    }

    /// Waits until all that is in the journal has its outcome, and the ledger adds up.
    pub fn until_published(&self) {
        eventually("everything has its outcome", || {
            self.cursor() == self.journal.last_sequence()
        });
        let ledger = self.journal.ledger();
        assert_eq!(ledger.unaccounted, 0, "{ledger:?}");
    }
}

pub fn open(dir: &TempDir, storage: &Arc<dyn Storage>) -> Journal {
    let options = Options {
        dir: dir.path().join("journal"),
        segment_bytes: 8 << 20,
        spare_segments: 1,
        queue: 4096,
        retention_age: Duration::from_secs(3600),
        retention_bytes: 1 << 30,
        low_water_bytes: 0,
    };
    Journal::open(Arc::clone(storage), options, Arc::new(Quiet)).unwrap()
}

pub fn settings(bootstrap: &str) -> PublisherSettings {
    PublisherSettings {
        record: RecordSettings {
            topic: Template::topic(MAIN).unwrap(),
            quarantine_topic: Template::topic(QUARANTINE).unwrap(),
            key: Template::key("{event}:{organization}").unwrap(),
            content_mode: ContentMode::Binary,
            redaction: Redaction::default(),
            signature_headers: false,
            instance: None,
        },
        kafka: KafkaSettings {
            brokers: bootstrap.to_owned(),
            properties: BTreeMap::from([("statistics.interval.ms".into(), "100".into())]),
            create_topics: false,
            partitions: 3,
            replication: 1,
            apps: vec!["default".to_owned()],
        },
        window: 1000,
        timings: Timings {
            stall: Duration::from_millis(500),
            held_retry: Duration::from_millis(300),
            backoff_first: Duration::from_millis(20),
            backoff_max: Duration::from_millis(200),
            repeat_log: Duration::from_millis(500),
            ..Timings::default()
        },
    }
}

/// The payload of the `n`th delivery: three organizations, so that keys and partitions mix.
pub fn payload(n: u64, size: usize) -> String {
    // Incompressible enough that a batch weighs what its records do.
    let mut seed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let noise: String = (0..size)
        .map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            char::from(b'!' + (seed % 90) as u8)
        })
        .map(|c| if c == '"' || c == '\\' { '~' } else { c })
        .collect();
    format!(
        r#"{{"event":"suspended","n":{n},"noise":"{noise}","installation":{{"id":"1","organization":{{"id":"org{}"}}}}}}"#,
        n % 3
    )
}

/// The journal's record of a proven delivery of `payload`.
pub fn delivery(payload: &str) -> Vec<u8> {
    use base64::Engine as _;
    let signed = base64::engine::general_purpose::STANDARD.encode(payload);
    let body = format!(r#"{{"signedData":"{signed}"}}"#);
    let token = Envelope::parse(body.as_bytes()).unwrap().token();
    let mut bytes = Vec::new();
    Delivery {
        id: Uuid::now_v7(),
        accepted_at: icr_now(),
        app: "default",
        secret_position: 0,
        signature: Signature::from_bytes([7; 32]),
        token,
        headers: Vec::new(),
        body: body.as_bytes(),
    }
    .encode(&mut bytes);
    bytes
}

fn icr_now() -> Millis {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Millis(now.as_millis() as u64)
}

/// A broker with both topics.
pub fn kafka() -> MockKafka {
    kafka_with(3)
}

/// A broker with both topics, the main one with so many partitions.
pub fn kafka_with(partitions: i32) -> MockKafka {
    MockKafka::start(&[
        MockTopic::new(MAIN, partitions),
        MockTopic::new(QUARANTINE, 1),
    ])
    .unwrap()
}

/// Reads `topic` until `count` different deliveries have been seen in it.
pub fn read(bootstrap: &str, topic: &str, count: usize) -> Vec<ConsumedRecord> {
    let mut reader = TopicReader::open(bootstrap, &[topic]).unwrap();
    let mut records: Vec<ConsumedRecord> = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    let started = Instant::now();
    while ids.len() < count {
        assert!(
            started.elapsed() < PATIENCE,
            "only {} of {count} in {topic}",
            ids.len()
        );
        if let Some(record) = reader.next(Duration::from_millis(200)).unwrap() {
            ids.insert(record.header("ce_id").unwrap().to_owned());
            records.push(record);
        }
    }
    records
}

/// The sequences of first occurrences, by key; each must rise.
pub fn assert_in_order(records: &[ConsumedRecord]) {
    let mut ids = std::collections::BTreeSet::new();
    let mut last: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for record in records {
        if !ids.insert(record.header("ce_id").unwrap()) {
            continue;
        }
        let sequence: u64 = record
            .header("ce_journalsequence")
            .unwrap()
            .parse()
            .unwrap();
        let key = record.key.clone().unwrap_or_default();
        if let Some(before) = last.insert(key, sequence) {
            assert!(before < sequence, "{sequence} came after {before}");
        }
    }
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "in vain waited until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
