//! The real filesystem.
mod bound;

use super::storage::{Access, Binding, Entry, Identity, Lock, Storage, StorageFile};
use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
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
    /// Holds the lock until dropped.
    file: File,
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

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.mode(0o600).open(path)?;
        if let Err(error) = reserve(&file, bytes) {
            let _ = std::fs::remove_file(path);
            return Err(error);
        }
        give_to_owner(&file, path);
        Ok(Arc::new(DiskFile(file)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write);
        Ok(Arc::new(DiskFile(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(dir.as_os_str().as_bytes())?;
        let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
        // SAFETY: `path` ends in NUL and `stat` is writable memory of the right type; both outlive the call.
        let result = unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: zeroed at first and filled by the successful call; every bit pattern is a valid `statvfs`.
        let stat = unsafe { stat.assume_init() };
        #[allow(clippy::unnecessary_cast, reason = "the width differs between systems")]
        let (blocks, size) = (stat.f_bavail as u64, stat.f_frsize as u64);
        Ok(blocks.saturating_mul(size))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(path)?;
        let file = lock(file)?;
        give_to_owner(&file.file, path);
        Ok(Box::new(file))
    }

    fn lock_folder(&self, dir: &Path) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(lock(File::open(dir)?)?))
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
        // On macOS the standard library uses F_FULLFSYNC here.
        self.0.sync_data()
    }

    fn confirm(&self) -> io::Result<()> {
        confirm(&self.0)
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

/// `flock` belongs to the open file, not to the process: a second opening in this process fails as well.
fn lock(file: File) -> io::Result<DiskLock> {
    match file.try_lock() {
        Ok(()) => Ok(DiskLock {
            identity: identity(&file.metadata()?),
            file,
        }),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
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

/// Changes a time of the file, twice. The first change makes a filesystem whose journal has ended turn read-only at once, but keeps the
/// error for itself; the second says it.
#[cfg(target_os = "linux")]
fn confirm(file: &File) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let time = |tv_nsec| libc::timespec { tv_sec: 0, tv_nsec };
    let times = [time(libc::UTIME_OMIT), time(libc::UTIME_NOW)];
    for _ in 0..2 {
        // SAFETY: `times` holds the two times that the call reads, and outlives it; `file` keeps the descriptor open.
        if unsafe { libc::futimens(file.as_raw_fd(), times.as_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn confirm(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    if bytes == 0 {
        return Ok(());
    }
    let length = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
    loop {
        // SAFETY: a plain system call on a descriptor that `file` keeps open.
        if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            // A filesystem that cannot reserve: the space is taken as it is written, and a full disk is met later.
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => return file.set_len(bytes),
            _ => return Err(error),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)
}
