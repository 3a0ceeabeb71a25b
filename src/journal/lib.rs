//! A segmented append-only log of opaque bytes. It knows nothing of ICR, HTTP or Kafka.
//!
//! # What it guarantees
//! - An append whose `done` was called with `Ok` is on stable storage, and stays readable through crashes and power cuts until the
//!   **durable** cursor has passed it and retention takes its segment.
//! - Sequences are contiguous and rise in the order of [`Journal::append`]; a failed append takes none. (It may still be found after a
//!   crash: refused means not promised.)
//! - Readers see synced records only, byte for byte as they were appended, each once, in order. Bytes that are not genuine are never
//!   taken for a record; what damage took is reported as [`reader::Next::Missing`], never skipped in silence.
//! - Damage refuses nothing: the journal opens, appends and reads on around it. Only a lock held by somebody else, a newer
//!   format, or a folder that cannot be used keep it from opening.
//! - A damaged segment is never changed or deleted before `journal repair`, which keeps the original too.
//! - An append succeeds only if, after its sync, the segment's path leads to the file that was synced: a process that starts now would find
//!   it. A file that loses its name later is written again from its open descriptor, within about a second (`names`). A folder or lock
//!   that is no longer the journal's own ends appending, and nothing is ever written into a folder that took the place of its own (`claim`).
//!
//! # The folder (0700; files 0600)
//! | name | what | module |
//! |---|---|---|
//! | `<base, 20 digits>.log` | a segment: records from sequence `base` on | `segment`, `frame` |
//! | `<base>.log.damaged` | the same, set aside; `.bak` after it was repaired | `recovery`, `view` |
//! | `<base>.outcomes` | what became of the segment's records | `outcomes` |
//! | `spare-<n>` | a reserved file that will be a segment | `spares` |
//! | `cursor` | how far publishing is, and the ledger's counters | `cursor` |
//! | `held/<sequence, 20 digits>` | a record that no topic took | `held` |
//! | `held/released` | how many of these a topic took at last | `held` |
//! | `memo` | what the owner wants to know again after a restart | `memo` |
//! | `lock` | locked by the process that writes | `claim` |
//!
//! Anything else in it is left alone, such as the socket on which the journal's owner listens. A name is a claim: it counts in the one
//! form given above, as a regular file, with a number within bounds (`bounds`) and contents that agree. What stands in the place of a file and is
//! none is never opened, and renamed to `<name>.foreign` where the name is needed.
//!
//! # How it works
//! Appends wait in a bounded queue; the writer thread takes what waits, writes and syncs it as one group, lets readers see it and calls
//! every `done` (`writer`). A housekeeping thread does what may wait (`housekeeping`). All that is known of the segments is in the
//! `catalog`; each name, position and length in it is of synced bytes. After a crash `recovery` brings the folder into order; `scan`
//! tells a torn tail from damage by the rule in `frame`. `claim` holds folder and lock, `names` looks after the files' names.
#![warn(missing_docs, clippy::missing_errors_doc)]
// Elsewhere this crate is empty, so that what fails there is the build script, which says what to do instead.
#![cfg(unix)]

mod bounds;
mod bytes;
mod catalog;
mod claim;
mod core;
mod cursor;
mod disk;
mod frame;
mod held;
mod housekeeping;
mod load;
mod memo;
mod names;
pub mod outcomes;
mod pins;
mod queue;
pub mod reader;
mod recent;
mod recovery;
mod refresh;
mod repair;
mod retention;
mod scan;
mod segment;
pub mod sieve;
mod spares;
pub mod storage;
mod types;
mod verify;
pub mod view;
mod writer;

pub use held::Taker;
pub use pins::Pin;
pub use types::{
    Append, AppendError, Ledger, Observer, OpenError, Options, Progress, Sequence, Status,
};

use self::core::Core;
use catalog::Shelf;
use claim::{Claim, LOCK};
use housekeeping::{Chores, Housekeeper};
use parking_lot::Mutex;
use queue::Queue;
use spares::Spares;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use writer::Writer;

/// Whether a folder is one that a journal was opened in before.
///
/// # Errors
/// Where that may not be looked at.
pub fn exists(dir: &Path) -> io::Result<bool> {
    Ok(dir.join(LOCK).try_exists()? || dir.join(cursor::NAME).try_exists()?)
}

/// Whether another process holds the journal. Only for saying so: it takes the lock for a moment, and nothing follows from a `false`.
pub fn is_locked(storage: &Arc<dyn storage::Storage>, dir: &Path) -> bool {
    matches!(
        Claim::take(storage, dir, None),
        Err(OpenError::Locked { .. })
    )
}

/// The journal, open for writing. Cheap to clone; the last clone dropped closes it.
#[derive(Clone)]
pub struct Journal(Arc<Handle>);

