//! Looks after a listener's connections: closes those that bring nothing or take nothing, and takes leave of all when the bridge goes.
//!
//! - **In ordinary times.** A connection is closed when a head does not come within its time (408 where it is the first one), when it
//!   has been idle for longer than an idle connection is kept, or when its answers are not read. The HTTP library's own timers are off:
//!   they fire before what has arrived is read, so after a standstill of the process they would give up requests that are there. Here
//!   time in which nobody could look is not counted, and what has arrived is read first.
//! - **When all places are taken**, the connections that have waited for their sender the longest make room, so that clients
//!   that say nothing cannot close the door to those that bring a delivery.
//! - **When long heads, bodies that wait for memory and unread answers take too much together**, those that have held some for the
//!   longest make room.
//! - **When the bridge leaves**, every answer closes its connection, and a connection that waits for its sender is closed only once
//!   nothing has come for a while: HTTP/1.1 has no way of closing an idle connection that cannot cross with a request, so
//!   those that speak now and then are given the time to speak once more.
//!
//! Each worker looks after its own: a connection's state never leaves its thread, so that none is closed between the arrival of
//! a request and its handling.

use super::connection::Connection;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Between two looks while the bridge leaves.
const EVERY_LEAVING: Duration = Duration::from_millis(10);

/// A look that comes so much later than it should was kept from it: by a standstill of the process, or by want of processor time.
const LATE: Duration = Duration::from_millis(500);

/// A connection younger than this never makes room: its first request may be just behind it.
const SETTLING: Duration = Duration::from_millis(100);

/// The part of all places (one in so many) that is made free at a time.
const SHARE: usize = 16;

/// Between two log lines about room being made.
const TELL_EVERY: Duration = Duration::from_secs(10);

thread_local! {
    static WORKER: Worker = const { Worker::new() };
}

/// What a worker knows of its connections.
struct Worker {
    connections: RefCell<Vec<Weak<Connection>>>,
    open: Cell<usize>,
    /// Bytes that connections are counted for: see [`Connection`].
    held: Cell<usize>,
    /// And what they may be together.
    held_limit: Cell<usize>,
    /// Those for whose bodies memory was set aside, the longest first; some have ended since.
    filling: RefCell<VecDeque<Weak<Connection>>>,
    looked_after: Cell<bool>,
    told: Cell<Option<Instant>>,
}

/// The limits that connections are kept to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time for a request's head.
    pub head: Duration,
    /// Longest time between two requests.
    pub idle: Duration,
    /// Places of one worker.
    pub places: usize,
    /// Bytes that one worker's connections may take together for long heads, bodies that wait for memory, and unread answers.
    pub held: usize,
    /// CPU time that one request may cost before its body is there.
    pub cost: super::meter::Limit,
}

/// All connections of the ingress. Clones are handles to the same.
#[derive(Clone)]
pub struct Connections(Arc<Shared>);

pub(super) struct Shared {
    leaving: watch::Sender<bool>,
    /// Open connections that were there before the bridge began to leave.
    old: AtomicUsize,
    /// Open connections that have come since.
    new: AtomicUsize,
}

impl Shared {
    pub(super) fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    pub(super) fn counter(&self, new: bool) -> &AtomicUsize {
        if new { &self.new } else { &self.old }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self(Arc::new(Shared {
            leaving: watch::Sender::new(false),
            old: AtomicUsize::new(0),
            new: AtomicUsize::new(0),
        }))
    }
}

impl Connections {
    /// From now on every answer closes its connection, and idle connections are closed.
    pub fn leave(&self) {
        self.0.leaving.send_replace(true);
    }

    /// Whether connections should be closed after the answer.
    pub fn are_leaving(&self) -> bool {
        self.0.is_leaving()
    }

    /// Waits until the connections that were open when the bridge began to leave are gone, but not longer than `limit`.
    pub async fn old_ones_gone(&self, limit: Duration) {
        settle(Duration::ZERO, limit, || {
            self.0.old.load(Ordering::Acquire) == 0
        })
        .await;
    }

    /// Waits until there has been no connection for `quiet`, but not longer than `limit`; how many are left.
    pub async fn all_gone(&self, quiet: Duration, limit: Duration) -> usize {
        settle(quiet, limit, || self.open() == 0).await;
        self.open()
    }

    fn open(&self) -> usize {
        self.0.old.load(Ordering::Acquire) + self.0.new.load(Ordering::Acquire)
    }

    /// Notes a new connection of this worker.
    pub(super) fn opened(&self, socket: RawFd, limits: Limits) -> Rc<Connection> {
        let connection = Rc::new(Connection::new(&self.0, socket, limits.cost));
        WORKER.with(|worker| {
            worker
                .connections
                .borrow_mut()
                .push(Rc::downgrade(&connection));
            worker.held_limit.set(limits.held);
            worker.make_room(limits);
            if !worker.looked_after.replace(true) {
                actix_web::rt::spawn(look_after(self.clone(), limits));
            }
        });
        connection
    }
}

/// Waits until `condition` has held for `time`, but not longer than `limit`.
async fn settle(time: Duration, limit: Duration, condition: impl Fn() -> bool) {
    const STEP: Duration = Duration::from_millis(2);
    let begun = Instant::now();
    let mut since = None;
    while begun.elapsed() < limit {
        since = condition().then(|| since.unwrap_or_else(Instant::now));
        if since.is_some_and(|since: Instant| since.elapsed() >= time) {
            return;
        }
        tokio::time::sleep(STEP).await;
    }
}

