//! The publisher's loop: read, prepare, hand over, settle what Kafka reports, save the cursor.
//!
//! One thread owns all of this state. The way of a delivery is in `forward` and `settle`; what happens when it does not get on,
//! in `recovery`; what is known of topics, in `gate`.
use super::PublisherSettings;
use super::control::Control;
use super::gate::PROBE;
use super::hang_ups::HangUps;
use super::held::HeldRetry;
use super::in_flight::{Bounds, InFlight};
use super::inbox::{Inbox, Report};
use super::kafka::{Client, Surroundings};
use super::lessons::Learned;
use super::policy::Policies;
use super::prepare::Verdict;
use super::recovery::{Backoff, Round, Trouble};
use super::sink::Sink;
use super::stamps::Stamps;
use super::topics::Created;
use crate::domain::delivery::Millis;
use crate::domain::record::Record;
use crate::journal::reader::Reader;
use crate::journal::{Journal, Sequence};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many records are read between two looks at the reports.
const STRIDE: usize = 64;

/// How long it rests when nothing calls: bounds the age of what periodic work reports.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// How long it rests with nothing in flight and nothing to save.
pub(super) const IDLE_TICK: Duration = Duration::from_secs(1);

/// A record that is ready and waits to be taken.
pub(super) struct Carry {
    pub(super) sequence: Sequence,
    pub(super) record: Record,
    pub(super) accepted_at: Millis,
    /// It was with an earlier producer.
    pub(super) again: bool,
    /// Not to be tried before.
    pub(super) not_before: Option<Instant>,
}

/// How the loop rests before its next round.
pub(super) enum Rest {
    /// Not at all.
    No,
    /// Until a report comes, at most so long.
    Inbox(Duration),
    /// Until a record or a report comes, at most so long.
    Reader(Duration),
}

/// The publisher's state, owned by its thread.
pub(super) struct Line {
    pub(super) journal: Journal,
    pub(super) settings: PublisherSettings,
    pub(super) surroundings: Surroundings,
    pub(super) control: Arc<Control>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) window: InFlight,
    /// Names of topics, so that the window need not hold a string a record.
    pub(super) names: Vec<String>,
    pub(super) verdicts: BTreeMap<Sequence, Verdict>,
    /// Held by an earlier line that did not live to save its cursor: read again, they may be published this time.
    pub(super) copies: BTreeSet<Sequence>,
    pub(super) held: HeldRetry,

    pub(super) epoch: u64,
    pub(super) client: Option<Client>,
    pub(super) alone: bool,
    pub(super) round: Option<Round>,
    pub(super) always_alone: bool,
    pub(super) batch_size: Option<usize>,
    pub(super) retry_at: Option<Instant>,
    pub(super) backoff: Backoff,
    pub(super) stamps: Stamps,
    pub(super) trouble: Option<Trouble>,
    pub(super) suspects: Vec<(Sequence, usize)>,
    pub(super) condemned: usize,
    pub(super) learned: Learned,
    pub(super) hang_ups: HangUps,

    pub(super) usable: HashSet<String>,
    pub(super) policies: Policies,
    pub(super) created: Created,
    pub(super) to_probe: VecDeque<String>,
    pub(super) probe_at: Option<Instant>,
    pub(super) probe_patience: Duration,
    pub(super) blocked_since: Option<Instant>,
    /// Since when the quarantine topic is missing or forbidden.
    pub(super) no_quarantine_since: Option<Instant>,
    pub(super) last_report: Instant,
    pub(super) unexplained: u32,
    pub(super) failing: bool,

    pub(super) reader: Option<Reader>,
    pub(super) next_read: Sequence,
    pub(super) carry: Option<Carry>,
    pub(super) caught_up: bool,
    pub(super) closed: bool,
    /// Not to be read before, after a failure.
    pub(super) read_at: Option<Instant>,

    pub(super) reports: Vec<Report>,
    pub(super) encoded: Vec<u8>,
    pub(super) written: Sequence,
    pub(super) synced_at: Instant,
    pub(super) save_not_before: Option<Instant>,
    looked_after: Option<Instant>,
}

