//! The use case: a delivery's way from its bytes to a receipt.
//!
//! verify → recognise a repeat → append to the journal → wait for the sync → receipt. A receipt is given only for what is on stable
//! storage. Deciding whether a delivery is a repeat and taking its place in the journal are one critical section, so that of two
//! concurrent twins one is stored and the other waits for it and shares its outcome.
//!
//! What is rejected for its signature alone is offered to the ring of rejected deliveries, and takes the same way from there once a
//! secret proves it (`reverify`).

mod counted;
mod gate;
mod ids;
mod last_accepted;
mod notice;
pub mod reverify;

use crate::config::App;
use crate::domain::delivery::{Delivery, Millis};
use crate::domain::duplicate::Sighting;
use crate::domain::envelope::Envelope;
use crate::domain::glance::{Glance, Named, glance};
use crate::domain::normalize::{Redaction, normalize};
use crate::domain::reasons::{Refusal, Rejection};
use crate::domain::signature::{SecretSet, Signature, Verified, verify};
use crate::domain::tag::Tag;
use crate::journal::{Append, AppendError, Journal};
use crate::metrics::{AppMetrics, Metrics};
use crate::rejected::{Peer, Rejected, Ring};
use crate::throttle::Throttle;
use counted::{Came, Shared};
use gate::{Gate, Outcome};
use notice::{Misdirected, Notices};
use parking_lot::{Mutex, MutexGuard, RwLock};
pub use reverify::{Reverified, Reverifier};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Proof that a delivery is safe: what the sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// It is on stable storage under this id.
    Accepted(Uuid),
    /// It was there already, under this id.
    Duplicate(Uuid),
}

/// Why there is no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// Unproven.
    #[error("rejected: {0}")]
    Rejected(#[from] Rejection),
    /// Proven, and could not be stored.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
}

/// A delivery as HTTP hands it over: read completely and inflated.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The values of all signature headers.
    pub signatures: &'a [&'a [u8]],
    /// Headers worth keeping (lowercase name, value).
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body.
    pub body: &'a [u8],
    /// The other end of the connection.
    pub peer: Option<IpAddr>,
}

/// Takes deliveries. Shared by all workers.
pub struct Ingest {
    journal: Journal,
    gate: Arc<Mutex<Gate>>,
    apps: BTreeMap<String, Arc<AppState>>,
    shared: Arc<Shared>,
    misdirected: Misdirected,
    throttle: Throttle,
    /// Where rejected deliveries are kept; `None`: they are not.
    ring: Option<Arc<Ring>>,
    bell: reverify::Bell,
}

/// What ingress holds of an app.
pub struct AppState {
    name: String,
    secrets: RwLock<Arc<SecretSet>>,
    metrics: Arc<AppMetrics>,
    notices: Notices,
    /// When the latest delivery was accepted, in milliseconds since 1970; 0 while there is none.
    last_accepted: AtomicU64,
}

impl AppState {
    fn secrets(&self) -> Arc<SecretSet> {
        Arc::clone(&self.secrets.read())
    }

    /// A delivery was accepted at this time; the latest counts.
    fn accepted_at(&self, at: Millis) {
        let before = self.last_accepted.fetch_max(at.0, Ordering::Relaxed);
        self.metrics.last_accepted(at.max(Millis(before)));
    }

    fn last_accepted(&self) -> Option<Millis> {
        match self.last_accepted.load(Ordering::Relaxed) {
            0 => None,
            at => Some(Millis(at)),
        }
    }
}

impl Ingest {
    /// Opens the door: the duplicate window, the last id and the time of each app's last delivery are rebuilt from the journal.
    pub fn new(
        journal: Journal,
        apps: &[App],
        duplicate_window: usize,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let throttle = Throttle::default();
        let apps: BTreeMap<String, Arc<AppState>> = apps
            .iter()
            .map(|app| {
                let state = AppState {
                    name: app.name.clone(),
                    secrets: RwLock::new(Arc::new(app.secrets.clone())),
                    metrics: metrics.app(&app.name),
                    notices: Notices::new(&app.name, &throttle),
                    last_accepted: AtomicU64::new(0),
                };
                (app.name.clone(), Arc::new(state))
            })
            .collect();
        let gate = Gate::restore(&journal, duplicate_window, |tag| {
            if let Some(app) = apps
                .values()
                .find(|app| Tag::app_hash(&app.name) == tag.app)
            {
                app.accepted_at(tag.accepted_at);
            }
        })?;
        journal.keep_memo(last_accepted::restore(&journal.memo(), &apps, wall_clock()));
        Ok(Self {
            journal,
            gate: Arc::new(Mutex::new(gate)),
            apps,
            shared: Arc::new(Shared { metrics }),
            misdirected: Misdirected::new(&throttle),
            throttle,
            ring: None,
            bell: reverify::Bell::default(),
        })
    }

