//! A bridge of today on the journal of each version that was released: nothing is lost, nothing is published anew, and what was known is
//! known still.
//!
//! `RELEASE_JOURNAL=1 cargo test upgrade::` writes a journal of today into `tests/fixtures/journals`: part of cutting a release. What stands
//! there is never changed.

use crate::support::app::{NO_KAFKA, SECRET};
use crate::support::eventually::eventually;
use crate::support::http;
use crate::support::process::{Serving, run};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::mock_kafka::{MockKafka, MockTopic, TopicReader};
use icr_bridge::simulator::{Request, Simulator};
use icr_bridge::version::VERSION;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TOPICS: [&str; 2] = ["icr.webhooks", "icr.webhooks.quarantine"];

/// With which the deliveries of the rejected ring are signed.
const LATER_SECRET: &str = "a secret that the bridge did not know yet";

/// What stands in a released journal.
#[derive(Serialize, Deserialize)]
struct Released {
    /// Its list of deliveries, as `inspect --json` of that version gave it.
    inspected: Vec<Value>,
    /// Transactions among the published and the pending ones, as they came.
    transactions: Vec<Came>,
    /// Signed with [`LATER_SECRET`].
    rejected: Vec<Came>,
}

#[derive(Serialize, Deserialize)]
struct Came {
    signature: String,
    body: String,
}

impl Came {
    fn of(request: &Request) -> Self {
        Self {
            signature: request.signature.clone(),
            body: String::from_utf8(request.body.clone()).unwrap(),
        }
    }

