//! Judging again what was rejected: the way back from the ring of rejected deliveries into the journal.
//!
//! A delivery that a secret in force proves now takes the way of one that has just come: the rules for repeats, the metrics, an id in the
//! order of the journal; only its time of acceptance is that of its arrival. It leaves the ring once the journal has synced it, so a crash
//! in between loses nothing (the second time it is a repeat, where the rules know repeats). What is still unproven stays.
//!
//! This happens when somebody asks for it, whenever secrets have changed, and at start, since a secret in a variable changes in no other way.

use super::{Admission, AppState, Arrival, Came, Ingest};
use crate::domain::delivery::Delivery;
use crate::domain::envelope::Envelope;
use crate::domain::signature::{Verified, verify};
use crate::rejected::{self, Key, Ring};
use crate::work::{Stop, Stopper, Work};
use parking_lot::{Condvar, Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// When proven deliveries could not be stored, they are tried again after this time.
const RETRY: Duration = Duration::from_secs(10);

/// How often somebody who waits for another's round looks whether to go on waiting.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Count what would be proven, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// How a round through the ring ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All that was kept when it began was judged.
    #[default]
    Completed,
    /// Whoever asked has cancelled it.
    Cancelled,
    /// The bridge is shutting down.
    Leaving,
}

/// What it came to. `judged` is the sum of `proven`, `unproven` and `unreadable`; `proven`, except in a dry run, that of `accepted`,
/// `duplicates` and `refused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reverified {
    pub end: End,
    /// Whether deliveries were only counted.
    pub dry_run: bool,
    /// Deliveries that were kept, and judged again.
    pub judged: u64,
    /// Proven by a secret in force.
    pub proven: u64,
    /// Journaled now.
    pub accepted: u64,
    /// Stored before: repeats.
    pub duplicates: u64,
    /// Not stored, for the journal's trouble: they are still kept.
    pub refused: u64,
    /// Still unproven: they are still kept.
    pub unproven: u64,
    /// Not given back by the disk.
    pub unreadable: u64,
}

/// Why nothing was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReverifyError {
    /// It was told to end while another round was under way.
    #[error("another round is under way")]
    Busy,
    /// `REJECTED_RING_BYTES` is 0.
    #[error("no rejected deliveries are kept: ICR_BRIDGE_REJECTED_RING_BYTES is 0")]
    Off,
    /// The log says why.
    #[error("the rejected deliveries cannot be read at present; the log says why")]
    Unavailable,
}

impl std::fmt::Display for Reverified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            judged,
            proven,
            accepted,
            duplicates,
            refused,
            unproven,
            unreadable,
            ..
        } = self;
        write!(f, "{judged} rejected deliveries judged again: {proven} ")?;
        if self.dry_run {
            write!(f, "would be proven")?;
        } else {
            write!(
                f,
                "proven ({accepted} journaled, {duplicates} stored before"
            )?;
            if *refused > 0 {
                write!(f, ", {refused} could not be stored and are still kept")?;
            }
            write!(f, ")")?;
        }
        write!(f, ", {unproven} unproven")?;
        if *unreadable > 0 {
            write!(f, ", {unreadable} unreadable")?;
        }
        Ok(())
    }
}

impl Ingest {
    /// Judges all that is kept again, with the secrets in force. Waits for disk and journal: not to be called on a thread that serves
    /// requests. One round at a time; what comes meanwhile is left to the next, and so is the rest when `work` is told to stop.
    ///
    /// # Errors
    /// Nothing is kept, or it cannot be read. What happens to a single delivery is no error, see [`Reverified`].
    pub fn reverify(&self, wish: Wish, work: &mut Work) -> Result<Reverified, ReverifyError> {
        let ring = self.ring.as_ref().ok_or(ReverifyError::Off)?;
        let _alone = self.bell.alone(work).ok_or(ReverifyError::Busy)?;
        if !ring.flush() {
            return Err(ReverifyError::Unavailable);
        }
        let amount = ring.amount();
        let total = Some(amount.familiar + amount.strangers);
        let mut sum = Reverified {
            dry_run: wish.dry_run,
            ..Reverified::default()
        };
        let (count, mut after) = (ring.count(), None);
        loop {
            work.progress(sum.judged, total, None);
            let portion = ring.after(after, count);
            let Some(last) = portion.last() else {
                return Ok(sum);
            };
            match work.stop() {
                None => {}
                Some(why) => {
                    sum.end = match why {
                        Stop::Cancelled => End::Cancelled,
                        Stop::Leaving => End::Leaving,
                    };
                    return Ok(sum);
                }
            }
            after = Some(last.key);
            self.judge(ring, &portion, &mut sum);
        }
    }

