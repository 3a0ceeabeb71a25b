//! `inspect`, as an operator sees it: beside a running bridge, on what a bridge has left, and on copies of it.

mod detail;
mod follow;
mod list;
mod masking;
mod speed;
mod trouble;

use crate::support::app::{NO_KAFKA, SECRET, TestApp};
use crate::support::eventually::eventually;
use crate::support::process::run;
use icr_bridge::domain::event::EventKind;
use icr_bridge::journal::storage::Disk;
use icr_bridge::journal::{Journal, Observer, Options};
use icr_bridge::mock_kafka::{MockKafka, MockTopic};
use icr_bridge::simulator::{Request, Simulator};
use rdkafka::types::RDKafkaApiKey::Produce;
use rdkafka::types::RDKafkaRespErr as E;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tempfile::TempDir;

pub const MAIN: &str = "icr.webhooks";
pub const QUARANTINE: &str = "icr.webhooks.quarantine";

/// Who sends what the stage delivers.
pub const EMAIL: &str = "jane.roe@example.org";
pub const NAME: &str = "Jane Roe";
pub const PICTURE: &str = "https://pictures.test/jane.png";

/// A payload of an organization, sent by Jane Roe.
pub fn payload(event: &str, organization: &str) -> Value {
    json!({
        "event": event,
        "state": "",
        "installation": {
            "id": format!("installation of {organization}"),
            "organization": { "id": organization, "name": format!("Organization {organization}") },
        },
        "sender": { "id": "person-1", "email": EMAIL, "fullName": NAME, "profilePicture": PICTURE },
    })
}

/// A broker within the process, with both topics.
pub fn kafka() -> MockKafka {
    MockKafka::start(&[MockTopic::new(MAIN, 3), MockTopic::new(QUARANTINE, 1)]).unwrap()
}

/// Delivers, and gives the id that the sender is told.
pub fn accepted(app: &TestApp, path: &str, request: &Request) -> String {
    let response = app.deliver_to(path, request);
    assert_eq!(response.status, 202);
    let answer = response.json();
    assert_eq!(answer["status"], "accepted");
    answer["id"].as_str().unwrap().to_owned()
}

/// Until everything that was accepted has an outcome.
pub fn until_settled(app: &TestApp) {
    eventually("everything has an outcome", || {
        (app.metrics().value("journal_pending_deliveries") == 0.0).then_some(())
    });
}

/// A journal with a delivery of every fate, and the ids of all.
pub struct Stage {
    dir: TempDir,
    pub played: &'static Played,
}

/// What was played, once for all tests: the journal's files and the ids.
pub struct Played {
    files: Vec<(PathBuf, Vec<u8>)>,
    /// `installed` of org1, in the topic.
    pub installed: String,
    /// `organizationTransaction` of org2, in the topic.
    pub transaction: String,
    /// `installed` of org1 of the app `sandbox`, in the topic.
    pub sandbox: String,
    /// `projectValidated`, an event that nobody knows, in the topic.
    pub unknown_event: String,
    /// No JSON, with an e-mail address in it: in quarantine.
    pub no_json: String,
    /// JSON without an event: in quarantine.
    pub no_event: String,
    /// `suspended` of org1, which no topic takes.
    pub held: String,
    /// `unsuspended` of org2, delivered without Kafka.
    pub pending: String,
}

/// So that `stage.held` is read as it is meant.
impl std::ops::Deref for Stage {
    type Target = Played;

    fn deref(&self) -> &Played {
        self.played
    }
}

