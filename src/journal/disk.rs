//! The real filesystem.
mod bound;
mod limits;
mod locking;
mod precautions;
mod regular;

use super::storage::{Access, Binding, Entry, Identity, Lock, Storage, StorageFile, Wanted};
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The real one.
pub struct Disk;

struct DiskFile(File);

struct DiskLock {
    identity: Identity,
    #[expect(dead_code, reason = "holds the lock until dropped")]
    held: (File, locking::Guard),
}

impl DiskLock {
    fn boxed(file: File, guard: locking::Guard) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(Self {
            identity: identity(&file.metadata()?),
            held: (file, guard),
        }))
    }
}

impl Lock for DiskLock {
    fn identity(&self) -> Identity {
        self.identity
    }
}

impl Storage for Disk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            // A file may vanish between the listing and the look at it: retention works beside us.
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let bytes = metadata.len();
                entries.push(Entry { name, bytes });
            }
        }
        Ok(entries)
    }

    fn list_foreign(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            // One that has vanished since is nobody's business.
            if entry.file_type().is_ok_and(|kind| !kind.is_file()) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn displace(&self, path: &Path, wanted: Wanted) -> io::Result<Option<String>> {
        regular::displace(path, wanted)
    }

    fn shortcomings(&self, dir: &Path) -> Vec<String> {
        limits::of(dir)
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = regular::open(options.mode(0o600), path)?;
        precautions::write_in_place(&file);
        if let Err(error) = precautions::reserve(&file, 0, bytes) {
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        give_to_owner(&file, path);
        Ok(Arc::new(DiskFile(file)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write);
        Ok(Arc::new(DiskFile(regular::open(&mut options, path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to).map_err(regular::explained)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        precautions::sync_dir(&File::open(dir)?)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        precautions::free(&File::open(dir)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = regular::open(options.mode(0o600), path)?;
        let guard = locking::lock(&file)?;
        give_to_owner(&file, path);
        DiskLock::boxed(file, guard)
    }

    fn lock_folder(&self, dir: &Path) -> io::Result<Box<dyn Lock>> {
        let folder = File::open(dir)?;
        match locking::lock(&folder)? {
            locking::Guard::Nothing => Err(io::ErrorKind::Unsupported.into()),
            guard => DiskLock::boxed(folder, guard),
        }
    }

    fn bind(&self, dir: &Path) -> io::Result<Binding> {
        bound::bind(dir)
    }

    fn named(&self, path: &Path) -> io::Result<Option<Identity>> {
        match std::fs::symlink_metadata(path) {
            Ok(found) => Ok(Some(identity(&found))),
            Err(error) if leads_nowhere(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn now_millis(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |time| {
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
        })
    }

    fn random(&self) -> u64 {
        // Keyed by the system's random source; hashing the time tells calls of one thread apart.
        RandomState::new().hash_one(SystemTime::now())
    }
}

impl StorageFile for DiskFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, position + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        precautions::sync_data(&self.0)
    }

    fn confirm(&self) -> io::Result<()> {
        precautions::confirm(&self.0)
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(identity(&self.0.metadata()?))
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn extend(&self, bytes: u64) -> io::Result<()> {
        precautions::reserve(&self.0, self.length()?, bytes)
    }

    fn keeps_room(&self) -> bool {
        precautions::is_written_in_place(&self.0)
    }
}

fn identity(metadata: &Metadata) -> Identity {
    Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

/// Whether an error means that nothing has that name. Others (no right to look, no answer from the medium) say nothing about it.
fn leads_nowhere(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory) || error.raw_os_error() == Some(libc::ELOOP)
}

/// A repair run by root leaves files that the bridge's user can open: they belong to the folder's owner. Best effort: who is not root
/// may not give files away, and need not.
fn give_to_owner(file: &File, path: &Path) {
    let owner = path.parent().and_then(|dir| std::fs::metadata(dir).ok());
    if let (Some(owner), Ok(own)) = (owner, file.metadata())
        && own.uid() == 0
        && owner.uid() != 0
    {
        let _ = std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
}