impl Line {
    pub(super) fn new(
        journal: Journal,
        settings: PublisherSettings,
        surroundings: Surroundings,
        control: Arc<Control>,
    ) -> Self {
        let progress = journal.progress();
        let bounds = Bounds {
            records: surroundings.window,
            bytes: queue_bytes(&surroundings.properties),
        };
        let durable = journal.durable_progress().sequence;
        // What a line before this one left there is of no interest.
        surroundings.inbox.take(&mut Vec::new());
        Self {
            inbox: Arc::clone(&surroundings.inbox),
            sink: Arc::clone(&surroundings.sink),
            window: InFlight::new(progress, durable, bounds),
            names: Vec::new(),
            verdicts: BTreeMap::new(),
            copies: journal.held_ahead().into_iter().collect(),
            held: HeldRetry::new(settings.timings.held_retry),
            epoch: 0,
            client: None,
            alone: false,
            round: None,
            always_alone: false,
            batch_size: None,
            retry_at: None,
            backoff: Backoff::new(settings.timings.backoff_first, settings.timings.backoff_max),
            stamps: Stamps::default(),
            trouble: None,
            suspects: Vec::new(),
            condemned: 0,
            learned: Learned::default(),
            hang_ups: HangUps::default(),
            usable: HashSet::new(),
            policies: Policies::default(),
            created: Created::default(),
            to_probe: VecDeque::new(),
            probe_at: None,
            probe_patience: PROBE,
            blocked_since: None,
            no_quarantine_since: None,
            last_report: Instant::now(),
            unexplained: 0,
            failing: false,
            reader: None,
            next_read: progress.sequence + 1,
            carry: None,
            caught_up: false,
            closed: false,
            read_at: None,
            reports: Vec::new(),
            encoded: Vec::new(),
            written: progress.sequence,
            synced_at: Instant::now(),
            save_not_before: None,
            looked_after: None,
            journal,
            settings,
            surroundings,
            control,
        }
    }

    /// Publishes until told to stop.
    pub(super) fn run(mut self) {
        while !self.done() {
            let rest = self.step();
            self.rest(rest);
            self.settle_reports();
            self.look_for_hang_ups();
            if let Some(trouble) = self.trouble.take() {
                self.go_back(trouble);
            }
            self.save(false);
            self.look_after();
        }
        self.leave();
    }

    /// The next thing to do; says how to rest afterwards.
    fn step(&mut self) -> Rest {
        if self.client.is_none() {
            return self.build_when_due();
        }
        if self.round_is_over() {
            self.end_round();
            return Rest::No;
        }
        if let Some(carry) = self.carry.take() {
            if let Some(wait) = carry.not_before.and_then(still) {
                self.carry = Some(carry);
                return Rest::Inbox(wait);
            }
            return self.hand_over(carry);
        }
        if let Some(wait) = self.read_at.and_then(still) {
            return Rest::Inbox(wait);
        }
        if self.is_at_a_loss() {
            return self.try_suspects_again();
        }
        for _ in 0..STRIDE {
            if !self.may_read() {
                return Rest::Inbox(TICK);
            }
            match self.read(Duration::ZERO) {
                // A record that has to wait must not be overtaken.
                Rest::No if self.trouble.is_none() && self.carry.is_none() => {}
                rest => return rest,
            }
        }
        Rest::No
    }

    fn may_read(&self) -> bool {
        let in_round = self
            .round
            .as_ref()
            .is_none_or(|round| self.next_read <= round.until || self.hang_ups.is_passing());
        let on_time = self
            .control
            .deadline()
            .is_none_or(|(half, _)| Instant::now() < half);
        let its_turn = !self.goes_one_by_one() || self.window.sent() == 0;
        in_round && on_time && its_turn && !self.closed && self.window.has_room(self.next_read)
    }

