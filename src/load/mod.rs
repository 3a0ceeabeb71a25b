//! The load engine: sends deliveries to an ICR endpoint by a plan and tells the fate of every single one. For `send` and tests.
//!
//! **Guarantees.**
//! - Every delivery of the plan counts, also one that got no answer ([`NoAnswer`] says why), and one for which no connection was
//!   free until the end ([`Summary::unsent`]).
//! - Each is put on the wire once at most. Nothing is ever sent again behind the caller's back: a repeat would be a different test.
//! - **Open loop** ([`Pace::Open`]): delivery `n` is due at `start + n / rate`, whatever became of those before it, and its latency
//!   counts from that moment. A server that stalls does not slow the schedule: what then has to wait for one of the plan's
//!   connections shows that wait in its latency.
//! - **Closed loop** ([`Pace::Closed`]): the next goes when one of `concurrency` is answered; latency counts from sending.
//!
//! A delivery is built shortly before it is due, so that signing is no part of its latency.

mod clock;
mod connection;
mod exchange;
mod fate;
mod run;
mod stop;
mod summary;
mod target;

pub use fate::{Answer, Fate, NoAnswer, Outcome};
pub use run::run;
pub use stop::Stop;
pub use summary::Summary;
pub use target::{Target, TargetError};

use crate::simulator::Request;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use std::time::{Duration, Instant};

/// ICR's header.
pub const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("x-icr-signature-256");

/// When deliveries go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as they are answered.
    Closed,
    /// So many a second, whether they are answered or not. More than 0.
    Open { rate: f64 },
}

/// What a run does. Without `count` and `duration` it goes on until the source has no more, or until it is stopped.
#[derive(Debug, Clone)]
pub struct Plan {
    pub target: Target,
    pub pace: Pace,
    /// How many at most.
    pub count: Option<u64>,
    /// How long new ones are sent. What is under way then is waited for.
    pub duration: Option<Duration>,
    /// Deliveries under way at a time, and so connections, at most; at least 1.
    pub concurrency: usize,
    /// Time for one delivery, connecting included, after which it counts as [`NoAnswer::Timeout`].
    pub timeout: Duration,
}

impl Plan {
    /// One delivery at a time until the source has no more, 10 s for each: change what should be otherwise.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            pace: Pace::Closed,
            count: None,
            duration: None,
            concurrency: 1,
            timeout: Duration::from_secs(10),
        }
    }

    /// How many deliveries the plan comes to, where it says so before it runs.
    pub fn total(&self) -> Option<u64> {
        let within = match (self.pace, self.duration) {
            (Pace::Open { rate }, Some(duration)) => Some(before(rate * duration.as_secs_f64())),
            _ => None,
        };
        match (self.count, within) {
            (Some(count), Some(within)) => Some(count.min(within)),
            (count, within) => count.or(within),
        }
    }

    /// When delivery `number` is due, after the start.
    fn due(&self, number: u64) -> Option<Duration> {
        match self.pace {
            Pace::Closed => None,
            Pace::Open { rate } => Some(Duration::from_secs_f64(number as f64 / rate)),
        }
    }
}

/// How many of 0, 1, 2 … are less than `end`, which is not quite exact.
fn before(end: f64) -> u64 {
    const INEXACT: f64 = 1e-6;
    (end - INEXACT).ceil().max(0.0) as u64
}

/// One HTTP request, and whatever the caller wants to find again in its [`Fate`].
#[derive(Debug, Clone)]
pub struct Delivery<T = ()> {
    /// Its headers; `host`, `content-length` and `user-agent` are added.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The caller's own.
    pub tag: T,
}

impl<T> Delivery<T> {
    /// What the simulator made, with ICR's headers.
    pub fn of(request: Request, tag: T) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // The simulator writes hex digits only.
        if let Ok(signature) = HeaderValue::from_str(&request.signature) {
            headers.insert(SIGNATURE_HEADER, signature);
        }
        Self {
            headers,
            body: request.body.into(),
            tag,
        }
    }
}

/// Where deliveries come from. Asked from several threads, shortly before a delivery is due.
pub trait Source: Send + Sync + 'static {
    /// Comes back with the fate of the delivery.
    type Tag: Send;

    /// Delivery number `number`, from 0 on, each asked for once; `None` when there are no more.
    fn delivery(&self, number: u64) -> Option<Delivery<Self::Tag>>;
}

impl<T: Send, F> Source for F
where
    F: Fn(u64) -> Option<Delivery<T>> + Send + Sync + 'static,
{
    type Tag = T;

    fn delivery(&self, number: u64) -> Option<Delivery<T>> {
        self(number)
    }
}

/// Learns the fate of every delivery, from several threads, as soon as it is known. What it does delays others: be brief.
pub trait Observer<T>: Send + Sync + 'static {
    /// A delivery was sent, and this came of it.
    fn fate(&self, fate: Fate<T>);

    /// A delivery was due, and no connection was free until the end.
    fn unsent(&self, _number: u64, _scheduled: Instant) {}
}

impl<T> Observer<T> for () {
    fn fate(&self, _: Fate<T>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_comes_to_what_is_due_within_its_duration() {
        let total = |rate: f64, millis: u64, count: Option<u64>| {
            let target = Target::parse("http://127.0.0.1:1/").unwrap();
            let plan = Plan {
                pace: Pace::Open { rate },
                duration: Some(Duration::from_millis(millis)),
                count,
                ..Plan::new(target)
            };
            plan.total()
        };
        assert_eq!(total(100.0, 300, None), Some(30));
        assert_eq!(total(1.1, 10_000, None), Some(11));
        assert_eq!(total(3.0, 1100, None), Some(4));
        assert_eq!(total(0.5, 1000, None), Some(1));
        assert_eq!(total(100.0, 300, Some(7)), Some(7));
        assert_eq!(total(100.0, 300, Some(70)), Some(30));
    }
}
