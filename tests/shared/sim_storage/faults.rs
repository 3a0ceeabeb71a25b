//! These methods make operations fail, make bytes unreadable, and set how much space is left.

use super::{Operation, SimStorage};
use std::ops::Range;
use std::path::Path;

impl SimStorage {
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

    /// Whether a fault is due, or space is short.
    pub fn is_about_to_fail(&self) -> bool {
        let world = self.world();
        let failing = world.failing.values().any(|times| *times > 0);
        failing || world.off || world.fuse.is_some() || world.capacity.is_some()
    }
}
