//! A real Kafka, seen from a test: topics of its own, everything that stands in them, and a broker to break.
//!
//! `tests/run kafka` starts the broker that [`RealKafka::from_env`] finds. Tests share it, so each makes topics
//! with names of its own ([`unique`]); a test that stops, kills or pauses Kafka starts an [`OwnBroker`].

mod own_broker;
mod records;
mod rights;
mod topics;

pub use own_broker::OwnBroker;
pub use records::OwnedRecord;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;

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

    fn consumer(&self) -> BaseConsumer {
        let mut config = self.client();
        // Assigning wants a group's name; the group is never joined and nothing is committed.
        config
            .set("group.id", "probe")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "false");
        config.create().expect("a consumer")
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