    fn rest(&mut self, rest: Rest) {
        let clamp = |limit: Duration, control: &Control| match control.deadline() {
            // On the way out the clock counts, whatever the tick.
            Some((_, deadline)) => limit
                .min(deadline.saturating_duration_since(Instant::now()))
                .min(Duration::from_millis(20)),
            None => limit,
        };
        match rest {
            Rest::No => {}
            Rest::Inbox(limit) => {
                let limit = clamp(limit, &self.control);
                match &self.client {
                    // Nothing more is read: what lingers is sent at once.
                    Some(client) if self.control.deadline().is_some() && self.window.sent() > 0 => {
                        client.flush(limit);
                    }
                    _ => self.inbox.wait(limit),
                }
            }
            Rest::Reader(limit) => {
                let limit = clamp(limit, &self.control);
                let waker = self.reader.as_ref().map(Reader::waker);
                if let Some(waker) = waker
                    && self.inbox.sleep_in_reader(&waker)
                {
                    // Whatever it reports, the next round looks again.
                    let _ = self.read(limit);
                    self.inbox.awake();
                }
            }
        }
    }

    /// What is to be done once in a while.
    fn look_after(&mut self) {
        let every = self.settings.timings.stall.min(TICK);
        if self.looked_after.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        self.looked_after = Some(Instant::now());
        let oldest = self
            .window
            .oldest()
            .or_else(|| self.carry.as_ref().map(|carry| carry.accepted_at));
        self.sink.oldest_pending(oldest);
        self.probe_ahead();
        self.look_for_a_stall();
        self.forget_hang_ups();
        self.retry_held();
        self.watch_policies();
    }

    /// Whether to leave: told to, and there is nothing left that could be done in time.
    fn done(&self) -> bool {
        let Some((half, deadline)) = self.control.deadline() else {
            return false;
        };
        let now = Instant::now();
        let connected = match &self.client {
            Some(client) => client.health().brokers_up() != Some(0),
            // About to be built, or pausing after a failure.
            None => self.retry_at.is_none(),
        };
        let blocked = self
            .carry
            .as_ref()
            .is_some_and(|carry| carry.not_before.is_some());
        let nothing_more = blocked || self.closed || now >= half || self.is_idle();
        now >= deadline || !connected || (nothing_more && self.window.sent() == 0)
    }

    /// Whether all that is in the journal has been read.
    fn is_idle(&self) -> bool {
        self.caught_up && self.carry.is_none() && self.next_read > self.journal.last_sequence()
    }

    /// Saves the cursor, discards the producer, and counts what that still reported.
    fn leave(mut self) {
        self.save(true);
        self.held.stop();
        drop(self.client.take());
        self.settle_reports();
        self.save(true);
        let left = self
            .journal
            .last_sequence()
            .saturating_sub(self.window.progress().sequence);
        tracing::info!(
            cursor = self.window.progress().sequence,
            left,
            "the publisher has stopped; {left} deliveries wait in the journal for the next start"
        );
    }

    /// A new producer starts from the cursor.
    pub(super) fn rewind(&mut self) {
        self.reader = None;
        self.carry = None;
        self.next_read = self.window.progress().sequence + 1;
    }
}

/// How long until `at`; `None` once it has passed.
pub(super) fn still(at: Instant) -> Option<Duration> {
    let left = at.saturating_duration_since(Instant::now());
    (!left.is_zero()).then_some(left)
}

/// The bound in bytes: half the producer's own, which then never has to refuse. That is room for a few requests of the largest size, and
/// a request takes its memory a second time while it is compressed and sent.
fn queue_bytes(properties: &BTreeMap<String, String>) -> usize {
    let kilobytes = properties
        .get("queue.buffering.max.kbytes")
        .and_then(|value| value.parse::<usize>().ok())
        .unwrap_or(16_384);
    kilobytes.saturating_mul(1024) / 2
}
