//! The bridge of the demo: the real one, on free ports and a temporary journal, in a thread of its own.

use super::Error;
use crate::app::{Bridge, Listeners};
use crate::config::Config;
use crate::domain::signature::SecretSet;
use crate::journal::Ledger;
use crate::journal::storage::Disk;
use crate::journal::view::View;
use crate::shutdown::Signals;
use crate::simulator::{Request, Simulator};
use crate::telemetry;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// How many organizations have installed the app in the demo's story.
pub(super) const ORGANIZATIONS: u64 = 3;

/// How long the bridge may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct DemoBridge {
    pub(super) ingress: SocketAddr,
    pub(super) admin: SocketAddr,
    secrets: SecretSet,
    journal: TempDir,
    http: ureq::Agent,
    interrupted: Arc<AtomicBool>,
    leave: mpsc::UnboundedSender<()>,
    thread: JoinHandle<()>,
}

/// What the bridge answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `accepted` or `duplicate`; for an error the problem's reason.
    pub(super) word: String,
    pub(super) id: Option<String>,
}

impl Answer {
    /// The id of a delivery that was stored just now, and whose record must arrive.
    pub(super) fn stored_id(&self) -> Option<&str> {
        self.id.as_deref().filter(|_| self.word == "accepted")
    }
}

impl DemoBridge {
    pub(super) fn start(bootstrap_servers: &str) -> Result<Self, Error> {
        let secret = format!("demo {}", Uuid::now_v7());
        let secrets = SecretSet::single(secret.as_bytes())?;
        let journal = tempfile::Builder::new()
            .prefix("icr-bridge-demo-")
            .tempdir()?;
        let variables = [
            ("WEBHOOK_SECRET", secret.as_str()),
            ("JOURNAL_DIR", &journal.path().to_string_lossy()),
            ("JOURNAL_SEGMENT_BYTES", "4MiB"),
            ("KAFKA_BROKERS", bootstrap_servers),
            ("LISTEN", "127.0.0.1:0"),
            ("ADMIN_LISTEN", "127.0.0.1:0"),
            ("WORKERS", "1"),
        ];
        let variables = variables.map(|(name, value)| {
            (
                OsString::from(format!("ICR_BRIDGE_{name}")),
                OsString::from(value),
            )
        });
        let config = Config::read(variables.into())?;
        telemetry::start(&crate::config::Log {
            directives: "error".to_owned(),
            json: false,
        });
        let listeners = Listeners::bind(&config)?;
        let (ingress, admin) = (
            listeners.ingress.local_addr()?,
            listeners.admin.local_addr()?,
        );
        let interrupted = Arc::new(AtomicBool::new(false));
        let (leave, left) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("bridge".to_owned())
            .spawn({
                let interrupted = Arc::clone(&interrupted);
                move || {
                    actix_web::rt::System::new().block_on(serve(
                        config,
                        listeners,
                        ready,
                        left,
                        interrupted,
                    ))
                }
            })?;
        started.blocking_recv()??;
        let http = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        Ok(Self {
            ingress,
            admin,
            secrets,
            journal,
            http,
            interrupted,
            leave,
            thread,
        })
    }

    /// Becomes true with Ctrl-C.
    pub(super) fn interrupted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupted)
    }

    /// ICR, as far as this bridge can tell.
    pub(super) fn simulator(&self) -> Simulator {
        Simulator::new(
            self.secrets.clone(),
            ORGANIZATIONS,
            u64::from(std::process::id()),
        )
    }

    pub(super) fn deliver(&self, request: &Request) -> Result<Answer, Error> {
        let mut response = self
            .http
            .post(format!("http://{}/webhook", self.ingress))
            .header("content-type", "application/json")
            .header("x-icr-signature-256", &request.signature)
            .send(&request.body[..])?;
        let status = response.status().as_u16();
        let body: serde_json::Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
        let text = |member: &str| {
            body.get(member)
                .and_then(|value| value.as_str())
                .map(str::to_owned)
        };
        let reason =
            text("type").map(|kind| kind.rsplit(':').next().unwrap_or_default().to_owned());
        Ok(Answer {
            status,
            word: text("status").or(reason).unwrap_or_default(),
            id: text("id"),
        })
    }

    /// What `/metrics` says.
    pub(super) fn metrics(&self) -> Result<String, Error> {
        Ok(self
            .http
            .get(format!("http://{}/metrics", self.admin))
            .call()?
            .body_mut()
            .read_to_string()?)
    }

    /// Leaves in order; the ledger as the journal's files tell it afterwards. The journal is removed.
    pub(super) fn stop(self) -> Result<Ledger, Error> {
        self.leave.send(())?;
        if self.thread.join().is_err() {
            return Err("the bridge ended in a panic".into());
        }
        let ledger = View::open(Arc::new(Disk), self.journal.path())?.ledger()?;
        Ok(ledger)
    }
}

/// Runs until it is told to leave; Ctrl-C only raises the flag, so that the summary is still printed.
async fn serve(
    config: Config,
    listeners: Listeners,
    ready: oneshot::Sender<Result<(), crate::app::StartError>>,
    mut leave: mpsc::UnboundedReceiver<()>,
    interrupted: Arc<AtomicBool>,
) {
    let started = Signals::new()
        .map_err(Into::into)
        .and_then(|signals| Ok((signals, Bridge::start(config, listeners)?)));
    let (mut signals, bridge) = match started {
        Ok(started) => started,
        Err(error) => {
            drop(ready.send(Err(error)));
            return;
        }
    };
    drop(ready.send(Ok(())));
    loop {
        tokio::select! {
            _ = leave.recv() => break,
            _ = signals.leave(|| {}) => interrupted.store(true, Ordering::Release),
        }
    }
    bridge.stop().await;
}
