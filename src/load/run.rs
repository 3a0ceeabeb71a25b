//! The run itself: `concurrency` tasks that claim numbers, wait for their time, send, and tell what came of it.

use super::clock::Clock;
use super::exchange::Endpoint;
use super::fate::{Fate, NoAnswer, Outcome};
use super::stop::Stop;
use super::summary::Summary;
use super::{Delivery, Observer, Plan, Source};
use parking_lot::Mutex;
use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long before its time a delivery is built. Signing takes some 50 µs; no longer than needed, for a source may want to know
/// what became of earlier ones.
const LEAD: Duration = Duration::from_millis(5);

/// Runs a plan to its end, or until `stop`, on threads of its own: not to be called from an asynchronous context.
///
/// # Errors
/// Threads or TLS cannot be set up. What befalls a delivery is no error but its fate.
///
/// # Panics
/// When source or observer do.
pub fn run<S, O>(plan: Plan, source: S, observer: O, stop: &Stop) -> io::Result<Summary>
where
    S: Source,
    O: Observer<S::Tag>,
{
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let concurrency = plan.concurrency.max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(concurrency))
        .thread_name("load")
        .enable_all()
        .build()?;
    let run = Arc::new(Run::new(plan, source, observer, stop.clone())?);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..concurrency)
            .map(|_| tokio::spawn(Arc::clone(&run).work()))
            .collect();
        for task in tasks {
            if let Err(error) = task.await
                && let Ok(panic) = error.try_into_panic()
            {
                resume_unwind(panic);
            }
        }
    });
    let mut summary = std::mem::take(&mut *run.summary.lock());
    summary.elapsed = run.start.elapsed();
    Ok(summary)
}

struct Run<S, O> {
    plan: Plan,
    total: Option<u64>,
    source: S,
    observer: O,
    stop: Stop,
    endpoint: Endpoint,
    clock: Clock,
    start: Instant,
    next: AtomicU64,
    exhausted: AtomicBool,
    summary: Mutex<Summary>,
}

/// What a task does with the number that it claimed.
enum Claim {
    /// Sends it, at a moment in an open loop.
    Send(u64, Option<Instant>),
    /// It was due, and comes too late.
    Unsent(u64, Instant),
}

impl<S, O> Run<S, O>
where
    S: Source,
    O: Observer<S::Tag>,
{
    fn new(plan: Plan, source: S, observer: O, stop: Stop) -> io::Result<Self> {
        Ok(Self {
            total: plan.total(),
            endpoint: Endpoint::new(&plan.target)?,
            plan,
            source,
            observer,
            stop,
            clock: Clock::start()?,
            start: Instant::now(),
            next: AtomicU64::new(0),
            exhausted: AtomicBool::new(false),
            summary: Mutex::default(),
        })
    }

    async fn work(self: Arc<Self>) {
        while let Some(claim) = self.claim() {
            match claim {
                Claim::Unsent(number, scheduled) => {
                    self.summary.lock().unsent += 1;
                    self.observer.unsent(number, scheduled);
                }
                Claim::Send(number, scheduled) => {
                    let Some(delivery) = self.prepare(number, scheduled).await else {
                        return;
                    };
                    let fate = self.send(number, scheduled, delivery).await;
                    self.summary.lock().count(&fate);
                    self.observer.fate(fate);
                }
            }
        }
    }

    /// The next number, unless there are no more.
    fn claim(&self) -> Option<Claim> {
        let now = Instant::now();
        let end = self.end();
        let over = end.is_some_and(|end| now >= end);
        if self.exhausted.load(Ordering::Acquire) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::AcqRel);
        if self.total.is_some_and(|total| number >= total) {
            return None;
        }
        match self.plan.due(number).map(|due| self.start + due) {
            None => (!over).then_some(Claim::Send(number, None)),
            Some(scheduled) if !over => Some(Claim::Send(number, Some(scheduled))),
            Some(scheduled) => end
                .is_some_and(|end| scheduled < end)
                .then_some(Claim::Unsent(number, scheduled)),
        }
    }

    /// From when on nothing new is sent.
    fn end(&self) -> Option<Instant> {
        let planned = self.plan.duration.map(|duration| self.start + duration);
        match (planned, self.stop.since()) {
            (Some(planned), Some(stopped)) => Some(planned.min(stopped)),
            (planned, stopped) => planned.or(stopped),
        }
    }

    /// Waits and builds; none where the run ended meanwhile, or the source has no more.
    async fn prepare(&self, number: u64, scheduled: Option<Instant>) -> Option<Delivery<S::Tag>> {
        if let Some(scheduled) = scheduled {
            let early = scheduled.checked_sub(LEAD).unwrap_or(scheduled);
            self.wait(early, scheduled).await?;
        }
        let delivery = self.source.delivery(number);
        if delivery.is_none() {
            self.exhausted.store(true, Ordering::Release);
        }
        if let Some(scheduled) = scheduled {
            self.wait(scheduled, scheduled).await?;
        }
        delivery
    }

    /// Waits for a moment; none where the run ended before the delivery was due.
    async fn wait(&self, moment: Instant, scheduled: Instant) -> Option<()> {
        tokio::select! {
            biased;
            () = self.clock.at(moment) => {}
            () = self.stop.stopped() => {}
        }
        let stopped = self.stop.since();
        stopped
            .is_none_or(|stopped| scheduled <= stopped)
            .then_some(())
    }

    async fn send(
        &self,
        number: u64,
        scheduled: Option<Instant>,
        delivery: Delivery<S::Tag>,
    ) -> Fate<S::Tag> {
        let Delivery { headers, body, tag } = delivery;
        let sent = Instant::now();
        let exchange = self.endpoint.exchange(headers, body);
        let answer = tokio::select! {
            biased;
            answer = tokio::time::timeout(self.plan.timeout, exchange) => {
                answer.unwrap_or(Err(NoAnswer::Timeout))
            }
            () = self.stop.stopped_at_once() => Err(NoAnswer::GivenUp),
        };
        let scheduled = scheduled.unwrap_or(sent);
        Fate {
            number,
            scheduled,
            sent,
            latency: scheduled.elapsed(),
            outcome: answer.map_or_else(Outcome::NoAnswer, Outcome::Answered),
            tag,
        }
    }
}
