//! One connection: what it is waited for, and how much of what it sent is still to be worked on.
//!
//! # What a connection may take
//! A client that sends more than it lets us answer must cost a bounded amount of memory and no processor time. The HTTP library reads
//! as long as there is something to read, keeps up to a kilobyte for each request of 28 bytes that a client pipelines, and wakes itself
//! while its read buffer is full. So the bytes are kept from it, and stay with the kernel, whose buffers are bounded:
//!
//! - **While an answer cannot be written, nothing is read.** An answer that is not taken within `WRITE_TIME` ends the connection,
//!   however slowly the client reads meanwhile, and what was still to be sent is dropped.
//! - **While a complete request is worked on, one read ahead is made** of at most `STEP` bytes, and kept: see [`super::stream`].
//! - **Otherwise `STEP` bytes are passed on at a time**, more only of a head that is long already, and of a body whose length was declared
//!   and for which memory was set aside; and none while a body waits for that memory.
//!
//! What a connection makes us keep beyond what every connection takes is counted (`held`): a head longer than `SHORT`, the beginning of a
//! body that waits for memory, answers that are not read. All connections of a worker share a limit of it: see [`super::connections`].

use super::connections::{self, Limits, Shared};
use super::meter::{self, Meter};
use super::socket;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

/// Bytes that are read at a time: an ordinary delivery fits into them.
pub(super) const STEP: usize = 4 << 10;

/// The same while a long head comes: as much again as has come of it, up to this.
const HEAD_STEP: usize = 16 << 10;

/// The same while a body of known length comes: fewer, larger reads.
const BODY_STEP: usize = 64 << 10;

/// A head up to this length, as genuine ones have, is not counted.
const SHORT: usize = 1 << 10;

/// What is kept of a body that waits for memory: its request, and what came of it in one read.
const WAITING: usize = 16 << 10;

/// The longest head that the HTTP library gathers before it answers 431.
const LONGEST_HEAD: usize = 128 << 10;

/// What a connection keeps whose answers are not read, at most: the requests that were passed on at once, and their answers. The fault
/// `never-reading` measures less.
const UNREAD: usize = 384 << 10;

/// How long a client may take to read the answers that are ready for it.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(5);

/// Silence after which a connection is taken to be idle when the bridge leaves.
const LINGER: Duration = Duration::from_secs(1);

/// How long what has arrived when a body's time is over may take to be read. Bytes that keep coming are read for that long, too.
const GRACE: Duration = Duration::from_secs(5);

/// Between two looks at whether anything is left of it.
const GRACE_STEP: Duration = Duration::from_millis(20);

/// A connection of this worker. It is shared by its stream and its data, and ends with them, on the same thread, before its descriptor
/// is given to another connection.
pub(super) struct Connection {
    shared: Arc<Shared>,
    /// Whether it came when the bridge was leaving already.
    new: bool,
    socket: RawFd,
    /// From a request's head to its answer.
    requests: Cell<usize>,
    /// Of these, the ones whose body has come completely: the sender waits for us.
    owed: Cell<usize>,
    /// Whether a request has come before.
    served: Cell<bool>,
    /// What is still expected of a body for which memory was set aside; `None` where none was.
    fills: Cell<Option<usize>>,
    /// A body waits for memory: no more of it is read.
    waits_for_memory: Cell<bool>,
    /// Bytes of the next request that were passed on: of its head, or ahead of the answer to the one before.
    ahead: Cell<usize>,
    /// Bytes passed on since the HTTP library was last given its turn.
    passed: Cell<usize>,
    /// It was given its turn although more may have come.
    paused: Cell<bool>,
    /// The beginning of the next request is kept until the answer that is owed has been given.
    held_back: Cell<bool>,
    /// Since when answers wait to be read.
    unread_since: Cell<Option<Instant>>,
    /// Bytes that it is counted for in the worker's limit.
    held: Cell<usize>,
    /// Since when we have waited for the sender.
    waits_since: Cell<Instant>,
    /// It was overdue, but something had just come.
    spared: Cell<bool>,
    /// Its head has not come in time.
    given_up: Cell<bool>,
    /// Its stream is to say so.
    overdue: Cell<bool>,
    /// It was closed and is on its way out.
    closed: Cell<bool>,
    /// Not to be looked at before, when leaving.
    due: Cell<Instant>,
    /// What the request at hand has cost.
    meter: Rc<Meter>,
    /// Wakes its task.
    waker: RefCell<Option<Waker>>,
}

/// A request under way on a connection.
pub(super) struct Busy {
    connection: Option<Rc<Connection>>,
    owed: Cell<bool>,
}