    /// A portion: all of it on its way into the journal before the first is waited for, in the order of arrival.
    fn judge(&self, ring: &Ring, portion: &[rejected::Kept], sum: &mut Reverified) {
        let mut under_way = Vec::new();
        for kept in portion {
            sum.judged += 1;
            let bytes = kept.bytes.as_deref();
            let Some((_, delivery)) = bytes.and_then(rejected::decode) else {
                sum.unreadable += 1;
                continue;
            };
            let Some((app, verified)) = self.prove_again(&delivery) else {
                sum.unproven += 1;
                continue;
            };
            sum.proven += 1;
            if !sum.dry_run {
                let arrival = Arrival {
                    signatures: &[],
                    headers: &delivery.headers,
                    body: delivery.body,
                    peer: None,
                };
                let came = Came::Before(delivery.accepted_at);
                under_way.push((kept.key, self.admit(app, arrival, &verified, came)));
            }
        }
        let mut safe: Vec<Key> = Vec::new();
        for (key, admitted) in under_way {
            let counter = match admitted.map(|(_, admission)| admission) {
                Ok(Admission::Repeat(_)) => Some(&mut sum.duplicates),
                Ok(Admission::Stored(outcome)) => match outcome.blocking_recv() {
                    Ok(Ok(_)) => Some(&mut sum.accepted),
                    _ => None,
                },
                Ok(Admission::Twin(outcome)) => match outcome.blocking_recv() {
                    Ok(Ok(_)) => Some(&mut sum.duplicates),
                    _ => None,
                },
                Err(_) => None,
            };
            match counter {
                Some(counter) => {
                    *counter += 1;
                    safe.push(key);
                }
                None => sum.refused += 1,
            }
        }
        if !safe.is_empty()
            && let Err(error) = ring.remove(&safe)
        {
            tracing::warn!(
                "{} deliveries are in the journal, and could not be removed from those rejected ({error}); after a restart they may be judged again",
                safe.len()
            );
        }
    }

    fn prove_again<'a>(&self, delivery: &Delivery<'a>) -> Option<(&Arc<AppState>, Verified<'a>)> {
        let app = self.app(delivery.app)?;
        let envelope = Envelope::parse(delivery.body).ok()?;
        let verified = verify(envelope, delivery.signature, &app.secrets()).ok()?;
        Some((app, verified))
    }
}

/// Rung when secrets have changed.
#[derive(Default)]
pub(super) struct Bell {
    state: Mutex<Rung>,
    rung: Condvar,
    /// Held for a round.
    alone: Mutex<()>,
}

#[derive(Default)]
struct Rung {
    again: bool,
    leaving: bool,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.state.lock().again = true;
        self.rung.notify_all();
    }

    fn leave(&self) {
        self.state.lock().leaving = true;
        self.rung.notify_all();
    }

    /// Waits for its turn, while `work` is not told to stop.
    fn alone(&self, work: &Work) -> Option<MutexGuard<'_, ()>> {
        loop {
            match self.alone.try_lock_for(LOOK_EVERY) {
                None if work.stop().is_none() => {}
                turn => return turn,
            }
        }
    }

    /// Waits until it rings, but not longer than `limit` where there is one; false to leave.
    fn wait(&self, limit: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        while !state.again && !state.leaving {
            match limit {
                None => self.rung.wait(&mut state),
                Some(limit) => {
                    if self.rung.wait_for(&mut state, limit).timed_out() {
                        break;
                    }
                }
            }
        }
        state.again = false;
        !state.leaving
    }
}

/// The thread that judges again by itself: at start, and whenever secrets have changed.
pub struct Reverifier {
    ingest: Arc<Ingest>,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Reverifier {
    /// Starts it; where nothing is kept, it does nothing.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(ingest: Arc<Ingest>) -> std::io::Result<Self> {
        let mut reverifier = Self {
            ingest: Arc::clone(&ingest),
            stopper: Stopper::default(),
            thread: None,
        };
        if ingest.ring.is_some() {
            let thread = std::thread::Builder::new().name("reverify".to_owned());
            let stopper = reverifier.stopper.clone();
            reverifier.thread = Some(thread.spawn(move || run(&ingest, &stopper))?);
        }
        Ok(reverifier)
    }

    /// Whether its thread has ended, for a bug.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Ends it, after the portion at hand.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stopper.stop(Stop::Leaving);
        self.ingest.bell.leave();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed when it happened; nothing is left to do for it.
            let _ = thread.join();
        }
    }
}

impl Drop for Reverifier {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(ingest: &Ingest, stopper: &Stopper) {
    loop {
        let mut work = Work::new(stopper.clone(), Box::new(drop));
        let unfinished = match ingest.reverify(Wish::default(), &mut work) {
            Ok(sum) => {
                tell(&sum);
                sum.refused > 0
            }
            Err(error) => {
                tracing::warn!("{error}");
                true
            }
        };
        if !ingest.bell.wait(unfinished.then_some(RETRY)) {
            return;
        }
    }
}

fn tell(sum: &Reverified) {
    if sum.refused > 0 {
        tracing::warn!("{sum}; tried again in {RETRY:?}");
    } else if sum.proven > 0 {
        tracing::info!("{sum}");
    }
}
