//! Where a fault plays: one bridge with a journal and topics of its own, load, and the hand that breaks things.

mod bridge;
mod finish;
mod kafka;
mod load;

pub use bridge::cpu_seconds;

use super::Fault;
use super::away::Away;
use super::limits::Container;
use super::load::{Deliveries, Load, Sent};
use super::proxy::Proxy;
use super::shim::{Armed, Shim};
use super::table::Row;
use super::volume::Volume;
use crate::support::kafka::{OwnBroker, OwnedRecord, RealKafka};
use crate::support::process::Serving;
use crate::support::service_manager::ServiceManager;
use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uuid::Uuid;

/// How long anything may take on a machine that is busy with much else: only a failure ever takes as long.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Small, so that its bound on duplicates says something.
pub const WINDOW: u64 = 200;

/// How much is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// The long form.
    pub long: bool,
    /// Rounds asked for on the command line.
    pub rounds: Option<u64>,
    /// Of all random choices.
    pub seed: u64,
}

/// Where a fault plays.
pub struct Stage {
    // First, so that it ends before its files go.
    bridge: Option<Serving>,
    load: Option<(Load, Instant)>,
    volume: Option<Rc<Volume>>,
    proxy: Option<Rc<Proxy>>,
    brokers: Vec<Rc<OwnBroker>>,
    folder: TempDir,
    pub kafka: RealKafka,
    pub topic: String,
    pub quarantine: String,
    /// The rules that the bridge obeys.
    pub shim: Shim,
    /// Those that keep Kafka away.
    away: Vec<Armed>,
    /// Times without it, in which memory and latencies were watched.
    aways: Vec<Away>,
    /// Records that were read before their topic was deleted.
    earlier: Vec<OwnedRecord>,
    journal: PathBuf,
    effort: Effort,
    random: u64,
    settings: Vec<(String, String)>,
    /// The same at every start, as a service's is.
    ingress: SocketAddr,
    log: Vec<String>,
    deliveries: Arc<Deliveries>,
    next: Arc<AtomicU64>,
    sent: Vec<Sent>,
    /// Times in which there was load.
    loaded: Vec<(Instant, Instant)>,
    /// When something was mended, and a 202 is due.
    mended: Vec<Instant>,
    rounds: u64,
    /// Ends of the bridge that may each leave a window of duplicates.
    crashes: u64,
    /// Producers that were built anew: each may leave a window too.
    rebuilds: u64,
    taken: HashSet<Uuid>,
    everything_again: bool,
    forbidden: HashSet<u64>,
    reconnecting: bool,
    manager: Option<ServiceManager>,
    files: Option<u64>,
    container: Option<Rc<Container>>,
    ledger_was_lost: bool,
    loss_expected: bool,
    notes: Vec<String>,
    skipped: Option<String>,
    modelled: Option<Row>,
}

impl Stage {
    /// A fresh journal and fresh topics; nothing runs yet.
    pub fn new(kafka: RealKafka, fault: &Fault, effort: Effort) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&format!("{}-", fault.name))
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let topic = kafka.new_topic(fault.name, 3);
        let quarantine = format!("{topic}.quarantine");
        kafka.create_topic(&quarantine, 1, &[]);
        let run = effort.seed ^ u64::from(std::process::id()) << 32;
        Self {
            bridge: None,
            load: None,
            volume: None,
            proxy: None,
            brokers: Vec::new(),
            topic,
            quarantine,
            kafka,
            shim: Shim::new(folder.path()),
            away: Vec::new(),
            aways: Vec::new(),
            earlier: Vec::new(),
            journal: folder.path().join("journal"),
            folder,
            effort,
            random: effort.seed,
            settings: Vec::new(),
            ingress: free_address(),
            log: Vec::new(),
            deliveries: Arc::new(Deliveries::new(run >> 1)),
            next: Arc::new(AtomicU64::new(0)),
            sent: Vec::new(),
            loaded: Vec::new(),
            mended: Vec::new(),
            rounds: 1,
            crashes: 0,
            rebuilds: 0,
            taken: HashSet::new(),
            everything_again: false,
            forbidden: HashSet::new(),
            reconnecting: false,
            manager: None,
            files: None,
            container: None,
            ledger_was_lost: false,
            loss_expected: false,
            notes: Vec::new(),
            skipped: None,
            modelled: None,
        }
    }

    // How much.

    /// The rounds to play: in the short form, in the long one, or as the command line says.
    pub fn rounds(&mut self, short: u64, long: u64) -> std::ops::Range<u64> {
        let usual = if self.effort.long { long } else { short };
        self.rounds = self.effort.rounds.unwrap_or(usual);
        0..self.rounds
    }

    /// Whether the long form is wanted.
    pub fn is_long(&self) -> bool {
        self.effort.long
    }

    /// A random number below `limit`, the same for the same seed.
    pub fn random(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// An address where nobody listens, below the range from which systems take the ports of outgoing connections: one of the load's own
/// would else get it while the bridge is down.
fn free_address() -> SocketAddr {
    // No two stages of this process get the same one.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let first = u64::from(std::process::id());
    let ports =
        (0..1000).map(|_| 20_000 + (first * 7 + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    let addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port as u16)));
    let mut free = addresses.filter(|address| TcpListener::bind(address).is_ok());
    free.next().expect("a free port")
}