impl Connection {
    pub(super) fn new(shared: &Arc<Shared>, socket: RawFd, cost: meter::Limit) -> Self {
        let new = shared.is_leaving();
        let now = Instant::now();
        let connection = Self {
            shared: Arc::clone(shared),
            new,
            socket,
            requests: Cell::new(0),
            owed: Cell::new(0),
            served: Cell::new(false),
            fills: Cell::new(None),
            waits_for_memory: Cell::new(false),
            ahead: Cell::new(0),
            passed: Cell::new(0),
            paused: Cell::new(false),
            held_back: Cell::new(false),
            unread_since: Cell::new(None),
            held: Cell::new(0),
            waits_since: Cell::new(now),
            spared: Cell::new(false),
            given_up: Cell::new(false),
            overdue: Cell::new(false),
            closed: Cell::new(false),
            due: Cell::new(now),
            meter: Meter::new(cost),
            waker: RefCell::new(None),
        };
        connection.counter().fetch_add(1, Ordering::AcqRel);
        connections::count(1);
        connection
    }

    fn counter(&self) -> &AtomicUsize {
        self.shared.counter(self.new)
    }

    pub(super) fn socket(&self) -> RawFd {
        self.socket
    }

    // What its stream asks and tells.

    /// How many bytes may be read now; if none, its task is woken when that has changed.
    pub(super) fn may_read(&self, context: &mut Context<'_>) -> usize {
        self.remember(context);
        self.paused.set(false);
        if self.unread_since.get().is_some() || self.waits_for_memory.get() {
            return 0;
        }
        let step = match self.fills.get() {
            Some(left) => left.min(BODY_STEP),
            // A long head is looked through from its beginning each time more of it comes.
            None if self.requests.get() == 0 => self.ahead.get().min(HEAD_STEP),
            None => 0,
        };
        let room = step.max(STEP).saturating_sub(self.passed.get());
        if room == 0 {
            self.passed.set(0);
            self.paused.set(true);
            context.waker().wake_by_ref();
        }
        room
    }

    /// Whether a request has come completely and has no answer, or an answer was not taken.
    pub(super) fn is_owing(&self) -> bool {
        self.owed.get() > 0 || self.waits_for_memory.get() || self.unread_since.get().is_some()
    }

    /// Whether the beginning of the next request is kept; its task is woken once no answer is owed.
    pub(super) fn hold_back(&self, is_kept: bool) {
        self.held_back.set(is_kept);
    }

    /// Whether it was closed here.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Meters what its requests cost.
    pub(super) fn meter(&self) -> &Rc<Meter> {
        &self.meter
    }

    /// So many bytes were read and are passed on; false if the request has cost more than it may.
    pub(super) fn has_read(&self, count: usize) -> bool {
        self.passed.set(self.passed.get() + count);
        if let Some(left) = self.fills.get() {
            self.fills.set(Some(left.saturating_sub(count)));
        }
        if self.requests.get() == 0 && self.ahead.get() == 0 {
            // The next request begins.
            self.waits_since.set(Instant::now());
        }
        if self.requests.get() == 0 || self.owed.get() > 0 {
            self.ahead.set(self.ahead.get() + count);
            self.count_held();
        }
        count == 0 || self.meter.read(count)
    }

    /// Nothing is there to be read at present.
    pub(super) fn has_read_all(&self) {
        self.passed.set(0);
    }

    /// The socket takes no more of the answers at present.
    pub(super) fn is_unread(&self) {
        if self.unread_since.get().is_none() {
            self.unread_since.set(Some(Instant::now()));
            self.count_held();
        }
    }

    /// The socket has taken all of the answers.
    pub(super) fn is_taken(&self) {
        if self.unread_since.take().is_some() {
            self.count_held();
            self.wake();
        }
    }

    /// Whether its head has not come in time, once.
    pub(super) fn take_overdue(&self) -> bool {
        self.overdue.replace(false)
    }

