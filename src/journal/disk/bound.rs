//! A folder held by its descriptor. Its name may be given to another folder, or lead nowhere: what is created, renamed, removed and read
//! here stays in the folder that was opened.
//!
//! Paths below the folder go through `/proc/self/fd/<descriptor>`, which the kernel resolves to the open folder itself, so that [`Disk`]
//! serves for both. Where there is no `/proc`, [`bind`] says so, and the journal stops all writing while the name is not the folder's.
use super::super::storage::{Access, Binding, Entry, Identity, Lock, Storage, StorageFile, Wanted};
use super::{Disk, identity};
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The disk, with one folder held.
struct Bound {
    dir: PathBuf,
    /// Leads to the folder for as long as it is open.
    through: PathBuf,
    #[expect(dead_code, reason = "keeps `through` valid")]
    folder: File,
}

pub(super) fn bind(dir: &Path) -> io::Result<Binding> {
    let folder = File::open(dir)?;
    let found = identity(&folder.metadata()?);
    let through = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    let leads_there = std::fs::metadata(&through).is_ok_and(|there| identity(&there) == found);
    let bound = Bound {
        dir: dir.to_owned(),
        through,
        folder,
    };
    Ok(Binding {
        folder: found,
        storage: leads_there.then(|| Arc::new(bound) as Arc<dyn Storage>),
    })
}

impl Bound {
    fn at<'a>(&self, path: &'a Path) -> Cow<'a, Path> {
        match path.strip_prefix(&self.dir) {
            Ok(below) => Cow::Owned(self.through.join(below)),
            Err(_) => Cow::Borrowed(path),
        }
    }
}

impl Storage for Bound {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        Disk.create_dir(&self.at(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        Disk.list(&self.at(dir))
    }

    fn list_foreign(&self, dir: &Path) -> io::Result<Vec<String>> {
        Disk.list_foreign(&self.at(dir))
    }

    fn displace(&self, path: &Path, wanted: Wanted) -> io::Result<Option<String>> {
        Disk.displace(&self.at(path), wanted)
    }

    fn shortcomings(&self, dir: &Path) -> Vec<String> {
        Disk.shortcomings(&self.at(dir))
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn StorageFile>> {
        Disk.create(&self.at(path), bytes)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        Disk.open(&self.at(path), access)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(&self.at(from), &self.at(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(&self.at(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        Disk.sync_dir(&self.at(dir))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        Disk.free_bytes(&self.at(dir))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        Disk.lock(&self.at(path))
    }

    fn lock_folder(&self, dir: &Path) -> io::Result<Box<dyn Lock>> {
        Disk.lock_folder(&self.at(dir))
    }

    fn bind(&self, dir: &Path) -> io::Result<Binding> {
        Disk.bind(&self.at(dir))
    }

    /// By the name alone: that is what it is asked for.
    fn named(&self, path: &Path) -> io::Result<Option<Identity>> {
        Disk.named(path)
    }

    fn now_millis(&self) -> u64 {
        Disk.now_millis()
    }

    fn random(&self) -> u64 {
        Disk.random()
    }
}
