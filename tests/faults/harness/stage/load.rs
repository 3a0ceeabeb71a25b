//! The stage's load: turning it on and off, waiting for its answers, and recording deliveries that the fault sends by itself.

use super::super::load::{Deliveries, Fate, Load, Plan, Sent};
use super::{PATIENCE, Stage};
use crate::support::eventually::within;
use icr_bridge::simulator::Request;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The load that a fault gets unless it asks for another.
const PLAN: Plan = Plan {
    rate: 500,
    connections: 8,
};

impl Stage {
    /// The deliveries of this stage, by number.
    pub fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Turns the usual load on.
    pub fn load_on(&mut self) {
        self.load_on_with(PLAN);
    }

    /// Turns load on.
    pub fn load_on_with(&mut self, plan: Plan) {
        assert!(self.load.is_none(), "there is load already");
        let load = Load::start(
            &self.deliveries,
            &self.next,
            self.ingress,
            plan,
            self.reconnecting,
        );
        self.load = Some((load, Instant::now()));
    }

    /// Every other connection of the load is to serve for one delivery only.
    pub fn reconnect(&mut self) {
        self.reconnecting = true;
    }

    /// Where the bridge listens.
    pub fn ingress(&self) -> SocketAddr {
        self.ingress
    }

    /// A delivery of its own that the fault sends by itself, and the number that it goes by.
    pub fn delivery(&self) -> (u64, Request) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if !Deliveries::is_unintelligible(number) {
                return (number, self.deliveries.request(number));
            }
        }
    }

    /// What became of such a delivery: it is judged like those of the load.
    pub fn delivered(&mut self, number: u64, fate: Fate) {
        let answered = Instant::now();
        self.sent.push(Sent {
            number,
            fate,
            // Nothing is known about its place behind others.
            sent: answered - Duration::from_secs(3600),
            answered,
        });
    }

    /// Such a delivery must not be taken: it may be on no topic.
    pub fn forbid(&mut self, number: u64) {
        self.forbidden.insert(number);
    }

    /// What was sent so far, by loads that are off.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// Turns the load off, waiting for the answers that are due.
    pub fn load_off(&mut self) {
        let Some((load, since)) = self.load.take() else {
            return;
        };
        let until = Instant::now();
        self.sent.extend(load.stop());
        self.loaded.push((since, until));
    }

    /// Waits until so many more deliveries were answered 202: the way to let time pass under load.
    pub fn accept(&mut self, count: u64) {
        let (load, _) = self.load.as_ref().expect("there is load");
        let wanted = load.accepted() + count;
        within(PATIENCE, "more deliveries are accepted", || {
            (load.accepted() >= wanted).then_some(())
        });
    }

    /// Waits until so many more deliveries were answered, but not with 202.
    pub fn refuse(&mut self, count: u64) {
        let (load, _) = self.load.as_ref().expect("there is load");
        let wanted = load.refused() + count;
        within(PATIENCE, "more deliveries are refused", || {
            (load.refused() >= wanted).then_some(())
        });
    }

    /// Waits until so many more deliveries were sent, whatever was answered.
    pub fn send(&mut self, count: u64) {
        let (load, _) = self.load.as_ref().expect("there is load");
        let wanted = load.sent() + count;
        within(PATIENCE, "more deliveries are sent", || {
            (load.sent() >= wanted).then_some(())
        });
    }

    /// Something was mended just now: the time to the next 202 is measured. (A start counts by itself.)
    pub fn mended(&mut self) {
        self.mended.push(Instant::now());
    }

    /// The ids of all deliveries that were accepted, of load that is off.
    pub fn accepted_ids(&self) -> impl Iterator<Item = Uuid> {
        self.sent.iter().filter_map(|sent| match sent.fate {
            Fate::Accepted(id) => Some(id),
            _ => None,
        })
    }
}
