//! The rules for every operation: whether it fails, whether it has enough space, and how it changes names.

use super::{Inode, Operation, Pending, SECTOR, World};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Folders and lock files are numbered from here on, ordinary files from 0.
const FOLDERS: u64 = 1 << 32;

impl Inode {
    fn used(&self) -> u64 {
        let sectors = self.taken.as_ref().map(|taken| taken.len() * SECTOR);
        sectors.unwrap_or(self.data.len()) as u64
    }
}

impl World {
    pub(super) fn draw(&mut self) -> u64 {
        // splitmix64
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn used(&self) -> u64 {
        let linked: BTreeSet<_> = self.names.values().collect();
        linked
            .into_iter()
            .map(|index| self.files[*index].used())
            .sum()
    }

    pub(super) fn room_for(&self, bytes: u64) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if self.used() + bytes > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check(&mut self, operation: Operation) -> io::Result<()> {
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

    pub(super) fn refusal(&self, path: &Path) -> io::Result<()> {
        let refused = self.refused.get(path);
        refused.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(*errno)))
    }

    /// A number for a folder or lock file.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        FOLDERS + self.numbers
    }

    pub(super) fn lock(&mut self, number: u64) -> io::Result<u64> {
        match self.locked.insert(number) {
            true => Ok(number),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<usize> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Pending {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
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
