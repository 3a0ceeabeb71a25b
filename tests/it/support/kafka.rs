//! A real Kafka, seen from a test: topics of its own, everything that stands in them, and a broker to break.
//!
//! `tests/run kafka` starts the broker that [`RealKafka::from_env`] finds. Tests share it, so each makes topics
//! with names of its own ([`unique`]); a test that stops, kills or pauses Kafka starts an [`OwnBroker`].

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long one question to the broker may take; a machine that builds at the same time is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// The user, and its password, that the SASL listener knows (PLAIN and SCRAM-SHA-256).
pub const SASL_USER: (&str, &str) = ("bridge", "bridge-secret");

/// A broker that somebody else started.
#[derive(Clone, Debug)]
pub struct RealKafka {
    /// The listener without authentication: its clients may do anything.
    pub bootstrap: String,
    /// The listener that wants [`SASL_USER`] and obeys the ACLs; none where the broker is not of our making.
    pub sasl_bootstrap: Option<String>,
    container: Option<String>,
}

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

/// A topic name that no other test uses, now or in another run against the same broker.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{nanos:x}-{}-{number}", std::process::id())
}

impl RealKafka {
    /// The broker that `KAFKA_BOOTSTRAP` names. Where it is unset the caller must return at once: the test counts as skipped.
    ///
    /// # Panics
    /// Where `CI` is `true` and no broker is named: nobody would read that a test was skipped.
    pub fn from_env() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(bootstrap) = variable("KAFKA_BOOTSTRAP") else {
            skip("KAFKA_BOOTSTRAP is not set; `tests/run kafka` starts a broker");
            return None;
        };
        Some(Self {
            bootstrap,
            sasl_bootstrap: variable("KAFKA_SASL_BOOTSTRAP"),
            container: variable("KAFKA_CONTAINER"),
        })
    }

    /// Client properties for the listener without authentication.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// Client properties for [`SASL_USER`] with PLAIN, whom [`RealKafka::deny`] is about.
    pub fn sasl_client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in self.sasl_properties() {
            config.set(name, value);
        }
        config
    }

    /// The same as `(name, value)`, for a bridge's own configuration.
    pub fn sasl_properties(&self) -> [(&'static str, String); 5] {
        let address = self.sasl_bootstrap.clone();
        [
            (
                "bootstrap.servers",
                address.expect("this test needs a broker of ours: KAFKA_SASL_BOOTSTRAP"),
            ),
            ("security.protocol", "SASL_PLAINTEXT".into()),
            ("sasl.mechanism", "PLAIN".into()),
            ("sasl.username", SASL_USER.0.into()),
            ("sasl.password", SASL_USER.1.into()),
        ]
    }

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

    /// Takes [`SASL_USER`] the right to write to a topic that it still sees.
    pub fn deny(&self, topic: &str) {
        self.run_admin(&[
            "acl",
            "--add",
            "--deny-principal",
            PRINCIPAL,
            "--operation",
            "Write",
            "--topic",
            topic,
        ]);
        // A topic with any ACL is closed to all whom none of them allows, so seeing it has to be said.
        self.run_admin(&[
            "acl",
            "--add",
            "--allow-principal",
            "User:*",
            "--operation",
            "Describe",
            "--topic",
            topic,
        ]);
    }

    /// Takes [`SASL_USER`] every right to a topic, that of seeing it included.
    pub fn hide(&self, topic: &str) {
        self.run_admin(&[
            "acl",
            "--add",
            "--deny-principal",
            PRINCIPAL,
            "--operation",
            "All",
            "--topic",
            topic,
        ]);
    }

    /// Ends [`RealKafka::deny`] and [`RealKafka::hide`].
    pub fn grant(&self, topic: &str) {
        self.run_admin(&["acl", "--remove", "--force", "--topic", topic]);
    }

    fn run_admin(&self, arguments: &[&str]) -> String {
        let mut command = script("admin");
        command
            .args(arguments)
            .env("KAFKA_BOOTSTRAP", &self.bootstrap);
        match &self.container {
            Some(container) => command.env("KAFKA_CONTAINER", container),
            None => command.env_remove("KAFKA_CONTAINER"),
        };
        run(command)
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }

    fn consumer(&self) -> BaseConsumer {
        let mut config = self.client();
        // Assigning wants a group's name; the group is never joined and nothing is committed.
        config
            .set("group.id", "probe")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "false");
        config.create().expect("a consumer")
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

const PRINCIPAL: &str = "User:bridge";

/// A broker of one test's own, which it may stop, kill, pause and start again. Gone with its data when dropped.
pub struct OwnBroker {
    kafka: RealKafka,
    folder: PathBuf,
}

impl Deref for OwnBroker {
    type Target = RealKafka;

    fn deref(&self) -> &RealKafka {
        &self.kafka
    }
}

impl OwnBroker {
    /// Starts one; takes some 3 s and 300 MB.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with further properties, `["message.max.bytes=2000"]` and the like.
    pub fn start_with(properties: &[&str]) -> Self {
        let parent =
            std::env::var("KAFKA_WORK").unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
        Self::start_in(Path::new(&parent), properties)
    }

    /// The same with options for its Java.
    pub fn start_with_java(options: &str, properties: &[String]) -> Self {
        let parent =
            std::env::var("KAFKA_WORK").unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
        let folder = Path::new(&parent).join(unique("broker"));
        let mut command = script("start");
        command
            .arg(&folder)
            .args(properties)
            .env("KAFKA_OPTS", options);
        Self::started(folder, command)
    }

    /// The same with its folder in this one.
    pub fn start_in(parent: &Path, properties: &[&str]) -> Self {
        let folder = parent.join(unique("broker"));
        let mut command = script("start");
        command.arg(&folder).args(properties);
        Self::started(folder, command)
    }

    /// Starts the second broker of this one's cluster, with its folder beside. None where brokers run in containers: they do not see each other.
    pub fn join(&self) -> Option<Self> {
        self.join_as(2, &[])
    }

    /// The same with a node's id of its own and further properties.
    pub fn join_as(&self, node: u32, properties: &[&str]) -> Option<Self> {
        if self.in_container() {
            return None;
        }
        let folder = self.folder.with_file_name(unique("broker"));
        let mut command = script("start");
        command
            .arg(&folder)
            .args(properties)
            .env("KAFKA_JOIN", &self.folder)
            .env("KAFKA_NODE", node.to_string());
        Some(Self::started(folder, command))
    }

    /// Whether it runs in a container, out of which only its two ordinary listeners lead.
    pub fn in_container(&self) -> bool {
        self.kafka.container.is_some()
    }

    /// Adds properties, which count from the next start on.
    pub fn configure(&self, properties: &[String]) {
        let path = self.folder.join("config/server.properties");
        let mut text = std::fs::read_to_string(&path).unwrap();
        for property in properties {
            writeln!(text, "{property}").unwrap();
        }
        std::fs::write(path, text).unwrap();
    }

    fn started(folder: PathBuf, command: Command) -> Self {
        // From here on a panic must not leave the process behind.
        let mut broker = Self {
            kafka: RealKafka {
                bootstrap: String::new(),
                sasl_bootstrap: None,
                container: None,
            },
            folder,
        };
        let said = run(command);
        let line = |name: &str| {
            let lines = said.lines();
            lines
                .filter_map(|line| line.split_once('='))
                .find(|(found, _)| *found == name)
                .map(|(_, it)| it.to_owned())
        };
        broker.kafka = RealKafka {
            bootstrap: line("KAFKA_BOOTSTRAP").expect("KAFKA_BOOTSTRAP"),
            sasl_bootstrap: line("KAFKA_SASL_BOOTSTRAP"),
            container: line("KAFKA_CONTAINER"),
        };
        broker
    }

    /// Stops it in order, and waits until it is gone.
    pub fn stop(&self) {
        self.end("--stop");
    }

    /// Stops it in order and starts it again.
    pub fn roll(&self) {
        self.stop();
        self.restart();
    }

    /// `kill -9`. The next start takes some 5 s, since the broker's old session must run out.
    pub fn kill(&self) {
        self.end("--kill");
    }

    /// Its connections stay, and it answers nothing.
    pub fn pause(&self) {
        self.end("--pause");
    }

    /// The end of [`OwnBroker::pause`].
    pub fn resume(&self) {
        self.end("--resume");
    }

    /// Starts it again after [`OwnBroker::stop`] or [`OwnBroker::kill`]: same ports, same data.
    pub fn restart(&self) {
        let mut command = script("start");
        command.arg(&self.folder);
        run(command);
    }

    /// The same with another property, from now on.
    pub fn restart_with(&self, property: &str) {
        let file = self.folder.join("config/server.properties");
        let properties = std::fs::read_to_string(&file).unwrap();
        // Of a property that stands there twice the last counts.
        std::fs::write(&file, format!("{properties}\n{property}\n")).unwrap();
        self.restart();
    }

    fn end(&self, how: &str) {
        let mut command = script("stop");
        command.arg(&self.folder).arg(how);
        run(command);
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        let mut command = script("stop");
        // Nothing to report to: a broker that does not go is seen by tests/run, which ends all of them.
        let _ = command.arg(&self.folder).arg("--remove").output();
    }
}

/// Says that this test did not run, past the test runner's capture, in the form that tests/run counts.
///
/// # Panics
/// Where `CI` is `true`.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test").to_owned();
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "skipped, which CI does not allow: {why}"
    );
    let mut line = String::new();
    writeln!(line, "\nSKIPPED {test}: {why}").unwrap();
    let _ = std::io::stderr().write_all(line.as_bytes());
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

fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn script(name: &str) -> Command {
    Command::new(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/kafka")
            .join(name),
    )
}

fn run(mut command: Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("bash");
    assert!(
        status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&stderr)
    );
    String::from_utf8_lossy(&stdout).into_owned()
}