    /// From now on rejected deliveries go to this ring, if there is one.
    pub fn with_ring(self, ring: Option<Arc<Ring>>) -> Self {
        Self { ring, ..self }
    }

    /// The app with this name, if its path is open.
    pub fn app(&self, name: &str) -> Option<&Arc<AppState>> {
        self.apps.get(name)
    }

    /// Puts other secrets of an app in force, for every delivery from now on, and has what was rejected judged again.
    pub fn replace_secrets(&self, app: &str, secrets: &SecretSet) {
        if let Some(app) = self.app(app) {
            *app.secrets.write() = Arc::new(secrets.clone());
            self.bell.ring();
        }
    }

    /// Ends the ring of rejected deliveries, in order: what waits is stored.
    pub fn close(&self) {
        if let Some(ring) = &self.ring {
            ring.close();
        }
    }

    /// Logs what the throttled lines have held back so far.
    pub fn flush_log(&self) {
        self.throttle.flush();
    }

    /// Counts and tells a delivery that is turned away.
    pub fn rejected(&self, app: &AppState, reason: Rejection) {
        app.metrics.rejected(reason);
        app.notices.rejected(reason);
    }

    /// Counts and logs a request that carries a signature and came to a URL that takes no deliveries.
    pub fn misdirected(&self, method: &str, path: &str, status: u16) {
        self.shared.metrics.misdirected.inc();
        self.misdirected.event(method, path, status);
    }

    /// Judges a delivery for `app` and has it stored. What is returned needs nothing of the request, which need not be kept meanwhile.
    pub fn take(
        &self,
        app: &Arc<AppState>,
        arrival: Arrival<'_>,
    ) -> Result<Admission, IngestError> {
        let verified = self
            .prove(app, arrival)
            .inspect_err(|reason| self.rejected(app, *reason))?;
        let (glance, admission) = self.admit(app, arrival, &verified, Came::Now)?;
        if let (Admission::Stored(_), Some(ring)) = (&admission, &self.ring) {
            ring.learn(&app.name, Named::from(&glance), Peer::of(arrival.peer));
        }
        Ok(admission)
    }

