//! Load: distinct signed deliveries at a steady rate, each sent once, as ICR does; and what became of each.

use crate::support::app::SECRET;
use crate::support::http::Response;
use hyper::header::{CONNECTION, HeaderValue};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::load::{self, Delivery, NoAnswer, Observer, Outcome, Pace, Stop, Target};
use icr_bridge::simulator::{Request, Simulator};
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Organizations whose events take turns: times seven events as many keys.
const ORGANIZATIONS: u64 = 20;

/// Longer than anything that is to be survived: a delivery that is not answered for so long counts as such.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many deliveries, over how many connections.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// A second, whether they are answered or not: what a standstill delays comes in a burst after it.
    pub rate: u32,
    pub connections: usize,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// 202, with this id.
    Accepted(Uuid),
    /// 202, but as a repeat: wrong, since all are distinct.
    Duplicate(Uuid),
    /// Another answer: its status, and the reason that it gives.
    Status(u16, String),
    /// None.
    NoAnswer(NoAnswer),
}

impl Fate {
    fn of(outcome: &Outcome) -> Self {
        let answer = match outcome {
            Outcome::Answered(answer) => answer,
            Outcome::NoAnswer(why) => return Self::NoAnswer(*why),
        };
        let word = answer.word().unwrap_or_default();
        let id = answer.id().and_then(|id| id.parse().ok());
        match (answer.status, word.as_str(), id) {
            (202, "accepted", Some(id)) => Self::Accepted(id),
            (202, "duplicate", Some(id)) => Self::Duplicate(id),
            (status, ..) => Self::Status(status, word),
        }
    }

    /// As it is counted in the table.
    pub fn name(&self) -> String {
        match self {
            Self::Accepted(_) => "202".to_owned(),
            Self::Duplicate(_) => "202 duplicate".to_owned(),
            Self::Status(status, word) => format!("{status} {word}").trim_end().to_owned(),
            Self::NoAnswer(why) => format!("no answer ({})", why.name()),
        }
    }
}

/// A delivery that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub number: u64,
    pub fate: Fate,
    pub sent: Instant,
    pub answered: Instant,
}

/// What an answer says that a fault has read by itself.
pub fn fate(response: &Response) -> Fate {
    let document: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&response.body).unwrap_or_default();
    let text = |name: &str| document.get(name).and_then(|value| value.as_str());
    let word = text("status").or_else(|| text("type")?.rsplit(':').next());
    let id = text("id").and_then(|id| id.parse().ok());
    match (response.status, word, id) {
        (202, Some("accepted"), Some(id)) => Fate::Accepted(id),
        (202, Some("duplicate"), Some(id)) => Fate::Duplicate(id),
        (status, word, _) => Fate::Status(status, word.unwrap_or_default().to_owned()),
    }
}

/// Makes delivery number `number` of a run: mostly transactions, some of everything else.
pub struct Deliveries {
    simulator: RwLock<Simulator>,
    run: u64,
    /// Those that no topic takes.
    too_large: Mutex<HashSet<u64>>,
}

impl Deliveries {
    /// `run` tells the deliveries of one fault from those of another.
    pub fn new(run: u64) -> Self {
        let secrets = SecretSet::single(SECRET.as_bytes()).unwrap();
        Self {
            simulator: RwLock::new(Simulator::new(secrets, ORGANIZATIONS, run)),
            run,
            too_large: Mutex::default(),
        }
    }

    /// From now on bodies have at least so many bytes.
    pub fn grow(&self, body_bytes: usize) {
        let mut simulator = self.simulator.write().unwrap();
        *simulator = simulator.clone().with_body_bytes(body_bytes);
    }

    /// From now on they are signed with this secret.
    pub fn sign_with(&self, secret: &str) {
        let secrets = SecretSet::single(secret.as_bytes()).unwrap();
        *self.simulator.write().unwrap() = Simulator::new(secrets, ORGANIZATIONS, self.run);
    }

    /// A delivery whose record is larger than its topic takes, with a body of so many bytes: it belongs to the quarantine topic.
    pub fn too_large(&self, number: u64, body_bytes: usize) -> Request {
        self.too_large.lock().unwrap().insert(number);
        let simulator = self.simulator.read().unwrap().clone();
        simulator
            .with_body_bytes(body_bytes)
            .delivery(EventKind::OrganizationTransaction, number)
    }

    pub fn request(&self, number: u64) -> Request {
        let simulator = self.simulator.read().unwrap();
        let lifecycle = [
            EventKind::Installed,
            EventKind::Suspended,
            EventKind::Unsuspended,
            EventKind::NewPermissionsAccepted,
        ];
        let kind = match number % 50 {
            _ if Self::is_unintelligible(number) => return simulator.unintelligible(number),
            7 => EventKind::Other,
            17 | 27 | 37 => lifecycle[(number / 50 % 4) as usize],
            rest if rest % 2 == 0 => EventKind::OrganizationTransaction,
            _ => EventKind::WarehouseTransaction,
        };
        simulator.delivery(kind, number)
    }

