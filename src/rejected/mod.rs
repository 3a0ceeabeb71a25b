//! The ring of rejected deliveries: on disk, bounded, written off the request path.
//!
//! When the secret is changed at ICR before it is changed here, every delivery is rejected as `signature_wrong`, and ICR sends none of
//! them again. So what is turned away for its signature alone is kept for a while, to be judged again once the secrets have changed
//! (`Ingest::reverify`). Almost all of what is kept in ordinary times is forged.
//!
//! # What it guarantees
//! - The request path pays a look at the outer body and, for what is to be kept, one copy. It never waits, neither for the disk nor for
//!   a thread: what the queue has no room for is dropped and counted. Under a flood, most is dropped before the copy (`door`).
//! - The file never has more bytes than the setting says, and memory is bounded in proportion (`shelf`, `queue`).
//! - No flood empties it cheaply of what is genuine. Who gives way is decided by what a delivery has in common with proven ones (`known`),
//!   then by shares of peers, then of minutes (`shares`, where the reasons stand).
//! - A delivery that is kept survives a crash of the process, and a second later a power cut. What is torn or damaged is left out,
//!   and costs nothing else (`blocks`).
//! - What is kept is personal data, and goes by itself after a time ([`Options::keep_for`]).
//! - It never stands in the journal's way: under the low-water mark the file does not grow, and once the journal has no room for a
//!   delivery, it gives back all that does not name an app proven before. Its own troubles are told and counted, and refuse nothing.
//!
//! # What it cannot do
//! Whoever knows an app's id *and* an installation's, and comes from the same address as ICR (through the same proxy), is not to be told from
//! ICR; as long as such a flood lasts, what comes in the same minutes competes with it evenly.
//!
//! # The folder `rejected` within the journal's (0700; files 0600)
//! | name | what | module |
//! |---|---|---|
//! | `ring-1` | the deliveries | `blocks` |
//! | `known-1` | hashes of what proven deliveries have named, and where they came from | `known` |

mod beside;
mod blocks;
mod door;
mod keeper;
mod known;
mod peer;
mod queue;
mod record;
mod shares;
mod shelf;

pub use beside::beside;
pub use blocks::BLOCK;
pub use door::Door;
pub use known::Standing;
pub use peer::Peer;
pub use record::{Rejected, decode};
pub use shares::Key;
pub use shelf::{Amount, Candidate, Digest, Kept, Put, Shelf};

use crate::domain::glance::Named;
use crate::journal::storage::Storage;
use crate::metrics::RingMetrics;
use keeper::Keeper;
use known::Known;
use parking_lot::{Mutex, RwLock};
use queue::Queue;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The folder's name within the journal's.
pub const FOLDER: &str = "rejected";

/// So many deliveries, and about so many bytes, are handed out at a time.
const PORTION: usize = 64;
const PORTION_BYTES: usize = 4 << 20;

/// How much room the journal leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Whether the journal's folder and lock are where they should be. Nothing is kept while they are not.
    pub in_place: bool,
    /// Whether the file may grow: the disk has more free than the low-water mark.
    pub may_grow: bool,
    /// Whether the journal has no room for a delivery.
    pub starving: bool,
}

/// How the ring is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// The journal's folder.
    pub journal: PathBuf,
    /// Bytes that the file may have, at least [`BLOCK`].
    pub capacity: u64,
    /// Deliveries older than this are removed.
    pub keep_for: Duration,
}

