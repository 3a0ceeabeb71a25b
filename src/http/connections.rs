//! Looks after the ingress's connections: closes those that bring nothing, and takes leave of all when the bridge goes.
//!
//! - **In ordinary times.** actix limits the time of a connection's first head only: after one request, a client could hold its
//!   place for ever with a single byte. A connection that has had no request under way for longer than an idle connection is kept
//!   and a head may take together is closed.
//! - **When all places are taken**, the connections that have waited for their sender the longest make room, so that clients
//!   that say nothing cannot close the door to those that bring a delivery.
//! - **When the bridge leaves**, every answer closes its connection, and a connection that waits for its sender is closed only once
//!   nothing has come for `LINGER`: HTTP/1.1 has no way of closing an idle connection that cannot cross with a request, so
//!   those that speak now and then are given the time to speak once more.
//!
//! Each worker looks after its own: a connection's state never leaves its thread, so that none is closed between the arrival of
//! a request and its handling.

use super::socket;
use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use tokio::sync::watch;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Between two looks while the bridge leaves.
const EVERY_LEAVING: Duration = Duration::from_millis(10);

/// Silence after which a connection is taken to be idle when the bridge leaves.
const LINGER: Duration = Duration::from_secs(1);

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
    looked_after: Cell<bool>,
    told: Cell<Option<Instant>>,
}

/// The limits that connections are kept to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest time without a request under way.
    pub idle: Duration,
    /// Places of one worker.
    pub places: usize,
}

/// All connections of the ingress. Clones are handles to the same.
#[derive(Clone)]
pub struct Connections(Arc<Shared>);

struct Shared {
    leaving: watch::Sender<bool>,
    /// Open connections that were there before the bridge began to leave.
    old: AtomicUsize,
    /// Open connections that have come since.
    new: AtomicUsize,
}

/// A connection of this worker. Lives in the connection's own data: it ends with the connection, on the same thread.
struct Connection {
    shared: Arc<Shared>,
    /// Whether it came when the bridge was leaving already.
    new: bool,
    socket: RawFd,
    /// From a request's head to its answer.
    requests: Cell<usize>,
    /// Of these, the ones whose body has come completely: the sender waits for us.
    owed: Cell<usize>,
    /// Whether memory was set aside for a body that is coming.
    fills: Cell<bool>,
    /// Since when we have waited for the sender.
    waits_since: Cell<Instant>,
    /// Not to be looked at before, when leaving.
    due: Cell<Instant>,
}

/// A request under way on a connection.
pub(super) struct Busy {
    connection: Option<Rc<Connection>>,
    owed: Cell<bool>,
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
        *self.0.leaving.borrow()
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
    pub(super) fn opened(&self, socket: RawFd, data: &mut Extensions, limits: Limits) {
        let connection = Rc::new(Connection::new(self, socket));
        WORKER.with(|worker| {
            worker
                .connections
                .borrow_mut()
                .push(Rc::downgrade(&connection));
            worker.make_room(limits);
            if !worker.looked_after.replace(true) {
                actix_web::rt::spawn(look_after(self.clone(), limits));
            }
        });
        data.insert(connection);
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

impl Connection {
    fn new(connections: &Connections, socket: RawFd) -> Self {
        let new = connections.are_leaving();
        let now = Instant::now();
        let connection = Self {
            shared: Arc::clone(&connections.0),
            new,
            socket,
            requests: Cell::new(0),
            owed: Cell::new(0),
            fills: Cell::new(false),
            waits_since: Cell::new(now),
            due: Cell::new(now),
        };
        connection.counter().fetch_add(1, Ordering::AcqRel);
        WORKER.with(|worker| worker.open.set(worker.open.get() + 1));
        connection
    }

    fn counter(&self) -> &AtomicUsize {
        if self.new {
            &self.shared.new
        } else {
            &self.shared.old
        }
    }

    /// In ordinary times: whether to go on looking after it. Not once it was closed.
    fn keep(&self, idle: Duration) -> bool {
        if self.requests.get() > 0 || self.waits_since.get().elapsed() <= idle {
            return true;
        }
        self.close();
        false
    }

    /// The same when the bridge leaves.
    fn linger(&self) -> bool {
        let now = Instant::now();
        if self.owed.get() > 0 || now < self.due.get().max(self.waits_since.get() + LINGER) {
            return true;
        }
        let silence = socket::silence(self.socket).unwrap_or(LINGER);
        if silence < LINGER || socket::has_input(self.socket) {
            self.due.set(now + LINGER.saturating_sub(silence));
            return true;
        }
        self.close();
        false
    }

    fn close(&self) {
        socket::shut(self.socket);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::AcqRel);
        // At the end of the thread there may be no worker any more.
        let _ = WORKER.try_with(|worker| worker.open.set(worker.open.get().saturating_sub(1)));
    }
}

/// Marks the request's connection as busy until the guard is dropped.
pub(super) fn busy(request: &HttpRequest) -> Busy {
    let connection = request.conn_data::<Rc<Connection>>().map(Rc::clone);
    if let Some(connection) = &connection {
        connection.requests.set(connection.requests.get() + 1);
        connection.waits_since.set(Instant::now());
    }
    Busy {
        connection,
        owed: Cell::new(false),
    }
}

impl Busy {
    /// The request has come completely: from now on it is we who are waited for.
    pub(super) fn complete(&self) {
        if let Some(connection) = &self.connection
            && !self.owed.replace(true)
        {
            connection.owed.set(connection.owed.get() + 1);
            connection.fills.set(false);
        }
    }