    /// Envelope, signature, secret: in the order of the HTTP contract. What fails for the secret alone is kept.
    fn prove<'a>(&self, app: &AppState, arrival: Arrival<'a>) -> Result<Verified<'a>, Rejection> {
        let envelope = Envelope::parse(arrival.body)?;
        let signature = Signature::from_headers(arrival.signatures.iter().copied())?;
        let secrets = app.secrets();
        let outer = envelope.outer();
        verify(envelope, signature, &secrets).inspect_err(|_| {
            let Some(ring) = &self.ring else { return };
            ring.offer(Rejected {
                app: &app.name,
                at: wall_clock(),
                peer: Peer::of(arrival.peer),
                signature,
                headers: arrival.headers,
                named: Named::outside(&outer),
                body: arrival.body,
            });
            // The secrets changed in between: those kept may have been judged again just before this one.
            if !Arc::ptr_eq(&secrets, &app.secrets()) {
                self.bell.ring();
            }
        })
    }

    /// A repeat is recognised, or the delivery takes its place in the journal. Everything is counted here or when the append has
    /// ended, never by the caller, who may be gone by then.
    fn admit(
        &self,
        app: &Arc<AppState>,
        arrival: Arrival<'_>,
        verified: &Verified<'_>,
        came: Came,
    ) -> Result<(Glance, Admission), Refusal> {
        app.metrics.secret_matched(verified.secret_position());
        let glance = glance(verified.envelope());
        if glance.outer_mismatch {
            self.shared.metrics.outer_mismatch.inc();
        }
        let now = wall_clock();
        let at = came.at(now);
        let tag = Tag::new(&glance, at, &app.name, &verified.envelope().fingerprint());
        let mut bytes = encode(app, arrival, verified, &tag);
        let (send, receive) = oneshot::channel();
        let mut gate = match self.pass(&tag, verified) {
            Pass::First(gate) => gate,
            Pass::Repeat(first) => {
                app.metrics.duplicate();
                return Ok((glance, Admission::Repeat(first)));
            }
            Pass::Twin(outcome) => return Ok((glance, Admission::Twin(outcome))),
        };
        // Whenever it came: ids are in the order of the journal.
        let id = gate.next_id(now);
        Delivery::set_id(bytes.get_mut(Tag::LENGTH..).unwrap_or_default(), id);
        let entry = gate.remember(&tag, id);
        let done = {
            let (gate, app, shared) = (
                Arc::clone(&self.gate),
                Arc::clone(app),
                Arc::clone(&self.shared),
            );
            let (kind, queued) = (glance.kind, Instant::now());
            move |outcome: Result<u64, AppendError>| {
                let outcome = outcome.map(|_| id).map_err(refusal);
                let twins = gate.lock().settle(entry, id, outcome);
                match outcome {
                    Ok(_) => {
                        app.metrics.accepted(kind);
                        app.accepted_at(at);
                        shared.accepted(came);
                        let waited = queued.elapsed().as_secs_f64();
                        shared.metrics.journal_append.observe(waited);
                        (0..twins).for_each(|_| app.metrics.duplicate());
                    }
                    Err(refusal) => {
                        shared.refused(&app, refusal, came);
                        (0..twins).for_each(|_| shared.refused(&app, refusal, Came::Now));
                    }
                }
                // The caller may have gone away; the delivery is stored all the same.
                let _ = send.send(outcome);
            }
        };
        let append = Append {
            tag_length: Tag::LENGTH as u8,
            bytes,
            done: Box::new(done),
        };
        self.journal.append(append).map_err(|error| {
            let refusal = refusal(error);
            gate.settle(entry, id, Err(refusal));
            self.shared.refused(app, refusal, came);
            refusal
        })?;
        Ok((glance, Admission::Stored(receive)))
    }

    /// The critical section's beginning: whoever is told to be the first holds the gate, and nobody overtakes.
    fn pass(&self, tag: &Tag, verified: &Verified<'_>) -> Pass<'_> {
        let mut intelligible = None;
        loop {
            let mut gate = self.gate.lock();
            match (gate.look(tag), intelligible) {
                (Sighting::Seen { .. }, None) => {
                    // Only a repeat asks for it, and it takes long: nobody else is to wait for it.
                    drop(gate);
                    let signed_data = verified.envelope().signed_data();
                    intelligible = Some(normalize(signed_data, Redaction::default()).is_ok());
                }
                (Sighting::Seen { first, pending }, Some(true)) => {
                    return if pending {
                        Pass::Twin(gate.wait_for(first))
                    } else {
                        Pass::Repeat(first)
                    };
                }
                // What is unintelligible is never a repeat.
                (Sighting::New, _) | (_, Some(false)) => return Pass::First(gate),
            }
        }
    }
}

/// What the gate says.
enum Pass<'a> {
    /// Nobody has brought this delivery before.
    First(MutexGuard<'a, Gate>),
    /// It is on stable storage already, under this id.
    Repeat(Uuid),
    /// It is being stored at this moment; this tells what comes of it.
    Twin(oneshot::Receiver<Outcome>),
}

/// What becomes of a proven delivery.
pub enum Admission {
    /// It has its place; the journal tells when it is safe.
    Stored(oneshot::Receiver<Outcome>),
    /// The same is being stored at this moment.
    Twin(oneshot::Receiver<Outcome>),
    /// The same is safe already, under this id.
    Repeat(Uuid),
}

impl Admission {
    /// Waits until the delivery is safe. If the caller goes away meanwhile, it is stored all the same.
    pub async fn receipt(self) -> Result<Receipt, IngestError> {
        let receipt = match self {
            Self::Repeat(first) => return Ok(Receipt::Duplicate(first)),
            Self::Stored(outcome) => outcome.await.map(|id| id.map(Receipt::Accepted)),
            Self::Twin(outcome) => outcome.await.map(|id| id.map(Receipt::Duplicate)),
        };
        Ok(receipt.unwrap_or(Err(Refusal::ShuttingDown))?)
    }
}

/// Tag and record, but for the id, which is given at the gate.
fn encode(app: &AppState, arrival: Arrival<'_>, verified: &Verified<'_>, tag: &Tag) -> Vec<u8> {
    Delivery {
        id: Uuid::nil(),
        accepted_at: tag.accepted_at,
        app: &app.name,
        secret_position: verified.secret_position(),
        signature: *verified.signature(),
        token: verified.envelope().token(),
        headers: arrival.headers.to_vec(),
        body: arrival.body,
    }
    .encode_behind(&tag.encode())
}

fn refusal(error: AppendError) -> Refusal {
    match error {
        AppendError::QueueFull => Refusal::QueueFull,
        AppendError::DiskFull => Refusal::DiskFull,
        AppendError::Storage | AppendError::Displaced => Refusal::StorageError,
        AppendError::Closed => Refusal::ShuttingDown,
    }
}

/// The wall clock; a clock before 1970 counts as 1970.
pub fn wall_clock() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
