//! The lock of one process, on whatever filesystem.
//!
//! `flock` first. NFS without its lock daemon, and some FUSE filesystems, refuse it (`ENOLCK`, `ENOSYS`); then a lock of `fcntl(2)` that
//! belongs to the open file, which another layer of such a filesystem may offer; then a name in the kernel's table of abstract sockets,
//! which keeps out a second process on this machine (in this network namespace). What remains without a guard is said at start
//! (`limits`).

use super::precautions;
use std::fs::{File, TryLockError};
use std::io;
#[cfg(target_os = "linux")]
use std::os::unix::fs::MetadataExt;
#[cfg(target_os = "linux")]
use std::os::unix::net::UnixListener;

/// What keeps others out for as long as it and the open file are there.
pub(super) enum Guard {
    /// A lock on the file itself.
    Lock,
    /// A name among this machine's abstract sockets, given back when dropped.
    #[cfg(target_os = "linux")]
    Name(#[expect(dead_code, reason = "holds the name until dropped")] UnixListener),
    /// There is none to be had.
    Nothing,
}

/// Locks an open file or folder.
///
/// # Errors
/// `WouldBlock` where anyone holds it, this process included.
pub(super) fn lock(file: &File) -> io::Result<Guard> {
    // `flock` belongs to the open file, not to the process: a second opening in this process fails as well.
    let error = match file.try_lock() {
        Ok(()) => return Ok(Guard::Lock),
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => error,
    };
    match error.raw_os_error() {
        // What CIFS says for a lock that somebody else holds.
        Some(libc::EACCES) => Err(io::ErrorKind::WouldBlock.into()),
        _ if precautions::is_unsupported(&error) => otherwise(file),
        _ => Err(error),
    }
}

#[cfg(target_os = "linux")]
fn otherwise(file: &File) -> io::Result<Guard> {
    use std::os::fd::AsRawFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;
    // SAFETY: every bit pattern is a valid `flock`; all zeros but for the kind are the whole file.
    let mut whole: libc::flock = unsafe { std::mem::zeroed() };
    whole.l_type = libc::F_WRLCK as libc::c_short;
    // SAFETY: the call reads the structure, which outlives it; `file` keeps the descriptor open.
    let locked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &whole) };
    if locked != 0 {
        let error = io::Error::last_os_error();
        if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
    }
    let found = file.metadata()?;
    let name = format!("icr-bridge-journal-{:x}-{:x}", found.dev(), found.ino());
    let address = SocketAddr::from_abstract_name(name)?;
    match UnixListener::bind_addr(&address) {
        Ok(held) => Ok(Guard::Name(held)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        // A sandbox without sockets: said at start.
        Err(_) if locked == 0 => Ok(Guard::Lock),
        Err(_) => Ok(Guard::Nothing),
    }
}

#[cfg(not(target_os = "linux"))]
fn otherwise(file: &File) -> io::Result<Guard> {
    let _ = file;
    Ok(Guard::Nothing)
}
