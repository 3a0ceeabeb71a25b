//! A filesystem in memory that loses what was not synced, and fails on demand.
//!
//! A power cut keeps or loses each unsynced sector (512 bytes) on its own, tears one of the last write, keeps or loses a change of
//! length, and keeps only a prefix of the directory operations since the last `sync_dir`. A failed sync writes some of the sectors and
//! forgets the rest: the next sync claims success, as Linux does. While it turns read-only a sync claims success as well, and what was
//! written into sectors that were never synced before is lost, as with Linux's ext4.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod faults;
mod file;
mod power;
mod storage;
mod tampering;
mod world;

use icr_journal::storage::Identity;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

const SECTOR: usize = 512;

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Read,
    Write,
    Sync,
    Create,
    Rename,
    Remove,
    SyncDir,
}

#[derive(Clone)]
pub struct SimStorage {
    world: Arc<Mutex<World>>,
    /// The folder that is reached whatever its name: its path when it was bound, and its number.
    bound: Option<(PathBuf, u64)>,
}

/// Of all files and folders.
const DEVICE: u64 = 1;

#[derive(Default)]
struct World {
    files: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending: Vec<Pending>,
    /// Folders by the path at which they are.
    folders: BTreeMap<PathBuf, u64>,
    /// Lock files by their paths; no listing shows them.
    lock_files: BTreeMap<PathBuf, u64>,
    /// Folders and lock files that are locked.
    locked: BTreeSet<u64>,
    numbers: u64,
    capacity: Option<u64>,
    now: u64,
    random: u64,
    denied: BTreeSet<PathBuf>,
    failing: HashMap<Operation, u32>,
    /// Bytes of a file that the medium does not give back.
    unreadable: Vec<(usize, Range<u64>)>,
    /// Files of which the next so many reads fail.
    faltering: HashMap<usize, u32>,
    /// Files that cannot be opened or created, and why.
    refused: BTreeMap<PathBuf, i32>,
    /// No file can be made.
    no_inodes: bool,
    /// Nothing is reserved: space is taken as files are written.
    unreserved: bool,
    /// Mutating operations until the power goes.
    fuse: Option<u32>,
    off: bool,
    turns_read_only: bool,
    /// Folders cannot be locked.
    no_folder_locks: bool,
    epoch: u64,
}

#[derive(Default, Clone)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    last_write: BTreeSet<usize>,
    /// Sectors that a sync has reached.
    safe: BTreeSet<usize>,
    /// Of a file that was not reserved: the sectors that take space.
    taken: Option<BTreeSet<usize>>,
}

enum Pending {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

fn numbered(inode: u64) -> Identity {
    Identity {
        device: DEVICE,
        inode,
    }
}

impl SimStorage {
    pub fn new(seed: u64) -> Self {
        let world = World {
            now: 1_700_000_000_000,
            random: seed,
            ..World::default()
        };
        Self::of(world)
    }

    fn of(world: World) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
            bound: None,
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub fn advance_clock(&self, millis: u64) {
        self.world().now += millis;
    }

    /// A copy that shares nothing: for trying something on the same files.
    pub fn fork(&self) -> Self {
        let world = self.world();
        Self::of(World {
            files: world.files.clone(),
            names: world.names.clone(),
            durable_names: world.names.clone(),
            now: world.now,
            random: world.random,
            ..World::default()
        })
    }
}