/// The ring. Dropped, it ends in order.
pub struct Ring {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the ring's thread and its callers share.
struct Inner {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    capacity: u64,
    keep_for: Duration,
    known: RwLock<Known>,
    /// Whether there is room without anybody's giving way.
    roomy: AtomicBool,
    door: Door,
    queue: Queue<Vec<u8>>,
    /// `None` until it is open.
    shelf: Mutex<Option<Shelf>>,
    space: Box<dyn Fn() -> Space + Send + Sync>,
    metrics: RingMetrics,
}

impl Ring {
    /// Starts the ring's thread, which opens the file: no trouble with it keeps anybody waiting. The journal's lock must be held. `space`
    /// is asked often.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        storage: Arc<dyn Storage>,
        options: Options,
        space: impl Fn() -> Space + Send + Sync + 'static,
        metrics: RingMetrics,
    ) -> io::Result<Self> {
        metrics
            .capacity
            .set(i64::try_from(options.capacity).unwrap_or(i64::MAX));
        let inner = Arc::new(Inner {
            storage,
            dir: options.journal.join(FOLDER),
            capacity: options.capacity,
            keep_for: options.keep_for,
            known: RwLock::default(),
            roomy: AtomicBool::new(true),
            door: Door::default(),
            queue: Queue::default(),
            shelf: Mutex::new(None),
            space: Box::new(space),
            metrics,
        });
        let keeper = Keeper::new(Arc::clone(&inner));
        let thread = std::thread::Builder::new()
            .name("rejected-ring".to_owned())
            .spawn(move || keeper.run())?;
        Ok(Self {
            inner,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Keeps a rejected delivery, if there is room for it. Never waits.
    pub fn offer(&self, rejected: Rejected<'_>) {
        let inner = &self.inner;
        let standing = inner
            .known
            .read()
            .standing(rejected.app, rejected.named, rejected.peer);
        let welcome = inner.roomy.load(Ordering::Relaxed)
            || inner.door.admits(standing, rejected.peer, rejected.at);
        let size = rejected.body.len();
        let make = || rejected.encode();
        if !(welcome && inner.queue.add(size, standing.is_familiar(), make)) {
            inner.metrics.dropped.inc();
        }
    }

    /// A delivery was proven and stored: what it names, and where it came from, is known from now on.
    pub fn learn(&self, app: &str, named: Named, peer: Peer) {
        if !self.inner.known.read().knows(app, named, peer) {
            self.inner.known.write().learn(app, named, peer);
        }
    }

    /// Waits until everything offered so far is kept or dropped; false if the file cannot be opened at present.
    pub fn flush(&self) -> bool {
        self.inner.queue.flush()
    }

    pub fn amount(&self) -> Amount {
        let shelf = self.inner.shelf.lock();
        shelf.as_ref().map(Shelf::amount).unwrap_or_default()
    }

    /// How many deliveries came to be kept so far: who goes through the ring stops there.
    pub fn count(&self) -> u64 {
        self.inner.shelf.lock().as_ref().map_or(0, Shelf::count)
    }

    /// A portion of what is kept, in the order of arrival: what comes after `after`, of the first `count` that came to be kept. Empty at
    /// the end.
    pub fn after(&self, after: Option<Key>, count: u64) -> Vec<Kept> {
        let shelf = self.inner.shelf.lock();
        let portion = |shelf: &Shelf| shelf.after(after, count, PORTION, PORTION_BYTES);
        shelf.as_ref().map(portion).unwrap_or_default()
    }

    /// Removes what is safe elsewhere, durably on return.
    ///
    /// # Errors
    /// What the storage says: after a restart some may be back.
    pub fn remove(&self, keys: &[Key]) -> io::Result<()> {
        let mut shelf = self.inner.shelf.lock();
        let Some(shelf) = shelf.as_mut() else {
            return Ok(());
        };
        let removed = shelf.remove(keys);
        let bytes = i64::try_from(shelf.amount().bytes).unwrap_or(i64::MAX);
        self.inner.metrics.bytes.set(bytes);
        removed
    }

    /// Whether its thread has ended, for a bug.
    pub fn has_ended(&self) -> bool {
        self.thread
            .lock()
            .as_ref()
            .is_some_and(JoinHandle::is_finished)
    }

    /// Takes no more, stores what waits, and ends the thread.
    pub fn close(&self) {
        self.inner.queue.close();
        if let Some(thread) = self.thread.lock().take() {
            // A panic there was printed when it happened; nothing is left to do for it.
            let _ = thread.join();
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    fn space(&self) -> Space {
        (self.space)()
    }

    /// What decides whether these bytes stay. Holds no lock but for the look at what is known: the request path needs it.
    fn candidate(&self, bytes: Vec<u8>) -> Option<Candidate> {
        let standing =
            |app: &str, named: Named, peer: Peer| self.known.read().standing(app, named, peer);
        record::candidate(bytes, standing)
    }

    /// What was learned meanwhile is kept beside it.
    fn load_known(&self) -> io::Result<()> {
        let loaded = Known::load(&*self.storage, &self.dir)?;
        self.known.write().precede_with(loaded);
        Ok(())
    }

    /// Whether anything was written.
    fn save_known(&self) -> io::Result<bool> {
        let Some(bytes) = self.known.write().take_unsaved() else {
            return Ok(false);
        };
        let saved = known::save(&*self.storage, &self.dir, &bytes);
        if saved.is_err() {
            self.known.write().set_unsaved();
        }
        saved.map(|()| true)
    }
}