    /// Which of the load's own nobody can understand.
    pub fn is_unintelligible(number: u64) -> bool {
        number % 50 == 47
    }

    /// Which of them belong to the quarantine topic.
    pub fn is_for_quarantine(&self, number: u64) -> bool {
        Self::is_unintelligible(number) || self.too_large.lock().unwrap().contains(&number)
    }

    /// The number that a payload gives, understood or not, if it is one of this run.
    pub fn number_of(&self, payload: &[u8]) -> Option<u64> {
        if let Ok(payload) = serde_json::from_slice::<serde_json::Value>(payload) {
            return self.number(payload.get("state")?.as_str()?);
        }
        let text = std::str::from_utf8(payload).ok()?;
        let (run, rest) = text.strip_prefix("run ")?.split_once(" delivery ")?;
        let (number, _) = rest.split_once(':')?;
        (run.parse() == Ok(self.run)).then(|| number.parse().ok())?
    }

    /// The number that a record's `state` gives, if it is a delivery of this run.
    pub fn number(&self, state: &str) -> Option<u64> {
        // Behind the number stands what makes it larger.
        let (run, number) = state.trim_end_matches('x').split_once('-')?;
        (u64::from_str_radix(run, 16).ok()? == self.run)
            .then(|| number.parse().ok())
            .flatten()
    }
}

/// Load that is on.
pub struct Load {
    stop: Stop,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

/// What has come of it so far.
#[derive(Default)]
struct Seen {
    all: Mutex<Vec<Sent>>,
    sent: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
}

struct Watch(Arc<Seen>);

impl Observer<u64> for Watch {
    fn fate(&self, fate: load::Fate<u64>) {
        let sent = Sent {
            number: fate.tag,
            fate: Fate::of(&fate.outcome),
            sent: fate.sent,
            answered: fate.scheduled + fate.latency,
        };
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match sent.fate {
            Fate::Accepted(_) => count(&self.0.accepted),
            Fate::Status(..) => count(&self.0.refused),
            _ => 0,
        };
        count(&self.0.sent);
        self.0.all.lock().unwrap().push(sent);
    }
}

impl Load {
    /// Begins to send deliveries, numbered from `next` on; where it is `reconnecting`, each second one over a connection that ends with it.
    pub fn start(
        deliveries: &Arc<Deliveries>,
        next: &Arc<AtomicU64>,
        target: SocketAddr,
        plan: Plan,
        reconnecting: bool,
    ) -> Self {
        let target = Target::parse(&format!("http://{target}/webhook")).unwrap();
        let plan = load::Plan {
            pace: Pace::Open {
                rate: plan.rate.into(),
            },
            concurrency: plan.connections,
            timeout: TIMEOUT,
            ..load::Plan::new(target)
        };
        let (deliveries, next) = (Arc::clone(deliveries), Arc::clone(next));
        let source = move |_| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let mut delivery = Delivery::of(deliveries.request(number), number);
            if reconnecting && number % 2 == 1 {
                let close = HeaderValue::from_static("close");
                delivery.headers.insert(CONNECTION, close);
            }
            Some(delivery)
        };
        let (stop, seen) = (Stop::default(), Arc::new(Seen::default()));
        let (ending, watch) = (stop.clone(), Watch(Arc::clone(&seen)));
        let thread = std::thread::spawn(move || {
            load::run(plan, source, watch, &ending).unwrap();
        });
        Self {
            stop,
            seen,
            thread: Some(thread),
        }
    }

    /// How many were answered 202 so far.
    pub fn accepted(&self) -> u64 {
        self.seen.accepted.load(Ordering::Relaxed)
    }

    /// How many were answered otherwise so far.
    pub fn refused(&self) -> u64 {
        self.seen.refused.load(Ordering::Relaxed)
    }

    /// How many were sent so far, whatever became of them.
    pub fn sent(&self) -> u64 {
        self.seen.sent.load(Ordering::Relaxed)
    }

    /// Ends it: waits for the answers that are due, and tells what became of all.
    pub fn stop(mut self) -> Vec<Sent> {
        self.stop.stop();
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut *self.seen.all.lock().unwrap())
    }
}

impl Drop for Load {
    /// A fault that ends in a panic leaves no load behind: another one's bridge may get the same port.
    fn drop(&mut self) {
        self.stop.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|end| end.is_ok()) || std::thread::panicking());
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
