//! What the journal needs of a filesystem; tests inject faults here.
//!
//! The journal relies on this much: bytes under a successful [`StorageFile::sync_data`] survive a power cut, names under a
//! successful [`Storage::sync_dir`] do too, a rename replaces its target at once or not at all, and a freshly created file
//! reads as zeros. Anything else may be lost or kept in any order.
//!
//! One exception is met in practice, see [`StorageFile::confirm`].
//!
//! **Only what the guarantees need may refuse a delivery.** Writing, syncing and renaming must work. Everything else is for speed or
//! out of caution, and has a fall-back where a filesystem does not offer it: reserving space, changing a file's time, syncing a folder,
//! locking. What a folder's filesystem cannot guarantee, [`Storage::shortcomings`] says in a sentence.
//!
//! **Names are claims.** Nothing is opened that is no regular file: opening a pipe waits for ever, opening a device may do something, and a
//! symbolic link leads elsewhere. Such a thing in the place of a file counts as no file ([`is_foreign`]); where the journal needs the
//! name itself, the thing is given another one ([`Storage::displace`]).
pub use super::disk::Disk;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file's name in a folder, and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name alone.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading alone.
    Read,
    /// Reading and writing.
    Write,
}

/// Tells files and folders apart, whatever their names: two of the same identity are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The filesystem's number.
    pub device: u64,
    /// The file's number in it. It is given to no other file for as long as this one is open.
    pub inode: u64,
}

/// What [`Storage::bind`] gives.
pub struct Binding {
    /// The folder that was bound.
    pub folder: Identity,
    /// The storage in which everything at or below its path is this very folder, whatever becomes of its name. `None` where the system
    /// can reach a folder by its name alone.
    pub storage: Option<Arc<dyn Storage>>,
}

/// What stands in the place of a file, and is no regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is {0}, not a regular file")]
pub struct NotAFile(pub &'static str);

/// Whether an error means that something stands there which is no regular file.
pub fn is_foreign(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<NotAFile>())
}

/// Whether an error means that there is no file of that name: nothing at all, or something that is no file.
pub fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || is_foreign(error)
}

/// What a name is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A regular file.
    File,
    /// A folder; a symbolic link to one will do.
    Folder,
    /// A socket.
    Socket,
}

/// A filesystem and a clock.
///
/// # Errors
/// Each method hands on the error of the filesystem as it is; where its kind matters the method says so.
#[allow(clippy::missing_errors_doc, reason = "said for all of them")]
pub trait Storage: Send + Sync + 'static {
    /// Creates a folder (0700) with its parents; fine where it exists.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// The regular files of a folder, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// The names in a folder of all that is no regular file, in any order.
    fn list_foreign(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Gives what stands at `path`, and is not what is wanted there, another name: the new one, or `None` where nothing was to be done.
    fn displace(&self, path: &Path, wanted: Wanted) -> io::Result<Option<String>>;
    /// What the journal's guarantees need and this folder's filesystem does not offer, each in a sentence that follows the folder's
    /// name. Looks at the nearest folder above where there is none yet; changes nothing that stays.
    fn shortcomings(&self, dir: &Path) -> Vec<String>;
    /// Creates or empties a file (0600) of `bytes` zeros whose space is reserved, where the filesystem can do that. `StorageFull` where
    /// there is no room; then no file is left behind.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn StorageFile>>;
    /// Opens a regular file that exists.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn StorageFile>>;
    /// Renames a file within its folder, replacing what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that an unprivileged process may still use.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Takes the exclusive lock that a file stands for (created where missing); `WouldBlock` where anyone holds it, this process included.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
    /// Takes the same kind of lock on a folder itself, which holds though the lock file is deleted. `WouldBlock` where anyone holds it;
    /// any other error means that this filesystem has no such locks.
    fn lock_folder(&self, dir: &Path) -> io::Result<Box<dyn Lock>>;
    /// Holds on to the folder that has this name now.
    fn bind(&self, dir: &Path) -> io::Result<Binding>;
    /// What a process that starts now would find under this name; `None` where it would find nothing. A symbolic link as the last part
    /// of the path is not followed; `folder/.` follows it.
    fn named(&self, path: &Path) -> io::Result<Option<Identity>>;
    /// Milliseconds since 1970.
    fn now_millis(&self) -> u64;
    /// A number that nobody can foresee.
    fn random(&self) -> u64;
}

/// A lock, given back when dropped.
pub trait Lock: Send + Sync {
    /// The file or folder that is locked.
    fn identity(&self) -> Identity;
}