/// One connection more or less. At the end of the thread there may be no worker any more.
pub(super) fn count(change: isize) {
    let _ = WORKER.try_with(|worker| {
        worker
            .open
            .set(worker.open.get().saturating_add_signed(change));
    });
}

/// A connection that was counted for `before` bytes now is for `after`.
pub(super) fn hold(before: usize, after: usize) {
    let _ = WORKER.try_with(|worker| {
        worker
            .held
            .set((worker.held.get() + after).saturating_sub(before));
        if after > before {
            worker.bound();
        }
    });
}

/// Memory was set aside for a body of this connection.
pub(super) fn fills(connection: &Rc<Connection>) {
    WORKER.with(|worker| {
        let mut filling = worker.filling.borrow_mut();
        // Whoever has ended goes when the next one comes: no more stand here than bodies have had memory at a time.
        let ended = |one: &Weak<Connection>| one.upgrade().is_none_or(|open| !open.is_filling());
        while filling.front().is_some_and(ended) {
            filling.pop_front();
        }
        filling.push_back(Rc::downgrade(connection));
    });
}

/// Ends the connection of this worker whose body has been coming the longest, so that others find memory.
pub(super) fn end_longest_body() {
    WORKER.with(|worker| {
        let longest = || worker.filling.borrow_mut().pop_front();
        while let Some(one) = longest() {
            if let Some(connection) = one.upgrade()
                && connection.is_filling()
            {
                connection.give_way();
                return;
            }
        }
    });
}

impl Worker {
    const fn new() -> Self {
        Self {
            connections: RefCell::new(Vec::new()),
            open: Cell::new(0),
            held: Cell::new(0),
            held_limit: Cell::new(usize::MAX),
            filling: RefCell::new(VecDeque::new()),
            looked_after: Cell::new(false),
            told: Cell::new(None),
        }
    }

    fn look(&self, keep: impl Fn(&Connection) -> bool) {
        self.connections
            .borrow_mut()
            .retain(|connection| connection.upgrade().is_some_and(|open| keep(&open)));
    }

    /// Whether there is anything to look after; else the next connection begins it anew.
    fn is_looked_after(&self) -> bool {
        self.looked_after.set(self.open.get() > 0);
        self.looked_after.get()
    }

    fn connections(&self) -> Vec<Rc<Connection>> {
        let all = self.connections.borrow();
        all.iter().filter_map(Weak::upgrade).collect()
    }

    /// Closes the connections that have waited for their sender the longest, if all places are taken.
    fn make_room(&self, limits: Limits) {
        if self.open.get() < limits.places {
            return;
        }
        let mut waiting = self.connections();
        waiting.retain(|connection| connection.waits(SETTLING));
        waiting.sort_unstable_by_key(|connection| connection.waits_since());
        let closed = waiting
            .iter()
            .take(limits.places.div_ceil(SHARE))
            .inspect(|connection| connection.give_way())
            .count();
        if closed > 0 {
            self.tell(&format!(
                "all {} connections of a worker are taken (ICR_BRIDGE_MAX_CONNECTIONS): closed the {closed} that have waited for their sender the longest",
                limits.places
            ));
        }
    }

    /// If the connections of this worker hold more than they may together, ends those that have done so for the longest.
    fn bound(&self) {
        let limit = self.held_limit.get();
        if self.held.get() <= limit {
            return;
        }
        let mut holding = self.connections();
        holding.retain(|connection| connection.is_holding());
        holding.sort_unstable_by_key(|connection| connection.waits_since());
        // A part at a time, so that the next one that holds something does not have all looked through again.
        let enough = limit - limit / SHARE;
        let closed = holding
            .iter()
            .take_while(|_| self.held.get() > enough)
            .inspect(|connection| connection.give_way())
            .count();
        self.tell(&format!(
            "long heads, bodies that wait for memory and unread answers took more than {limit} bytes of a worker's memory: closed the {closed} connections that have held some for the longest"
        ));
    }

    fn tell(&self, what: &str) {
        let quiet = |told: Instant| told.elapsed() < TELL_EVERY;
        if !self.told.get().is_some_and(quiet) {
            self.told.set(Some(Instant::now()));
            tracing::warn!("{what}; told at most every {TELL_EVERY:?}");
        }
    }

    /// Time in which nobody could look is not counted against anybody.
    fn excuse(&self, since: Instant) {
        let late = since.elapsed().saturating_sub(EVERY);
        if late > LATE {
            self.connections()
                .iter()
                .for_each(|connection| connection.excuse(late));
        }
    }
}

/// As long as this worker has connections.
async fn look_after(connections: Connections, limits: Limits) {
    let mut leaving = connections.0.leaving.subscribe();
    while WORKER.with(Worker::is_looked_after) {
        let since = Instant::now();
        if *leaving.borrow_and_update() {
            WORKER.with(|worker| worker.look(Connection::linger));
            tokio::time::sleep(EVERY_LEAVING).await;
        } else {
            // Its sender lives in `connections`: this ends with the time or with the word to leave.
            let _ = tokio::time::timeout(EVERY, leaving.changed()).await;
            WORKER.with(|worker| {
                worker.excuse(since);
                worker.look(|connection| connection.keep(&limits));
                worker.make_room(limits);
            });
        }
    }
}