/// Closes the journal when the last clone goes.
struct Handle {
    core: Arc<Core>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Handle {
    fn close(&self) {
        self.core.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // The last clone may go in a `done`, on the writer's own thread; then the threads end on their own.
            if thread.thread().id() != std::thread::current().id() {
                // A panic there was printed when it happened; nothing is left to do for it.
                let _ = thread.join();
            } else {
                return;
            }
        }
    }
}

impl Journal {
    /// Opens or creates the journal, recovers it, and starts its writer and housekeeping threads.
    ///
    /// # Errors
    /// Another process holds the lock, the format is newer, or the folder cannot be used. Damage is none.
    pub fn open(
        storage: Arc<dyn storage::Storage>,
        options: Options,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, OpenError> {
        let claim = Arc::new(Claim::take(&storage, &options.dir, Some(&*observer))?);
        let shelf = Arc::new(Shelf::claimed(&claim, options.dir.clone(), observer));
        let recovered = recovery::recover(&shelf)?;
        for what in shelf.storage.shortcomings(&shelf.dir) {
            let path = shelf.dir.display();
            shelf.observer.warning(&format!("{path}: {what}"));
        }
        let bytes = options.segment_bytes;
        let spares = Spares::adopt(&shelf, &recovered.folder, bytes, options.spare_segments);
        let next = shelf.catalog.lock().last + 1;
        let core = Arc::new(Core {
            shelf,
            queue: Queue::new(options.queue),
            cursor: Mutex::new(recovered.cursor),
            held: Mutex::new(recovered.held),
            memo: recovered.memo,
            outcomes: Mutex::default(),
            spares,
            pins: pins::Pins::default(),
            chores: Chores::new(),
            storable: Mutex::new(Ok(())),
            claim,
            panicked: AtomicBool::new(false),
            options,
        });
        let dir = core.options.dir.clone();
        let failed = |source| OpenError::Io {
            path: dir.clone(),
            source,
        };
        let writer = Writer::new(Arc::clone(&core), next);
        let housekeeper = Housekeeper::new(Arc::clone(&core));
        let spawn = |name: &str| std::thread::Builder::new().name(name.into());
        let writing = spawn("journal-writer").spawn(move || writer.run());
        let writing = writing.map_err(failed)?;
        let handle = Handle {
            core,
            threads: Mutex::new(vec![writing]),
        };
        let keeping = spawn("journal-keeper").spawn(move || housekeeper.run());
        handle.threads.lock().push(keeping.map_err(failed)?);
        // Sizes and spares are there before the first delivery.
        handle.core.chores.round();
        Ok(Self(Arc::new(handle)))
    }
    /// Queues an append. Appends keep the order in which this was called.
    ///
    /// # Errors
    /// [`AppendError::QueueFull`] and [`AppendError::Closed`]; [`AppendError::Storage`] for a record that no frame holds, or whose tag is longer
    /// than the record. `done` is then never called.
    pub fn append(&self, append: Append) -> Result<(), AppendError> {
        let length = append.bytes.len();
        if length > frame::MAX_PAYLOAD || usize::from(append.tag_length) > length {
            return Err(AppendError::Storage);
        }
        self.0.core.queue.push(append)
    }
    /// Reads synced frames from `from` on, in order; also waits for later ones.
    pub fn reader(&self, from: Sequence) -> reader::Reader {
        reader::Reader::new(Arc::clone(&self.0.core.shelf), from)
    }
    /// The tags of the newest `limit` records, oldest first, from footers where they exist; with enough of the body's first bytes (`prefix`) to read an id.
    ///
    /// # Errors
    /// None today: what cannot be read is left out.
    pub fn recent(&self, limit: usize, prefix: usize, each: recent::Each<'_>) -> io::Result<()> {
        recent::recent(&self.0.core.shelf, limit, prefix, each);
        Ok(())
    }
    /// What the memo of the last run said; empty where there is none.
    pub fn memo(&self) -> Vec<u8> {
        self.0.core.memo.kept()
    }
    /// From now on the memo says what `source` says (64 KiB at the most): asked every ten seconds and when the journal is closed, on the
    /// journal's own thread, and kept durably whatever the retention. A crash costs what has changed since.
    pub fn keep_memo(&self, source: impl Fn() -> Vec<u8> + Send + 'static) {
        self.0.core.memo.keep(Box::new(source));
    }
    /// The last synced sequence; 0 when there is none.
    pub fn last_sequence(&self) -> Sequence {
        self.0.core.shelf.catalog.lock().last
    }
    /// What was published, as last saved by [`Journal::save_progress`].
    pub fn progress(&self) -> Progress {
        self.0.core.cursor.lock().progress()
    }
    /// What of it is known to be on stable storage.
    pub fn durable_progress(&self) -> Progress {
        self.0.core.cursor.lock().durable()
    }
    /// Writes the cursor; with `sync` it is durable on return. Never moves back.
    ///
    /// # Errors
    /// The lock is not held any more, or the cursor's file cannot be written or synced.
    pub fn save_progress(&self, progress: Progress, sync: bool) -> io::Result<()> {
        self.0.core.save_progress(progress, sync)
    }
    /// Notes what became of a record: buffered, written lazily, never an error.
    pub fn note_outcome(&self, sequence: Sequence, outcome: &[u8]) {
        let full = self.0.core.outcomes.lock().note(sequence, outcome);
        if full {
            self.0.core.chores.wake();
        }
    }
    /// Keeps a copy of a record whatever the retention; durable on return. `body` is the record's body without tag. `note` comes back with
    /// it; by convention its outcome as noted (at most 255 bytes).
    ///
    /// # Errors
    /// The note is longer than 255 bytes, or the copy cannot be written or synced; then it does not count as held.
    pub fn hold(&self, sequence: Sequence, note: &[u8], body: &[u8]) -> io::Result<()> {
        self.0.core.hold(sequence, note, body)
    }
    /// The sequences held at present, in order (those above the cursor not included).
    pub fn held(&self) -> Vec<Sequence> {
        let cursor = self.0.core.cursor.lock();
        self.0.core.held.lock().up_to(cursor.progress().sequence)
    }
    /// The sequences above the cursor of which there is a copy. A record that is published all the same is to be superseded; of one that
    /// is missing the copy is all there is: it counts as held once the cursor passes it.
    pub fn held_ahead(&self) -> Vec<Sequence> {
        let cursor = self.0.core.cursor.lock();
        self.0.core.held.lock().above(cursor.progress().sequence)
    }
    /// Kafka took a record of [`Journal::held_ahead`]: forgets the copy. What cannot be removed at once is removed later.
    pub fn supersede(&self, sequence: Sequence) {
        self.0.core.supersede(sequence);
    }
    /// The note and the body of a held record.
    ///
    /// # Errors
    /// `NotFound` where that sequence is not held, `InvalidData` where the copy is damaged; else what the filesystem says.
    pub fn read_held(&self, sequence: Sequence) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let core = &self.0.core;
        core.held.lock().read(&*core.shelf.storage, sequence)
    }
    /// A topic took it after all: forgets the copy, durably. The ledger then counts it there. `false`: it was not held, and
    /// nothing happened.
    ///
    /// # Errors
    /// The release cannot be noted durably; then the record is still held.
    pub fn release(&self, sequence: Sequence, taker: Taker) -> io::Result<bool> {
        self.0.core.release(sequence, taker)
    }
    /// Keeps retention from everything from `from` on while the pin lives. On a full disk a pin gives way; see [`Pin::given_up`].
    pub fn pin(&self, from: Sequence) -> Pin {
        Pin::new(Arc::clone(&self.0.core), from)
    }
    /// A picture of the journal at this moment, everything noted so far included.
    ///
    /// # Errors
    /// The folder cannot be read, or its format is newer.
    pub fn view(&self) -> Result<view::View, OpenError> {
        self.tend();
        let shelf = &self.0.core.shelf;
        view::View::open(Arc::clone(&shelf.storage), &shelf.dir)
    }
    /// The storage that reaches this journal's folder and no other, whatever becomes of its name.
    pub fn storage(&self) -> Arc<dyn storage::Storage> {
        Arc::clone(&self.0.core.shelf.storage)
    }
    /// Whether folder and lock were in place at the last look, at most a second ago.
    pub fn is_in_place(&self) -> bool {
        self.0.core.claim.is_ours()
    }
    /// The ledger now.
    pub fn ledger(&self) -> Ledger {
        self.0.core.ledger()
    }
    /// Sizes and health, as of the last housekeeping (at most a second old).
    pub fn status(&self) -> Status {
        housekeeping::status(&self.0.core)
    }
    /// Does now what housekeeping does every second, and returns when it is done: retention, spares, outcomes, cursor, sizes.
    pub fn tend(&self) {
        self.0.core.chores.round();
    }
    /// Whether its writer or its housekeeping works no more, for a bug: nothing is stored then, or nothing looked after.
    pub fn has_ended(&self) -> bool {
        let threads = self.0.threads.lock();
        self.0.core.panicked.load(Ordering::Acquire) || threads.iter().any(JoinHandle::is_finished)
    }
    /// Takes no more appends, writes and answers what waits, seals the segment, flushes outcomes and cursor, stops the threads, gives the lock back.
    pub fn close(&self) {
        self.0.close();
    }
}