impl Played {
    /// Plays everything, and stops the bridge.
    fn play() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        let secrets = dir.path().join("secrets");
        std::fs::write(&secrets, SECRET).unwrap();
        let apps = format!("sandbox={}", secrets.display());
        let kafka = kafka();
        let with = |brokers| {
            let settings = [
                ("KAFKA_BROKERS", brokers),
                ("WEBHOOK_SECRET", SECRET),
                ("APP_SECRET_FILES", apps.as_str()),
                ("KAFKA_SHARED_TOPIC", "true"),
            ];
            TestApp::on(&journal, &settings).unwrap()
        };
        let app = with(kafka.bootstrap_servers());
        let simulator = app.simulator();
        let sign = |event, organization| simulator.sign(&payload(event, organization));
        let installed = accepted(&app, "/webhook", &sign("installed", "org1"));
        let transaction = accepted(&app, "/webhook", &simulator.sign(&transaction("org2")));
        let sandbox = accepted(&app, "/webhook/sandbox", &sign("installed", "org1"));
        let unknown_event = accepted(&app, "/webhook", &sign("projectValidated", "org3"));
        let no_json = format!("{NAME} <{EMAIL}> wrote this, which is no JSON");
        let no_json =
            simulator.sign_text(no_json.as_bytes(), json!({ "sender": { "email": EMAIL } }));
        let no_json = accepted(&app, "/webhook", &no_json);
        let mut eventless = payload("", "org1");
        eventless.as_object_mut().unwrap().remove("event");
        let no_event = accepted(&app, "/webhook", &simulator.sign(&eventless));
        until_settled(&app);
        // In its batch, alone, and as a quarantine record alone.
        let refusals = [E::RD_KAFKA_RESP_ERR_INVALID_RECORD; 3];
        kafka.with(move |cluster| cluster.request_errors(Produce, &refusals));
        let held = accepted(&app, "/webhook", &sign("suspended", "org1"));
        until_settled(&app);
        app.stop();
        let app = with(NO_KAFKA);
        let pending = accepted(&app, "/webhook", &sign("unsuspended", "org2"));
        app.stop();
        let mut files = contents(&journal);
        files.retain(|(path, _)| !path.to_string_lossy().contains("spare-"));
        for (path, _) in &mut files {
            *path = path.strip_prefix(&journal).unwrap().to_owned();
        }
        Self {
            files,
            installed,
            transaction,
            sandbox,
            unknown_event,
            no_json,
            no_event,
            held,
            pending,
        }
    }
}

impl Stage {
    /// A folder of its own with all of it.
    pub fn played() -> Self {
        static PLAYED: LazyLock<Played> = LazyLock::new(Played::play);
        let stage = Self {
            dir: tempfile::tempdir().unwrap(),
            played: &PLAYED,
        };
        for (path, bytes) in &stage.played.files {
            let path = stage.journal().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        stage
    }

    pub fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    pub fn inspect(&self, arguments: &[&str]) -> Output {
        inspect(&self.journal(), arguments)
    }

    /// All ids, in the order of acceptance.
    pub fn ids(&self) -> Vec<&str> {
        vec![
            &self.installed,
            &self.transaction,
            &self.sandbox,
            &self.unknown_event,
            &self.no_json,
            &self.no_event,
            &self.held,
            &self.pending,
        ]
    }
}

/// Names and contents of all files in a folder and the folders in it.
pub fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    files.sort();
    files
}

fn transaction(organization: &str) -> Value {
    let mut payload = payload("organizationTransaction", organization);
    payload["transaction"] =
        json!({ "id": "t-1", "status": "processed", "type": "retire", "amount": 2.50 });
    payload
}

pub fn inspect(journal: &Path, arguments: &[&str]) -> Output {
    let arguments = [&["inspect"], arguments].concat();
    run(&arguments, &[("JOURNAL_DIR", journal.to_str().unwrap())])
}

/// What a command printed; it must have ended with 0.
pub fn printed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", told(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The objects of `--json`.
pub fn objects(output: &Output) -> Vec<Value> {
    let lines = printed(output);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The ids of `--json`, in their order.
pub fn ids(output: &Output) -> Vec<String> {
    let objects = objects(output);
    let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
    objects.iter().map(id).collect()
}

/// The journal, as a bridge would open it.
pub fn open(dir: &Path) -> Journal {
    struct Quiet;
    impl Observer for Quiet {}
    let options = Options {
        dir: dir.to_owned(),
        segment_bytes: 64 << 20,
        spare_segments: 0,
        queue: 4096,
        retention_age: Duration::from_secs(1 << 30),
        retention_bytes: 1 << 40,
        low_water_bytes: 0,
    };
    Journal::open(Arc::new(Disk), options, Arc::new(Quiet)).unwrap()
}

/// Transactions of five organizations.
pub fn deliver(app: &TestApp, simulator: &Simulator, numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers
        .map(|number| {
            let request = simulator.delivery(EventKind::OrganizationTransaction, number);
            accepted(app, "/webhook", &request)
        })
        .collect()
}
