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
use icr_journal::storage::{Access, Binding, Entry, Identity, Lock, Storage, StorageFile, Wanted};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
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

/// Where the names of a folder go that has none: no path leads there.
const NOWHERE: &str = "(nowhere)";
/// Of all files and folders.
const DEVICE: u64 = 1;
/// Folders and lock files are numbered from here on, ordinary files from 0.
const FOLDERS: u64 = 1 << 32;

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

impl Inode {
    fn used(&self) -> u64 {
        let sectors = self.taken.as_ref().map(|taken| taken.len() * SECTOR);
        sectors.unwrap_or(self.data.len()) as u64
    }
}

enum Pending {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

struct SimFile {
    world: Arc<Mutex<World>>,
    file: usize,
    epoch: u64,
}

struct SimLock {
    world: Arc<Mutex<World>>,
    number: u64,
    epoch: u64,
}

impl Lock for SimLock {
    fn identity(&self) -> Identity {
        numbered(self.number)
    }
}

fn numbered(inode: u64) -> Identity {
    Identity {
        device: DEVICE,
        inode,
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut world = self.world.lock().unwrap();
        if world.epoch == self.epoch {
            world.locked.remove(&self.number);
        }
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

    /// Where a path is by now, if it is below a folder that was bound.
    fn at(&self, world: &World, path: &Path) -> PathBuf {
        let Some((dir, number)) = &self.bound else {
            return path.to_owned();
        };
        let mut folders = world.folders.iter();
        let now = folders.find(|(_, other)| *other == number);
        match (path.strip_prefix(dir), now) {
            (Ok(below), Some((now, _))) => now.join(below),
            _ => path.to_owned(),
        }
    }

    /// Deletes a file behind the journal's back; who has it open keeps it.
    pub fn unlink(&self, path: &Path) {
        let mut world = self.world();
        assert!(world.names.remove(path).is_some(), "{}", path.display());
        world.durable_names.remove(path);
    }

    /// Deletes a lock file.
    pub fn unlink_lock(&self, path: &Path) {
        assert!(self.world().lock_files.remove(path).is_some());
    }

    /// Renames a folder: what is in it goes along.
    pub fn move_folder(&self, from: &Path, to: &Path) {
        let mut world = self.world();
        let number = world.folders.remove(from).expect("a folder");
        assert!(world.folders.insert(to.to_owned(), number).is_none());
        let World {
            names,
            durable_names,
            lock_files,
            ..
        } = &mut *world;
        moved(names, from, to);
        moved(durable_names, from, to);
        moved(lock_files, from, to);
    }

    /// Takes a folder's name away, as detaching its volume does.
    pub fn detach_folder(&self, dir: &Path) {
        self.move_folder(dir, Path::new(NOWHERE));
    }

    /// The end of [`SimStorage::detach_folder`].
    pub fn attach_folder(&self, dir: &Path) {
        self.move_folder(Path::new(NOWHERE), dir);
    }

    /// The next `times` operations of this kind fail.
    pub fn fail(&self, operation: Operation, times: u32) {
        self.world().failing.insert(operation, times);
    }

    /// This file may not be opened.
    pub fn deny(&self, path: &Path) {
        self.world().denied.insert(path.to_owned());
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        let mut world = self.world();
        world.denied.clear();
        world.failing.clear();
        world.capacity = None;
        world.unreadable.clear();
        world.refused.clear();
    }

    /// From now on nothing reads these bytes of a file.
    pub fn make_unreadable(&self, path: &Path, bytes: Range<u64>) {
        let mut world = self.world();
        let file = world.names[path];
        world.unreadable.push((file, bytes));
    }

    /// The next `times` reads of a file fail.
    pub fn fail_file(&self, path: &Path, times: u32) {
        let mut world = self.world();
        let file = world.names[path];
        world.faltering.insert(file, times);
    }

    /// From now on a file of this name can be neither opened nor created.
    pub fn refuse(&self, path: &Path, errno: i32) {
        self.world().refused.insert(path.to_owned(), errno);
    }

    /// The filesystem turns read-only: writes and syncs still claim success, changes of names do not. Until [`SimStorage::power_on`].
    pub fn turn_read_only(&self) {
        self.world().turns_read_only = true;
    }

    /// Whether a sync has reached each sector of a file.
    pub fn is_synced(&self, path: &Path) -> bool {
        let world = self.world();
        let file = &world.files[world.names[path]];
        file.safe.len() == file.data.len().div_ceil(SECTOR)
    }

    /// Leaves this much space.
    pub fn leave_free(&self, bytes: u64) {
        let mut world = self.world();
        world.capacity = Some(world.used() + bytes);
    }

    /// Whether there is no inode for a further file.
    pub fn leave_no_inodes(&self, none: bool) {
        self.world().no_inodes = none;
    }

    /// From now on files are created without reserving their space.
    pub fn reserve_nothing(&self) {
        self.world().unreserved = true;
    }

    /// From now on folders cannot be locked.
    pub fn lock_no_folders(&self) {
        self.world().no_folder_locks = true;
    }

    pub fn advance_clock(&self, millis: u64) {
        self.world().now += millis;
    }

    /// The power goes after so many more mutating operations.
    pub fn light_fuse(&self, operations: u32) {
        self.world().fuse = Some(operations);
    }

    /// Whether a fault is due, or space is short.
    pub fn is_about_to_fail(&self) -> bool {
        let world = self.world();
        let failing = world.failing.values().any(|times| *times > 0);
        failing || world.off || world.fuse.is_some() || world.capacity.is_some()
    }

    pub fn is_off(&self) -> bool {
        self.world().off
    }

    /// Everything fails from now on, until [`SimStorage::power_on`].
    pub fn power_off(&self) {
        self.world().off = true;
    }

    /// What a power cut leaves; `seed` decides.
    pub fn power_on(&self, seed: u64) {
        let mut world = self.world();
        world.random ^= seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let keep = match world.pending.len() as u64 {
            0 => 0,
            count => world.draw() % (count + 1),
        };
        let pending = std::mem::take(&mut world.pending);
        for operation in pending.into_iter().take(keep as usize) {
            operation.apply(&mut world.durable_names);
        }
        world.names = world.durable_names.clone();
        // Sometimes everything is lost, sometimes almost nothing.
        let odds = world.draw() % 5;
        for index in 0..world.files.len() {
            let mut file = world.files[index].clone();
            let length = if world.draw().is_multiple_of(2) {
                file.data.len()
            } else {
                file.durable.len()
            };
            let mut kept = file.durable.clone();
            kept.resize(length, 0);
            let torn = file.last_write.iter().next_back().copied();
            for &sector in &file.dirty {
                let start = sector * SECTOR;
                let mut end = (start + SECTOR).min(file.data.len()).min(kept.len());
                if torn == Some(sector) && world.draw().is_multiple_of(2) {
                    end = end.min(start + (world.draw() % SECTOR as u64) as usize);
                } else if world.draw() % 4 >= odds {
                    continue;
                }
                if start < end {
                    kept[start..end].copy_from_slice(&file.data[start..end]);
                }
            }
            file.data.clone_from(&kept);
            file.durable = kept;
            file.dirty.clear();
            file.last_write.clear();
            world.files[index] = file;
        }
        world.locked.clear();
        world.failing.clear();
        world.fuse = None;
        world.capacity = None;
        world.off = false;
        world.turns_read_only = false;
        world.epoch += 1;
    }

    /// Changes a file behind the journal's back, durably.
    pub fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world();
        let index = world.names[path];
        let file = &mut world.files[index];
        change(&mut file.data);
        file.durable = file.data.clone();
        file.dirty.clear();
    }

    /// A file that the journal did not make.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut world = self.world();
        let index = world.files.len();
        world.files.push(Inode {
            data: bytes.to_vec(),
            durable: bytes.to_vec(),
            ..Inode::default()
        });
        world.names.insert(path.to_owned(), index);
        world.durable_names.insert(path.to_owned(), index);
    }

    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let world = self.world();
        let index = world.names.get(path)?;
        Some(world.files[*index].data.clone())
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

