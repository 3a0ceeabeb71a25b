//! Where the socket is, and how it is reached however deep the journal's folder lies.
//!
//! A Unix socket's path may have some hundred bytes (`sun_path`: 108 on Linux). A longer one is reached through the folder's open file:
//! `/proc/self/fd/<n>/control.sock`. Where there is no `/proc` (macOS) it cannot be, and the error says so.

use crate::journal::storage::{Disk, Storage, Wanted};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// The socket's name within the journal's folder. The journal takes no notice of it.
pub const NAME: &str = "control.sock";

/// Under this name the socket is made, so that it never stands there with another mode, or before it listens.
const NEW: &str = "control.sock.new";

/// Connections that the kernel may keep waiting.
const BACKLOG: i32 = 8;

/// The address of `name` in `dir`, and the open folder that it may depend on.
fn address(dir: &Path, name: &str) -> io::Result<(SockAddr, Option<File>)> {
    let path = dir.join(name);
    let too_long = match SockAddr::unix(&path) {
        Ok(address) => return Ok((address, None)),
        Err(error) => error,
    };
    let folder = File::open(dir)?;
    let through = format!("/proc/self/fd/{}", folder.as_raw_fd());
    if !Path::new(&through).exists() {
        let what = format!(
            "{}: {too_long}, and this system has no /proc to shorten it; use a shorter ICR_BRIDGE_JOURNAL_DIR",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, what));
    }
    let address = SockAddr::unix(Path::new(&through).join(name))?;
    Ok((address, Some(folder)))
}

/// Listens in `dir`, replacing what stands there. The caller holds the journal's lock.
pub fn bind(dir: &Path) -> io::Result<UnixListener> {
    let new = dir.join(NEW);
    // A folder, say, that cannot be removed. A socket has no contents to lose.
    if let Some(other) = Disk.displace(&new, Wanted::Socket)? {
        tracing::warn!(
            "{}: this is no socket; it was renamed to {other}",
            new.display()
        );
    }
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (address, _folder) = address(dir, NEW)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&address)?;
    let ready = std::fs::set_permissions(&new, Permissions::from_mode(0o600))
        .and_then(|()| socket.listen(BACKLOG))
        .and_then(|()| std::fs::rename(&new, dir.join(NAME)));
    if let Err(error) = ready {
        // Best effort: the next start removes it.
        let _ = std::fs::remove_file(&new);
        return Err(error);
    }
    socket.set_nonblocking(true)?;
    Ok(UnixListener::from(OwnedFd::from(socket)))
}

/// Connects to the bridge that listens in `dir`; the stream does not block.
///
/// # Errors
/// `NotFound` or `ConnectionRefused` where no bridge listens there; `WouldBlock` where one does and does not answer.
pub fn connect(dir: &Path) -> io::Result<UnixStream> {
    let (address, _folder) = address(dir, NAME)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A local connection stands at once or not at all.
    socket.set_nonblocking(true)?;
    socket.connect(&address)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

/// Device and inode of the socket that stands in `dir` now.
pub fn mark(dir: &Path) -> Option<(u64, u64)> {
    let found = std::fs::symlink_metadata(dir.join(NAME)).ok()?;
    Some((found.dev(), found.ino()))
}

/// Removes the socket, if it is the one that was bound: the folder's name may have been given to another one, where another bridge listens.
pub fn remove(dir: &Path, bound: Option<(u64, u64)>) {
    if bound.is_some() && mark(dir) == bound {
        // A leftover does no harm: nobody listens there, and the next start replaces it.
        let _ = std::fs::remove_file(dir.join(NAME));
    }
}