    /// Delivers it; status and the word of the answer.
    fn deliver(&self, bridge: &Serving) -> (u16, String) {
        let headers = [("x-icr-signature-256", self.signature.as_str())];
        let body = self.body.as_bytes();
        let response = http::post(bridge.ingress, "/webhook", &headers, body);
        let word = response.json()["status"].as_str().unwrap_or("").to_owned();
        (response.status, word)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journals")
}

fn serve(journal: &Path, brokers: &str, more: &[(&str, &str)]) -> Serving {
    let mut settings = vec![
        ("KAFKA_BROKERS", brokers),
        ("JOURNAL_SEGMENT_BYTES", "64KiB"),
        // The journal's deliveries are never too old to be kept.
        ("JOURNAL_RETENTION_HOURS", "876000"),
    ];
    settings.extend_from_slice(more);
    Serving::start(journal, &settings)
}

fn simulator(secret: &str) -> Simulator {
    Simulator::new(SecretSet::single(secret.as_bytes()).unwrap(), 11, 4)
}

fn kafka() -> MockKafka {
    MockKafka::start(&TOPICS.map(|topic| MockTopic::new(topic, 2))).unwrap()
}

fn inspect(journal: &Path) -> Vec<Value> {
    let dir = journal.to_str().unwrap();
    let said = run(&["inspect", "--json", "--all"], &[("JOURNAL_DIR", dir)]);
    let text = String::from_utf8(said.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn pending(bridge: &Serving) -> f64 {
    bridge.metrics().value("journal_pending_deliveries")
}

/// Copies a folder with the rights that a journal has.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// Writes today's journal: published, quarantined, pending and rejected deliveries, over several segments, left by `kill -9`.
fn release(into: &Path) {
    let work = tempfile::tempdir().unwrap();
    let journal = work.path().join("journal");
    let (genuine, later) = (simulator(SECRET), simulator(LATER_SECRET));
    let kinds = [
        EventKind::Installed,
        EventKind::WarehouseTransaction,
        EventKind::OrganizationTransaction,
    ];
    let delivery = |number: u64| genuine.delivery(kinds[(number % 3) as usize], number);
    let deliver = |bridge: &Serving, request: &Request, status: u16| {
        let came = Came::of(request);
        assert_eq!(came.deliver(bridge).0, status);
        came
    };

    let kafka = kafka();
    let bridge = serve(&journal, kafka.bootstrap_servers(), &[]);
    let published = (0..60).map(|number| deliver(&bridge, &delivery(number), 202));
    let mut deliveries: Vec<Came> = published.collect();
    for number in 60..62 {
        deliver(&bridge, &genuine.unintelligible(number), 202);
    }
    eventually("they are published", || {
        (pending(&bridge) == 0.0).then_some(())
    });
    assert!(bridge.terminate().success());

    let bridge = serve(&journal, NO_KAFKA, &[]);
    deliveries.extend((62..80).map(|number| deliver(&bridge, &delivery(number), 202)));
    let rejected = (80..83).map(|number| {
        let request = later.delivery(EventKind::WarehouseTransaction, number);
        deliver(&bridge, &request, 403)
    });
    let rejected: Vec<Came> = rejected.collect();
    eventually("they are kept", || {
        let kept = bridge.metrics().value("rejected_ring_bytes");
        let on_disk = fs::metadata(journal.join("rejected/ring-1")).ok()?.len();
        (on_disk as f64 == kept && kept > 3.0 * 2048.0).then_some(())
    });
    bridge.kill();
    let released = Released {
        inspected: inspect(&journal),
        transactions: deliveries
            .into_iter()
            .filter(|came| came.body.contains("ransaction"))
            .collect(),
        rejected,
    };
    copy(&journal, &into.join("journal"));
    let text = serde_json::to_string_pretty(&released).unwrap();
    fs::write(into.join("released.json"), text + "\n").unwrap();
}

/// Of each delivery, what must never change, by its id.
fn lasting(inspected: &[Value]) -> BTreeMap<String, Vec<Value>> {
    const LASTING: [&str; 7] = [
        "sequence",
        "accepted_at",
        "app",
        "event",
        "organization",
        "installation",
        "transaction",
    ];
    let of = |one: &Value| LASTING.iter().map(|name| one[*name].clone()).collect();
    let id = |one: &Value| one["id"].as_str().unwrap().to_owned();
    inspected.iter().map(|one| (id(one), of(one))).collect()
}

fn with_outcome(inspected: &[Value], outcome: &str) -> Vec<String> {
    let those = inspected.iter().filter(|one| one["outcome"] == outcome);
    let mut ids: Vec<String> = those
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

/// The ids of so many records of the topic, and of no more.
fn records(kafka: &MockKafka, count: usize) -> Vec<String> {
    let mut reader = TopicReader::open(kafka.bootstrap_servers(), &TOPICS[..1]).unwrap();
    let mut ids = Vec::new();
    while let Some(record) = reader.next(Duration::from_secs(2)).unwrap() {
        ids.push(record.header("ce_id").unwrap().to_owned());
    }
    ids.sort();
    assert_eq!(ids.len(), count, "{ids:?}");
    ids
}

fn upgrade(from: &Path) {
    let text = fs::read_to_string(from.join("released.json")).unwrap();
    let released: Released = serde_json::from_str(&text).unwrap();
    let work = tempfile::tempdir().unwrap();
    let journal = work.path().join("journal");
    copy(&from.join("journal"), &journal);
    let dir = journal.to_str().unwrap();

    // Before anything is started.
    let verified = run(&["journal", "verify"], &[("JOURNAL_DIR", dir)]);
    assert!(verified.status.success(), "{verified:?}");
    let before = inspect(&journal);
    assert_eq!(lasting(&before), lasting(&released.inspected));
    for outcome in ["pending", "published", "quarantined"] {
        let then = with_outcome(&released.inspected, outcome);
        assert!(!then.is_empty(), "{outcome}");
        assert_eq!(with_outcome(&before, outcome), then, "{outcome}");
    }

    // What was pending is published, and nothing else, with the ids that were given then.
    let kafka = kafka();
    let secret = work.path().join("secret");
    fs::write(&secret, SECRET).unwrap();
    let file = [("WEBHOOK_SECRET_FILE", secret.to_str().unwrap())];
    let bridge = serve(&journal, kafka.bootstrap_servers(), &file);
    eventually("what was pending is published", || {
        (pending(&bridge) == 0.0).then_some(())
    });
    let waited = with_outcome(&released.inspected, "pending");
    assert_eq!(records(&kafka, waited.len()), waited);
    let metrics = bridge.metrics();
    assert_eq!(metrics.value("unaccounted_deliveries"), 0.0);
    assert_eq!(metrics.value("journal_damaged_segments"), 0.0);
    assert!(metrics.value("last_accepted_timestamp_seconds{app=\"default\"}") > 1e9);

    // Repeats are known still.
    for came in released.transactions {
        assert_eq!(came.deliver(&bridge), (202, "duplicate".to_owned()));
    }

    // What was rejected is proven with the secret that comes later.
    fs::write(&secret, format!("{LATER_SECRET}\n{SECRET}\n")).unwrap();
    eventually("the rejected ones are published", || {
        let metrics = bridge.metrics();
        let published = metrics.sum("records_published_total");
        let reverified = metrics.value("deliveries_reverified_total");
        let all = waited.len() + released.rejected.len();
        (reverified == released.rejected.len() as f64 && published == all as f64).then_some(())
    });
    assert!(bridge.terminate().success());
    let verified = run(&["journal", "verify"], &[("JOURNAL_DIR", dir)]);
    assert!(verified.status.success(), "{verified:?}");
    let after = inspect(&journal);
    assert_eq!(with_outcome(&after, "pending"), Vec::<String>::new());
    let all = released.inspected.len() + released.rejected.len();
    assert_eq!(after.len(), all);
}

#[test]
fn a_journal_of_every_released_version_is_taken_over_whole() {
    let today = folder().join(VERSION);
    if std::env::var_os("RELEASE_JOURNAL").is_some_and(|value| value == "1") {
        assert!(
            !today.exists(),
            "{VERSION} is released: its journal is what it is"
        );
        release(&today);
    }
    let versions = fs::read_dir(folder()).unwrap();
    let count = versions.map(|version| upgrade(&version.unwrap().path()));
    assert!(count.count() > 0);
}

/// So that a release finds no surprise.
#[test]
fn a_journal_of_today_can_be_released() {
    let today = tempfile::tempdir().unwrap();
    release(today.path());
    upgrade(today.path());
}