    /// All names, with contents: to see that nothing was changed.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let world = self.world();
        let names = world.names.iter();
        names
            .map(|(path, index)| (path.clone(), world.files[*index].data.clone()))
            .collect()
    }
}

fn moved<T>(names: &mut BTreeMap<PathBuf, T>, from: &Path, to: &Path) {
    for (path, file) in std::mem::take(names) {
        let path = match path.strip_prefix(from) {
            Ok(below) => to.join(below),
            Err(_) => path,
        };
        names.insert(path, file);
    }
}

impl World {
    fn draw(&mut self) -> u64 {
        // splitmix64
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn used(&self) -> u64 {
        let linked: BTreeSet<_> = self.names.values().collect();
        linked
            .into_iter()
            .map(|index| self.files[*index].used())
            .sum()
    }

    fn room_for(&self, bytes: u64) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if self.used() + bytes > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn check(&mut self, operation: Operation) -> io::Result<()> {
        if self.off {
            return Err(io::Error::other("no power"));
        }
        if operation != Operation::Read
            && let Some(fuse) = self.fuse.as_mut()
        {
            if *fuse == 0 {
                self.off = true;
                return Err(io::Error::other("the power went"));
            }
            *fuse -= 1;
        }
        if let Some(times) = self.failing.get_mut(&operation).filter(|times| **times > 0) {
            *times -= 1;
            return Err(match operation {
                Operation::Read => io::Error::from_raw_os_error(libc::EIO),
                _ => io::Error::other(format!("injected: {operation:?}")),
            });
        }
        let of_names = !matches!(
            operation,
            Operation::Read | Operation::Write | Operation::Sync
        );
        if self.turns_read_only && of_names {
            return Err(io::Error::from_raw_os_error(libc::EROFS));
        }
        Ok(())
    }

    fn refusal(&self, path: &Path) -> io::Result<()> {
        let refused = self.refused.get(path);
        refused.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(*errno)))
    }

    /// A number for a folder or lock file.
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        FOLDERS + self.numbers
    }

    fn lock(&mut self, number: u64) -> io::Result<u64> {
        match self.locked.insert(number) {
            true => Ok(number),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Pending {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Link(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Storage for SimStorage {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        let dir = self.at(&world, dir);
        let number = world.number();
        world.folders.entry(dir).or_insert(number);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut world = self.world();
        world.check(Operation::Read)?;
        let dir = self.at(&world, dir);
        let inside = world
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(&dir));
        Ok(inside
            .map(|(path, index)| Entry {
                name: path.file_name().unwrap().to_string_lossy().into_owned(),
                bytes: world.files[*index].data.len() as u64,
            })
            .collect())
    }

    fn list_foreign(&self, _dir: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn displace(&self, _path: &Path, _wanted: Wanted) -> io::Result<Option<String>> {
        Ok(None)
    }

    fn shortcomings(&self, _dir: &Path) -> Vec<String> {
        Vec::new()
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn StorageFile>> {
        let mut world = self.world();
        world.check(Operation::Create)?;
        let path = &self.at(&world, path);
        world.refusal(path)?;
        if world.no_inodes && !world.names.contains_key(path) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = world.unreserved.then(BTreeSet::new);
        if taken.is_none() {
            world.room_for(bytes)?;
        }
        let file = world.files.len();
        world.files.push(Inode {
            data: vec![0; bytes as usize],
            taken,
            ..Inode::default()
        });
        world.names.insert(path.to_owned(), file);
        world.pending.push(Pending::Link(path.to_owned(), file));
        Ok(Arc::new(SimFile {
            world: Arc::clone(&self.world),
            file,
            epoch: world.epoch,
        }))
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<Arc<dyn StorageFile>> {
        let mut world = self.world();
        world.check(Operation::Read)?;
        let path = &self.at(&world, path);
        if world.denied.contains(path) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let file = world.find(path)?;
        world.refusal(path)?;
        Ok(Arc::new(SimFile {
            world: Arc::clone(&self.world),
            file,
            epoch: world.epoch,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.check(Operation::Rename)?;
        let (from, to) = (self.at(&world, from), self.at(&world, to));
        world.find(&from)?;
        let operation = Pending::Rename(from, to);
        operation.apply(&mut world.names);
        world.pending.push(operation);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.check(Operation::Remove)?;
        let path = self.at(&world, path);
        world.find(&path)?;
        let operation = Pending::Remove(path);
        operation.apply(&mut world.names);
        world.pending.push(operation);
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.check(Operation::SyncDir)?;
        world.pending.clear();
        world.durable_names = world.names.clone();
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let world = self.world();
        let used = world.used();
        Ok(world
            .capacity
            .map_or(1 << 40, |capacity| capacity.saturating_sub(used)))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let mut world = self.world();
        world.check(Operation::Read)?;
        let path = self.at(&world, path);
        let new = world.number();
        let number = *world.lock_files.entry(path).or_insert(new);
        Ok(Box::new(SimLock {
            world: Arc::clone(&self.world),
            number: world.lock(number)?,
            epoch: world.epoch,
        }))
    }

    fn lock_folder(&self, dir: &Path) -> io::Result<Box<dyn Lock>> {
        let mut world = self.world();
        if world.no_folder_locks {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let number = world.folders.get(&self.at(&world, dir)).copied();
        let number = number.ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimLock {
            world: Arc::clone(&self.world),
            number: world.lock(number)?,
            epoch: world.epoch,
        }))
    }

    fn bind(&self, dir: &Path) -> io::Result<Binding> {
        let world = self.world();
        let number = world.folders.get(dir).copied();
        let number = number.ok_or(io::ErrorKind::NotFound)?;
        let bound = Self {
            world: Arc::clone(&self.world),
            bound: Some((dir.to_owned(), number)),
        };
        Ok(Binding {
            folder: numbered(number),
            storage: Some(Arc::new(bound)),
        })
    }

    fn named(&self, path: &Path) -> io::Result<Option<Identity>> {
        let world = self.world();
        let file = world.names.get(path).map(|file| *file as u64);
        let other = world.folders.get(path).or(world.lock_files.get(path));
        Ok(file.or(other.copied()).map(numbered))
    }

    fn now_millis(&self) -> u64 {
        self.world().now
    }

    fn random(&self) -> u64 {
        self.world().draw()
    }
}

impl SimFile {
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.world.lock().unwrap();
        if world.epoch == self.epoch {
            Ok(world)
        } else {
            Err(io::Error::other("opened before the power cut"))
        }
    }
}

impl StorageFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut world = self.world()?;
        world.check(Operation::Read)?;
        let asked = position..position + buffer.len() as u64;
        let met = world.unreadable.iter().any(|(file, bad)| {
            *file == self.file && bad.start < asked.end && asked.start < bad.end
        });
        let falters = match world
            .faltering
            .get_mut(&self.file)
            .filter(|times| **times > 0)
        {
            Some(times) => {
                *times -= 1;
                true
            }
            None => false,
        };
        if met || falters {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        let data = &world.files[self.file].data;
        let rest = data.get(position as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut world = self.world()?;
        if world.off {
            return Err(io::Error::other("no power"));
        }
        let result = world.check(Operation::Write);
        let mut length = bytes.len();
        if result.is_err() {
            // A failing write may have written anything.
            length = (world.draw() % (length as u64 + 1)) as usize;
        }
        let (start, end) = (position as usize, position as usize + length);
        let growth = end.saturating_sub(world.files[self.file].data.len());
        let sectors = start / SECTOR..end.div_ceil(SECTOR);
        let more = match &world.files[self.file].taken {
            Some(taken) => {
                sectors
                    .clone()
                    .filter(|sector| !taken.contains(sector))
                    .count()
                    * SECTOR
            }
            None => growth,
        };
        if more > 0 {
            world.room_for(more as u64)?;
        }
        if let Some(taken) = &mut world.files[self.file].taken {
            taken.extend(sectors);
        }
        let file = &mut world.files[self.file];
        if growth > 0 {
            file.data.resize(end, 0);
        }
        file.data[start..end].copy_from_slice(&bytes[..length]);
        if length > 0 {
            let sectors = start / SECTOR..=(end - 1) / SECTOR;
            file.last_write = sectors.clone().collect();
            file.dirty.extend(sectors);
        }
        result
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.world()?;
        if world.off {
            return Err(io::Error::other("no power"));
        }
        let result = world.check(Operation::Sync);
        if world.off {
            return result;
        }
        let mut file = std::mem::take(&mut world.files[self.file]);
        if result.is_err() {
            let dirty = std::mem::take(&mut file.dirty);
            let length = file.durable.len().max(file.data.len());
            file.durable.resize(length, 0);
            for sector in dirty {
                let range = sector * SECTOR..((sector + 1) * SECTOR).min(file.data.len());
                if world.draw().is_multiple_of(2) && !range.is_empty() {
                    file.durable[range.clone()].copy_from_slice(&file.data[range]);
                }
            }
        } else {
            file.durable.resize(file.data.len(), 0);
            for sector in std::mem::take(&mut file.dirty) {
                if world.turns_read_only && !file.safe.contains(&sector) {
                    continue;
                }
                file.safe.insert(sector);
                let range = sector * SECTOR..((sector + 1) * SECTOR).min(file.data.len());
                if !range.is_empty() {
                    file.durable[range.clone()].copy_from_slice(&file.data[range]);
                }
            }
        }
        file.last_write.clear();
        world.files[self.file] = file;
        result
    }

    fn confirm(&self) -> io::Result<()> {
        match self.world()?.turns_read_only {
            true => Err(io::Error::from_raw_os_error(libc::EROFS)),
            false => Ok(()),
        }
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(numbered(self.file as u64))
    }

    fn length(&self) -> io::Result<u64> {
        let mut world = self.world()?;
        world.check(Operation::Read)?;
        Ok(world.files[self.file].data.len() as u64)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.check(Operation::Write)?;
        let file = &mut world.files[self.file];
        file.data.resize(bytes as usize, 0);
        if let Some(taken) = &mut file.taken {
            taken.split_off(&(bytes as usize).div_ceil(SECTOR));
        }
        Ok(())
    }

    fn extend(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.check(Operation::Write)?;
        let file = &world.files[self.file];
        let more = bytes.saturating_sub(file.data.len() as u64);
        if file.taken.is_none() {
            world.room_for(more)?;
        }
        world.files[self.file].data.resize(bytes as usize, 0);
        Ok(())
    }
}
