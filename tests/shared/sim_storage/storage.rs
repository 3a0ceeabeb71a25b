//! Implements the journal's [`Storage`] interface: folders, names and locks.

use super::file::SimFile;
use super::{Inode, Operation, Pending, SimStorage, World, numbered};
use icr_journal::storage::{Access, Binding, Entry, Identity, Lock, Storage, StorageFile, Wanted};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

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

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut world = self.world.lock().unwrap();
        if world.epoch == self.epoch {
            world.locked.remove(&self.number);
        }
    }
}

impl SimStorage {
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
