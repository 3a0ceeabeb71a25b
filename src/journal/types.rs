//! The journal's vocabulary: options, appends, errors, progress, ledger, status.
use std::path::PathBuf;
use std::time::Duration;

/// A place in the journal; the first is 1. Contiguous: a failed append takes none.
pub type Sequence = u64;

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder, created (0700) where it is missing.
    pub dir: PathBuf,
    /// Bytes reserved for a segment.
    pub segment_bytes: u64,
    /// How many preallocated segments are kept ahead.
    pub spare_segments: usize,
    /// How many appends may wait for the writer.
    pub queue: usize,
    /// Published segments older than this are deleted.
    pub retention_age: Duration,
    /// Published segments go, oldest first, while the journal is larger than this.
    pub retention_bytes: u64,
    /// Free space under which `Status::low_water` is raised.
    pub low_water_bytes: u64,
}

/// What the journal tells its owner while it works, for metrics and logs. Called on the journal's own threads; must be quick.
pub trait Observer: Send + Sync + 'static {
    /// A group was written and synced: records, bytes, time of the `fdatasync` alone.
    fn synced(&self, records: usize, bytes: usize, sync: Duration) {
        let _ = (records, bytes, sync);
    }
    /// Something that an operator should know; the text names path and way out.
    fn warning(&self, message: &str) {
        let _ = message;
    }
}

/// One record to append. `bytes` holds the tag followed by the body.
pub struct Append {
    /// Length of the tag at the front of `bytes` (at most 255).
    pub tag_length: u8,
    /// Tag, then body.
    pub bytes: Vec<u8>,
    /// Called exactly once when the append has been synced or has failed, on the writer's thread; must be quick. Not called when [`Journal::append`](super::Journal::append) itself fails.
    pub done: Box<dyn FnOnce(Result<Sequence, AppendError>) + Send>,
}

/// Why an append was not made safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The queue holds as many as it may.
    #[error("the journal's queue is full")]
    QueueFull,
    /// No space, and no spare segment left.
    #[error("the disk is full")]
    DiskFull,
    /// Writing or syncing failed, also on a fresh segment.
    #[error("writing to the journal failed")]
    Storage,
    /// The journal's folder or its lock is no longer its own: what is stored might be found by nobody.
    #[error("the journal's folder or lock was moved, deleted or replaced")]
    Displaced,
    /// The journal is closed or closing.
    #[error("the journal is closing")]
    Closed,
}

/// Why a journal cannot be opened. Damage is no reason.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error("{path} is locked by another process; only one may write")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Written by a newer version.
    #[error(
        "{path} has format version {version}, newer than this bridge knows; start the newer bridge"
    )]
    NewerVersion {
        /// The segment or cursor.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The folder or a file in it cannot be used at all.
    #[error("{path}: {source}")]
    Io {
        /// What could not be used.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

/// The published part of the journal, and what became of it. Durable in the cursor file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Everything up to here has an outcome.
    pub sequence: Sequence,
    /// How many of these were published.
    pub published: u64,
    /// How many were quarantined.
    pub quarantined: u64,
    /// How many were ever held (those released since count here too).
    pub held: u64,
    /// How many were lost to damage and written off by `journal repair`.
    pub written_off: u64,
}

/// accepted = published + quarantined + held + pending (+ written off); `unaccounted` is the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Ever appended and synced.
    pub accepted: u64,
    /// Published to their topic, deliveries released there from `held` included.
    pub published: u64,
    /// In the quarantine topic, deliveries released there from `held` included.
    pub quarantined: u64,
    /// Held on disk at present.
    pub held: u64,
    /// Above the cursor.
    pub pending: u64,
    /// Lost to damage and written off by `journal repair`.
    pub written_off: u64,
    /// What none of these explains: must be 0.
    pub unaccounted: i64,
}

/// The journal's state at a moment.
#[derive(Debug, Clone)]
pub struct Status {
    /// Bytes on disk of segments, spares and outcome logs.
    pub bytes: u64,
    /// Free bytes of its filesystem.
    pub free_bytes: u64,
    /// Whether `free_bytes` is under the low-water mark.
    pub low_water: bool,
    /// Segments set aside with damage, and gaps where a segment is missing; one more while folder or lock are not the journal's own.
    pub damaged_segments: u64,
    /// Whether an append would be tried, and why the last one failed if it did.
    pub storable: Result<(), AppendError>,
}