/// An open file. Positions are absolute, in bytes: no state is shared between its users.
///
/// # Errors
/// Each method hands on the error of the filesystem as it is.
#[allow(clippy::missing_errors_doc, reason = "said for all of them")]
pub trait StorageFile: Send + Sync {
    /// Fills `buffer` as far as the file reaches; the number of bytes read.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all bytes, growing the file where needed.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Makes the contents durable, and what is needed to read them again.
    fn sync_data(&self) -> io::Result<()>;
    /// Fails where the syncs before may not be believed, since the filesystem has meanwhile turned read-only. A filesystem that merely
    /// does not allow one way of asking is asked in another.
    ///
    /// Linux's ext4 (seen with 6.18) answers a sync with success though it could not enter the space just written as written, in the
    /// milliseconds between an error of the filesystem and its turning read-only: after the next mount zeros stand there. Bytes in
    /// place of others that are safe need no such entry, and no confirmation. Costs about half a sync.
    fn confirm(&self) -> io::Result<()>;
    /// Which file this is, whatever its name.
    fn identity(&self) -> io::Result<Identity>;
    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Cuts or extends the file (with zeros).
    fn set_length(&self, bytes: u64) -> io::Result<()>;
    /// Extends the file with zeros whose space is reserved, where the filesystem can do that. `StorageFull` where there is no room; then
    /// nothing has changed.
    fn extend(&self, bytes: u64) -> io::Result<()>;
    /// Whether what was reserved and written keeps room for what replaces it: not where the filesystem copies on write.
    fn keeps_room(&self) -> bool {
        true
    }
}

/// Whether an error means that there is no space (`ENOSPC` or `EDQUOT`).
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether an error means that the medium does not give the bytes back. Others (no descriptors, no memory) say nothing about a file.
pub(super) fn is_unreadable(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}

/// A place that cannot be read is taken for damage at the fourth failure: a passing fault must not cost a record, a lasting one not stop
/// the reader.
pub(super) const PATIENCE: u32 = 3;

/// Tries to read again where the medium did not give the bytes back.
pub(super) fn patiently<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..PATIENCE {
        match read() {
            Err(error) if is_unreadable(&error) => {}
            done => return done,
        }
    }
    read()
}

/// Writes a small file so that it is there whole or not at all, whatever happens: a temporary name, synced, then renamed.
///
/// # Errors
/// What the filesystem says to any of these steps. The file is then as it was, or as it was to be.
pub fn replace(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let written = storage
        .create(&temporary, bytes.len() as u64)
        .and_then(|file| {
            file.write_at(bytes, 0)?;
            file.sync_data()?;
            storage.rename(&temporary, path)?;
            Ok(file)
        });
    let file = match written {
        Ok(file) => file,
        Err(error) => {
            // Best effort: a leftover is removed or overwritten by the next attempt.
            let _ = storage.remove(&temporary);
            return Err(error);
        }
    };
    if let Some(dir) = path.parent() {
        storage.sync_dir(dir)?;
    }
    file.confirm()
}

/// Files are copied by this much at a time.
const PIECE: u64 = 1 << 20;

/// Gives the contents of an open file that has lost its name that name again: a copy of its first `length` bytes, in a file of `size`
/// bytes, durable on return. Another file that has the name meanwhile is kept under a third one.
///
/// # Errors
/// What the storage says where the copy cannot be written, or the open file not be read.
pub fn restore(
    storage: &dyn Storage,
    file: &dyn StorageFile,
    path: &Path,
    length: u64,
    size: u64,
) -> io::Result<Arc<dyn StorageFile>> {
    let temporary = path.with_extension("tmp");
    let copied = storage.create(&temporary, size).and_then(|copy| {
        let mut piece = vec![0; PIECE.min(length) as usize];
        let mut position = 0;
        while position < length {
            piece.truncate((length - position).min(PIECE) as usize);
            if patiently(|| file.read_at(&mut piece, position))? != piece.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            copy.write_at(&piece, position)?;
            position += piece.len() as u64;
        }
        copy.sync_data()?;
        if storage.named(path)?.is_some() {
            let mut aside = path.as_os_str().to_owned();
            aside.push(format!(".{}.replaced", storage.now_millis()));
            storage.rename(path, Path::new(&aside))?;
        }
        storage.rename(&temporary, path)?;
        Ok(copy)
    });
    let copy = match copied {
        Ok(copy) => copy,
        Err(error) => {
            // Best effort: the next attempt overwrites a leftover.
            let _ = storage.remove(&temporary);
            return Err(error);
        }
    };
    let synced = path.parent().map_or(Ok(()), |dir| storage.sync_dir(dir));
    if let Err(error) = synced.and_then(|()| copy.confirm()) {
        // Its name may not last: the next attempt makes another copy.
        let _ = storage.remove(path);
        return Err(error);
    }
    Ok(copy)
}
