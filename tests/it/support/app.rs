//! A bridge in this process: real HTTP, a real journal, and whatever Kafka the test gives it.

use super::http::{self, Response};
use super::metrics::Scrape;
use icr_bridge::app::{Bridge, Listeners};
use icr_bridge::config::{Config, ConfigError};
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::journal::Ledger;
use icr_bridge::journal::storage::Disk;
use icr_bridge::journal::view::View;
use icr_bridge::simulator::{Request, Simulator};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// The secret of a bridge that a test doesn't care to name.
pub const SECRET: &str = "It's a Secret to Everybody";

/// An address at which no broker will ever be.
pub const NO_KAFKA: &str = "127.0.0.1:1";

/// Variables as the bridge reads them, the prefix added.
pub fn variables(settings: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    settings
        .iter()
        .map(|(name, value)| {
            (
                OsString::from(format!("ICR_BRIDGE_{name}")),
                OsString::from(value),
            )
        })
        .collect()
}

pub struct TestApp {
    pub ingress: SocketAddr,
    pub admin: SocketAddr,
    dir: Option<TempDir>,
    journal: PathBuf,
    leave: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestApp {
    /// Starts on a fresh journal. `settings` come on top of a default secret, free ports and no Kafka.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::try_start(settings)
            .unwrap_or_else(|error| panic!("the bridge does not start: {error}"))
    }

    pub fn try_start(settings: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        let mut app = Self::on(&journal, settings)?;
        app.dir = Some(dir);
        Ok(app)
    }

    /// Starts on a given journal.
    pub fn on(journal: &Path, settings: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let journal_text = journal.to_str().unwrap();
        let mut all = vec![
            ("KAFKA_BROKERS", NO_KAFKA),
            ("LISTEN", "127.0.0.1:0"),
            ("ADMIN_LISTEN", "127.0.0.1:0"),
            ("WORKERS", "2"),
            ("JOURNAL_DIR", journal_text),
            ("JOURNAL_SEGMENT_BYTES", "4MiB"),
            ("JOURNAL_LOW_WATER_BYTES", "1MiB"),
        ];
        let names_secret = |(name, _): &(&str, &str)| name.contains("SECRET");
        if !settings.iter().any(names_secret) {
            all.push(("WEBHOOK_SECRET", SECRET));
        }
        all.retain(|(name, _)| !settings.iter().any(|(other, _)| other == name));
        all.extend_from_slice(settings);
        let config = Config::read(variables(&all))?;
        let listeners = Listeners::bind(&config).unwrap();
        let (ingress, admin) = (
            listeners.ingress.local_addr().unwrap(),
            listeners.admin.local_addr().unwrap(),
        );
        let (leave, left) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let bridge = Bridge::start(config, listeners).unwrap();
                ready.send(()).unwrap();
                let _ = left.await;
                bridge.stop().await;
            });
        });
        started.blocking_recv().expect("the bridge starts");
        Ok(Self {
            ingress,
            admin,
            dir: None,
            journal: journal.to_owned(),
            leave: Some(leave),
            thread: Some(thread),
        })
    }

    pub fn simulator(&self) -> Simulator {
        Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 5, 1)
    }

    pub fn deliver(&self, request: &Request) -> Response {
        self.deliver_to("/webhook", request)
    }

    pub fn deliver_to(&self, path: &str, request: &Request) -> Response {
        http::post(
            self.ingress,
            path,
            &[("x-icr-signature-256", &request.signature)],
            &request.body,
        )
    }

    pub fn metrics(&self) -> Scrape {
        Scrape::of(self.admin)
    }

    pub fn ledger(&self) -> Ledger {
        View::open(Arc::new(Disk), &self.journal)
            .unwrap()
            .ledger()
            .unwrap()
    }

    /// Stops in order and says how the ledger stands then. The journal's folder goes with `self`.
    pub fn stop(mut self) -> Ledger {
        self.end();
        self.ledger()
    }

    fn end(&mut self) {
        if let Some(leave) = self.leave.take() {
            let _ = leave.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the bridge ended in a panic");
        }
    }
}

impl Drop for TestApp {
    /// Nothing may be left unexplained, whatever the test did.
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            return;
        }
        let ledger = self.ledger();
        let explained = ledger.published
            + ledger.quarantined
            + ledger.held
            + ledger.pending
            + ledger.written_off;
        assert_eq!(
            ledger.accepted, explained,
            "accepted = published + quarantined + held + pending: {ledger:?}"
        );
    }
}