    fn remember(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|known| known.will_wake(context.waker()))
        {
            *waker = Some(context.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn count_held(&self) {
        let held = match self.ahead.get() {
            _ if self.closed.get() => 0,
            _ if self.unread_since.get().is_some() => UNREAD,
            _ if self.waits_for_memory.get() => WAITING,
            short if short <= SHORT => 0,
            long => long.min(LONGEST_HEAD),
        };
        let before = self.held.replace(held);
        if before != held {
            connections::hold(before, held);
        }
    }

    // What those ask who look after it.

    /// In ordinary times: whether to go on looking after it.
    pub(super) fn keep(&self, limits: &Limits) -> bool {
        if self.unread_for(WRITE_TIME) {
            self.abort();
            return false;
        }
        if self.given_up.get() {
            self.close();
            return false;
        }
        if self.requests.get() > 0 || self.unread_since.get().is_some() {
            return true;
        }
        let awaited = !self.served.get() || self.ahead.get() > 0;
        let limit = if awaited { limits.head } else { limits.idle };
        if self.waits_since.get().elapsed() <= limit {
            return true;
        }
        // What has arrived is read before it is given up; once, or who sends now and then would stay for ever.
        if self.has_input() && !self.spared.replace(true) {
            return true;
        }
        if self.served.get() {
            self.close();
            return false;
        }
        // Should it not go by itself, the next look closes it.
        self.given_up.set(true);
        self.overdue.set(true);
        self.wake();
        true
    }

    /// The same when the bridge leaves.
    pub(super) fn linger(&self) -> bool {
        if self.unread_for(WRITE_TIME) {
            self.abort();
            return false;
        }
        let now = Instant::now();
        if self.owed.get() > 0 || now < self.due.get().max(self.waits_since.get() + LINGER) {
            return true;
        }
        let silence = socket::silence(self.socket).unwrap_or(LINGER);
        if silence < LINGER || self.has_input() {
            self.due.set(now + LINGER.saturating_sub(silence));
            return true;
        }
        self.close();
        false
    }

    /// Nobody looked for so long: the process stood still, or could not run. That time is not the client's.
    pub(super) fn excuse(&self, time: Duration) {
        let now = Instant::now();
        let later = |since: Instant| (since + time).min(now);
        self.waits_since.set(later(self.waits_since.get()));
        self.unread_since.set(self.unread_since.get().map(later));
    }

    fn unread_for(&self, time: Duration) -> bool {
        self.unread_since
            .get()
            .is_some_and(|since| since.elapsed() > time)
    }

    /// Whether bytes have arrived that were not read yet.
    pub(super) fn has_input(&self) -> bool {
        self.paused.get() || self.held_back.get() || socket::has_input(self.socket)
    }

    /// Whether it could make room for others: we wait for the sender, or it does not read.
    pub(super) fn waits(&self, settling: Duration) -> bool {
        let waits = self.owed.get() == 0 && self.waits_since.get().elapsed() > settling;
        waits && (self.unread_since.get().is_some() || !self.has_input())
    }

    /// Since when we have waited for the sender.
    pub(super) fn waits_since(&self) -> Instant {
        self.waits_since.get()
    }

    /// Whether it is counted in the worker's limit.
    pub(super) fn is_holding(&self) -> bool {
        self.held.get() > 0
    }

    /// Whether memory is set aside for its body, which is still to come.
    pub(super) fn is_filling(&self) -> bool {
        self.fills.get().is_some()
    }

    /// Makes room for others.
    pub(super) fn give_way(&self) {
        if self.unread_since.get().is_some() {
            self.abort();
        } else {
            self.close();
        }
    }

    /// Ends it; what was sent already still reaches the client.
    fn close(&self) {
        self.fills.set(None);
        self.closed.set(true);
        self.count_held();
        socket::shut(self.socket);
        self.wake();
    }

    /// Ends it, and drops what the client has not read.
    fn abort(&self) {
        socket::forget_unsent(self.socket);
        self.close();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::AcqRel);
        connections::count(-1);
        connections::hold(self.held.get(), 0);
    }
}

/// Marks a request's connection as busy until the guard is dropped.
pub(super) fn busy(connection: Option<&Rc<Connection>>) -> Busy {
    let connection = connection.map(Rc::clone);
    if let Some(connection) = &connection {
        connection.requests.set(connection.requests.get() + 1);
        connection.served.set(true);
        connection.spared.set(false);
        connection.ahead.set(0);
        connection.count_held();
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
            connection.fills.set(None);
        }
    }

    /// The body waits for memory; nothing more of it is read meanwhile.
    pub(super) fn waits_for_memory(&self) {
        if let Some(connection) = &self.connection {
            connection.waits_for_memory.set(true);
            connection.count_held();
        }
    }

    /// Memory is set aside for the request's body, of which so many bytes are known to come.
    pub(super) fn fills(&self, expected: usize) {
        if let Some(connection) = &self.connection {
            connection.fills.set(Some(expected));
            connections::fills(connection);
            if connection.waits_for_memory.replace(false) {
                connection.count_held();
                connection.wake();
            }
        }
    }

    /// Does `work`, which reads from the connection, within `time`. Before that is given up, what has arrived is read: the process may
    /// have stood still meanwhile.
    pub(super) async fn within<T>(
        &self,
        time: Duration,
        mut work: impl Future<Output = T> + Unpin,
    ) -> Option<T> {
        if let Ok(done) = tokio::time::timeout(time, &mut work).await {
            return Some(done);
        }
        let until = Instant::now() + GRACE.min(time);
        while self.has_input() && Instant::now() < until {
            if let Ok(done) = tokio::time::timeout(GRACE_STEP, &mut work).await {
                return Some(done);
            }
        }
        None
    }

    fn has_input(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.has_input())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        let less = |count: &Cell<usize>| count.set(count.get().saturating_sub(1));
        less(&connection.requests);
        connection.fills.set(None);
        let was_waiting = connection.waits_for_memory.replace(false);
        connection.count_held();
        if self.owed.get() {
            less(&connection.owed);
        }
        connection.waits_since.set(Instant::now());
        if was_waiting || connection.held_back.get() {
            connection.wake();
        }
    }
}
