//! A ring with the use case around it, no HTTP: the test says when a delivery came and from where.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use icr_bridge::config::{App, SecretSource};
use icr_bridge::domain::delivery::{Delivery, Millis};
use icr_bridge::domain::envelope::Envelope;
use icr_bridge::domain::glance::Named;
use icr_bridge::domain::signature::{SecretSet, Signature};
use icr_bridge::ingest::reverify::{ReverifyError, Wish};
use icr_bridge::ingest::{Arrival, Ingest, IngestError, Receipt, Reverified};
use icr_bridge::journal::reader::Next;
use icr_bridge::journal::storage::Storage;
use icr_bridge::journal::{self, Journal};
use icr_bridge::metrics::Metrics;
use icr_bridge::rejected::{self, Peer, Rejected, Ring, Space};
use icr_bridge::simulator::{Request, Simulator};
use icr_bridge::work::{Stopper, Work};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub const START: u64 = 1_700_000_000_000;

/// Longer than any simulated time is away from the real one, but for a test of that.
pub const KEPT: Duration = Duration::from_hours(24 * 365 * 50);

struct Silent;

impl journal::Observer for Silent {}

pub struct Rig {
    pub ring: Arc<Ring>,
    pub ingest: Arc<Ingest>,
    pub journal: Journal,
    pub metrics: Arc<Metrics>,
}

/// What one peer sends.
#[derive(Clone, Copy)]
pub struct Sender(pub IpAddr);

pub fn secrets(secret: &str) -> SecretSet {
    SecretSet::single(secret.as_bytes()).unwrap()
}

pub fn simulator(secret: &str, organizations: u64) -> Simulator {
    Simulator::new(secrets(secret), organizations, 1)
}

pub fn options(dir: &Path) -> journal::Options {
    journal::Options {
        dir: dir.to_owned(),
        segment_bytes: 512 << 10,
        spare_segments: 0,
        queue: 4096,
        retention_age: Duration::from_secs(3600),
        retention_bytes: u64::MAX,
        low_water_bytes: 0,
    }
}

impl Rig {
    pub fn open(storage: Arc<dyn Storage>, dir: &Path, secret: &str, capacity: u64) -> Self {
        let journal = Journal::open(Arc::clone(&storage), options(dir), Arc::new(Silent)).unwrap();
        let metrics = Arc::new(Metrics::new(["default"], "t").unwrap());
        let space = || Space {
            in_place: true,
            may_grow: true,
            starving: false,
        };
        let options = rejected::Options {
            journal: dir.to_owned(),
            capacity,
            keep_for: KEPT,
        };
        let ring = Ring::start(storage, options, space, metrics.ring.clone()).unwrap();
        let ring = Arc::new(ring);
        let app = App {
            name: "default".to_owned(),
            source: SecretSource::Variable,
            secrets: secrets(secret),
        };
        let ingest = Ingest::new(journal.clone(), &[app], 1000, Arc::clone(&metrics));
        let ingest = ingest.unwrap().with_ring(Some(Arc::clone(&ring)));
        Self {
            ring,
            ingest: Arc::new(ingest),
            journal,
            metrics,
        }
    }

    /// A delivery that has just come.
    pub fn deliver(&self, sender: Sender, request: &Request) -> Result<Receipt, IngestError> {
        let app = self.ingest.app("default").unwrap();
        let arrival = Arrival {
            signatures: &[request.signature.as_bytes()],
            headers: &[("user-agent", b"test")],
            body: &request.body,
            peer: Some(sender.0),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async { self.ingest.take(app, arrival)?.receipt().await })
    }

    /// A delivery that came at `at`, and whose signature matched no secret.
    pub fn reject(&self, sender: Sender, at: Millis, request: &Request) {
        let signature = Signature::from_headers([request.signature.as_bytes()]).unwrap();
        self.offer(sender, at, signature, &request.body);
    }

    pub fn offer(&self, sender: Sender, at: Millis, signature: Signature, body: &[u8]) {
        let named = Envelope::parse(body).map(|envelope| Named::outside(&envelope.outer()));
        self.ring.offer(Rejected {
            app: "default",
            at,
            peer: Peer::of(Some(sender.0)),
            signature,
            headers: &[("user-agent", b"test")],
            named: named.unwrap_or_default(),
            body,
        });
    }

    pub fn replace_secret(&self, secret: &str) {
        self.ingest.replace_secrets("default", &secrets(secret));
    }

    pub fn reverify(&self) -> Reverified {
        reverify(&self.ingest, false).unwrap()
    }

    pub fn dropped(&self) -> u64 {
        self.metrics.ring.dropped.get()
    }

    /// Time of acceptance and body of all that the journal holds, in its order.
    pub fn journaled(&self) -> Vec<(Millis, Vec<u8>)> {
        let mut reader = self.journal.reader(1);
        let mut all = Vec::new();
        while let Next::Record(stored) = reader.next(Duration::ZERO).unwrap() {
            let delivery = Delivery::decode(stored.body).unwrap();
            assert!(delivery.verified().is_ok());
            all.push((delivery.accepted_at, delivery.body.to_vec()));
        }
        all
    }

    /// Ends in order, as the bridge does.
    pub fn close(self) {
        self.ingest.close();
        self.journal.close();
    }
}

/// A round through the ring.
pub fn reverify(ingest: &Ingest, dry_run: bool) -> Result<Reverified, ReverifyError> {
    let mut work = Work::new(Stopper::default(), Box::new(drop));
    ingest.reverify(Wish { dry_run }, &mut work)
}

/// An envelope around a payload, as small as an attacker likes.
pub fn envelope(payload: &str) -> Vec<u8> {
    format!(
        r#"{{"installation":{{"appId":"{}"}},"signedData":"{}"}}"#,
        payload
            .split(r#""appId":""#)
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or("none"),
        BASE64_STANDARD.encode(payload)
    )
    .into_bytes()
}

/// The forged signature of this number.
pub fn forged(number: u64) -> Signature {
    let mut bytes = [0xf0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Signature::from_bytes(bytes)
}
