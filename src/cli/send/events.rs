//! Where deliveries come from: simulated events, a payload, or captured ones.

use super::captured::Captured;
use super::expect::Kind;
use super::turns::Turns;
use crate::domain::event::EventKind;
use crate::load::{Delivery, Source};
use crate::simulator::{Request, Simulator};
use parking_lot::Mutex;
use std::sync::Arc;

/// What comes back with a delivery's fate.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) kind: Kind,
    /// Of a captured delivery.
    pub(super) name: Option<String>,
    /// The delivery itself, where it may be repeated later.
    pub(super) repeatable: Option<Delivery>,
}

/// What to send.
#[derive(Clone)]
pub(super) enum What {
    Events(Arc<Events>),
    /// A payload as it stands.
    Payload(Arc<Request>),
    /// A payload with a `state` of its own each.
    Payloads(Arc<(Simulator, String)>),
    Captured(Arc<Vec<Captured>>),
}

/// Simulated events, and a share of trouble.
pub(super) struct Events {
    simulator: Simulator,
    names: Vec<String>,
    repeats: bool,
    state: Mutex<State>,
}

struct State {
    turns: Turns,
    garbled: u64,
    /// The last transaction that was answered 202.
    taken: Option<Delivery>,
}

impl Events {
    /// `names` take turns; not empty.
    pub(super) fn new(
        simulator: Simulator,
        names: Vec<String>,
        turns: Turns,
        repeats: bool,
    ) -> Self {
        Self {
            simulator,
            names,
            repeats,
            state: Mutex::new(State {
                turns,
                garbled: 0,
                taken: None,
            }),
        }
    }

    /// A transaction was answered 202: it can be repeated from now on.
    pub(super) fn taken(&self, delivery: Delivery) {
        self.state.lock().taken = Some(delivery);
    }

    fn delivery(&self, number: u64) -> Option<Delivery<Tag>> {
        let mut state = self.state.lock();
        let can_repeat = state.taken.is_some();
        let kind = state.turns.next(can_repeat);
        if let (Kind::Repeated, Some(taken)) = (kind, &state.taken) {
            return Some(taken.clone().tagged(kind, None));
        }
        state.garbled += u64::from(kind == Kind::Garbled);
        let broken_off = state.garbled % 2 == 1;
        // Signing takes longer than all else: not under the lock.
        drop(state);
        let place = number % self.names.len().max(1) as u64;
        let name = self.names.get(place as usize)?;
        let genuine = self.simulator.named(name, number);
        let request = match kind {
            Kind::Forged => genuine.forged(),
            Kind::Garbled if broken_off => genuine.broken_off(),
            Kind::Garbled => genuine.altered(),
            _ => genuine,
        };
        let delivery = Delivery::of(request, ());
        let transaction = EventKind::of(name).is_transaction();
        let repeatable = self.repeats && kind == Kind::Genuine && transaction;
        let repeatable = repeatable.then(|| delivery.clone());
        let mut delivery = delivery.tagged(kind, None);
        delivery.tag.repeatable = repeatable;
        Some(delivery)
    }
}

impl Delivery {
    fn tagged(self, kind: Kind, name: Option<String>) -> Delivery<Tag> {
        Delivery {
            headers: self.headers,
            body: self.body,
            tag: Tag {
                kind,
                name,
                repeatable: None,
            },
        }
    }
}

impl Source for What {
    type Tag = Tag;

    fn delivery(&self, number: u64) -> Option<Delivery<Tag>> {
        match self {
            Self::Events(events) => events.delivery(number),
            Self::Payload(request) => {
                let delivery = Delivery::of(Request::clone(request), ());
                Some(delivery.tagged(Kind::Payload, None))
            }
            Self::Payloads(payload) => {
                let (simulator, text) = &**payload;
                let request = simulator.sign_json(&simulator.distinct(text, number));
                Some(Delivery::of(request, ()).tagged(Kind::Genuine, None))
            }
            Self::Captured(captured) => {
                let captured = captured.get(usize::try_from(number).ok()?)?;
                let delivery = captured.delivery.clone();
                Some(delivery.tagged(captured.kind, Some(captured.name.clone())))
            }
        }
    }
}