    /// Memory is set aside for the request's body.
    pub(super) fn fills(&self) {
        if let Some(connection) = &self.connection {
            connection.fills.set(true);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        let less = |count: &Cell<usize>| count.set(count.get().saturating_sub(1));
        less(&connection.requests);
        connection.fills.set(false);
        if self.owed.get() {
            less(&connection.owed);
        }
        connection.waits_since.set(Instant::now());
    }
}

/// Ends the connection of this worker whose body has been coming the longest, so that others find memory.
pub(super) fn end_longest_body() {
    WORKER.with(|worker| {
        let longest = worker
            .waiting()
            .filter(|connection| connection.fills.get())
            .min_by_key(|connection| connection.waits_since.get());
        if let Some(connection) = longest {
            connection.close();
            connection.fills.set(false);
        }
    });
}

impl Worker {
    const fn new() -> Self {
        Self {
            connections: RefCell::new(Vec::new()),
            open: Cell::new(0),
            looked_after: Cell::new(false),
            told: Cell::new(None),
        }
    }

    fn look(&self, keep: impl Fn(&Connection) -> bool) {
        self.connections
            .borrow_mut()
            .retain(|connection| connection.upgrade().is_some_and(|open| keep(&open)));
    }

    /// The connections that have waited for their sender for a while.
    fn waiting(&self) -> impl Iterator<Item = Rc<Connection>> {
        let open: Vec<_> = self
            .connections
            .borrow()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        open.into_iter().filter(|connection| {
            connection.owed.get() == 0 && connection.waits_since.get().elapsed() > SETTLING
        })
    }

    /// Closes the connections that have waited for their sender the longest, if all places are taken.
    fn make_room(&self, limits: Limits) {
        if self.open.get() < limits.places {
            return;
        }
        let mut waiting: Vec<Rc<Connection>> = self.waiting().collect();
        waiting.sort_unstable_by_key(|connection| connection.waits_since.get());
        let closed = waiting
            .iter()
            .filter(|connection| !socket::has_input(connection.socket))
            .take(limits.places.div_ceil(SHARE))
            .inspect(|connection| connection.close())
            .count();
        let quiet = |told: Instant| told.elapsed() < TELL_EVERY;
        if closed > 0 && !self.told.get().is_some_and(quiet) {
            self.told.set(Some(Instant::now()));
            tracing::warn!(
                "all {} connections of a worker are taken (ICR_BRIDGE_MAX_CONNECTIONS): closed the {closed} that have waited for their sender the longest; told at most every {TELL_EVERY:?}",
                limits.places
            );
        }
    }
}

async fn look_after(connections: Connections, limits: Limits) {
    let mut leaving = connections.0.leaving.subscribe();
    loop {
        if *leaving.borrow_and_update() {
            WORKER.with(|worker| worker.look(Connection::linger));
            tokio::time::sleep(EVERY_LEAVING).await;
        } else {
            // Its sender lives in `connections`: this ends with the time or with the word to leave.
            let _ = tokio::time::timeout(EVERY, leaving.changed()).await;
            WORKER.with(|worker| {
                worker.look(|connection| connection.keep(limits.idle));
                worker.make_room(limits);
            });
        }
    }
}
