//! These methods change files and folders behind the journal's back, and show what is in them.

use super::{Inode, SimStorage, World};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the names of a folder go that has none: no path leads there.
const NOWHERE: &str = "(nowhere)";

impl SimStorage {
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
