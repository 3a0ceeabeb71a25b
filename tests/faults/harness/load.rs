//! Load: distinct signed deliveries at a steady rate, each sent once, as ICR does; and what became of each.

use crate::support::app::SECRET;
use crate::support::http::Connection;
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::simulator::{Request, Simulator};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Organizations whose events take turns: times seven events as many keys.
const ORGANIZATIONS: u64 = 20;

/// How many deliveries, over how many connections.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// A second.
    pub rate: u64,
    pub connections: u64,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// 202, with this id.
    Accepted(Uuid),
    /// 202, but as a repeat: wrong, since all are distinct.
    Duplicate(Uuid),
    /// Another status, with the reason that the answer gives.
    Status(u16, String),
    /// No connection: nothing was sent.
    Unconnected(ErrorKind),
    /// Sent, at least in part, and not answered.
    Unanswered(ErrorKind),
}

impl Fate {
    /// As it is counted in the table.
    pub fn name(&self) -> String {
        match self {
            Self::Accepted(_) => "202".to_owned(),
            Self::Duplicate(_) => "202 duplicate".to_owned(),
            Self::Status(status, reason) if reason.is_empty() => status.to_string(),
            Self::Status(status, reason) => format!("{status} {reason}"),
            Self::Unconnected(kind) => format!("not connected ({kind})"),
            Self::Unanswered(kind) => format!("no answer ({kind})"),
        }
    }
}

/// A delivery that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub number: u64,
    /// Deliveries of one connection follow each other: each was answered before the next was sent.
    pub connection: u64,
    pub fate: Fate,
    pub answered: Instant,
}

/// Makes delivery number `number` of a run: mostly transactions, some of everything else.
pub struct Deliveries {
    simulator: Simulator,
    run: u64,
}

impl Deliveries {
    /// `run` tells the deliveries of one fault from those of another.
    pub fn new(run: u64) -> Self {
        let secrets = SecretSet::single(SECRET.as_bytes()).unwrap();
        Self {
            simulator: Simulator::new(secrets, ORGANIZATIONS, run),
            run,
        }
    }

    pub fn request(&self, number: u64) -> Request {
        let lifecycle = [
            EventKind::Installed,
            EventKind::Suspended,
            EventKind::Unsuspended,
            EventKind::NewPermissionsAccepted,
        ];
        let kind = match number % 50 {
            _ if Self::is_unintelligible(number) => return self.simulator.unintelligible(number),
            7 => EventKind::Other,
            17 | 27 | 37 => lifecycle[(number / 50 % 4) as usize],
            rest if rest % 2 == 0 => EventKind::OrganizationTransaction,
            _ => EventKind::WarehouseTransaction,
        };
        self.simulator.delivery(kind, number)
    }

    /// Which of them belong to the quarantine topic.
    pub fn is_unintelligible(number: u64) -> bool {
        number % 50 == 47
    }

    /// The number that a record's `state` gives, if it is a delivery of this run.
    pub fn number(&self, state: &str) -> Option<u64> {
        let (run, number) = state.split_once('-')?;
        (u64::from_str_radix(run, 16).ok()? == self.run)
            .then(|| number.parse().ok())
            .flatten()
    }
}

/// Load that is on.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Vec<Sent>>>,
}

struct Shared {
    deliveries: Arc<Deliveries>,
    target: SocketAddr,
    next: Arc<AtomicU64>,
    sent: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Begins to send deliveries, numbered from `next` on.
    pub fn start(
        deliveries: &Arc<Deliveries>,
        next: &Arc<AtomicU64>,
        target: SocketAddr,
        plan: Plan,
    ) -> Self {
        let shared = Arc::new(Shared {
            deliveries: Arc::clone(deliveries),
            target,
            next: Arc::clone(next),
            sent: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let interval = Duration::from_secs_f64(plan.connections as f64 / plan.rate as f64);
        let threads = (0..plan.connections)
            .map(|connection| {
                let shared = Arc::clone(&shared);
                // They begin one after the other, so that deliveries are spread evenly.
                let first =
                    Instant::now() + interval.mul_f64(connection as f64 / plan.connections as f64);
                std::thread::spawn(move || shared.work(connection, first, interval))
            })
            .collect();
        Self { shared, threads }
    }

    /// How many were answered 202 so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many were answered otherwise so far.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// How many were sent so far, whatever became of them.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Ends it: waits for the answers that are due, and tells what became of all.
    pub fn stop(self) -> Vec<Sent> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    }
}

impl Shared {
    fn work(&self, number_of_connection: u64, first: Instant, interval: Duration) -> Vec<Sent> {
        let mut sent = Vec::new();
        let (mut connection, mut due) = (None, first);
        while !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            // Late ones do not come in a burst.
            due = (due + interval).max(Instant::now());
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let request = self.deliveries.request(number);
            let fate = deliver(&mut connection, self.target, &request);
            self.sent.fetch_add(1, Ordering::Relaxed);
            let counter = match fate {
                Fate::Accepted(_) => Some(&self.accepted),
                Fate::Status(..) => Some(&self.refused),
                _ => None,
            };
            if let Some(counter) = counter {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            sent.push(Sent {
                number,
                connection: number_of_connection,
                fate,
                answered: Instant::now(),
            });
        }
        sent
    }
}

/// Sends one delivery over the connection, or a new one where there is none that is alive.
fn deliver(connection: &mut Option<Connection>, target: SocketAddr, request: &Request) -> Fate {
    if connection.as_mut().is_some_and(|open| !open.is_alive()) {
        *connection = None;
    }
    let open = match connection {
        Some(open) => open,
        None => match Connection::try_open(target) {
            Ok(open) => connection.insert(open),
            Err(error) => return Fate::Unconnected(error.kind()),
        },
    };
    let signature = ("x-icr-signature-256", request.signature.as_str());
    open.send_request("POST", "/webhook", &[signature], &request.body);
    let response = match open.try_response() {
        Ok(response) => response,
        Err(error) => {
            *connection = None;
            return Fate::Unanswered(error.kind());
        }
    };
    let document: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&response.body).unwrap_or_default();
    let text = |name: &str| document.get(name).and_then(|value| value.as_str());
    if response.status != 202 {
        let reason = text("type").and_then(|name| name.rsplit(':').next());
        return Fate::Status(response.status, reason.unwrap_or_default().to_owned());
    }
    match (text("status"), text("id").and_then(|id| id.parse().ok())) {
        (Some("accepted"), Some(id)) => Fate::Accepted(id),
        (Some("duplicate"), Some(id)) => Fate::Duplicate(id),
        _ => Fate::Status(202, "without an id".to_owned()),
    }
}

/// How many there were of each fate but the accepted, by name.
pub fn others(sent: &[Sent]) -> BTreeMap<String, u64> {
    let mut others = BTreeMap::new();
    for one in sent {
        if !matches!(one.fate, Fate::Accepted(_)) {
            *others.entry(one.fate.name()).or_default() += 1;
        }
    }
    others
}
