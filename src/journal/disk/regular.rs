//! Opens regular files and nothing else.
//!
//! This is the only place in which a file of the journal's folder is opened, so that whatever stands under a name of ours can neither
//! make the bridge wait (a pipe), nor do something by being opened (a device), nor lead out of the folder (a symbolic link).
use super::super::storage::{NotAFile, Wanted};
use std::ffi::OsString;
use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// What is appended to the name of what stood in the way.
const DISPLACED: &str = ".foreign";

/// So many names are tried for it.
const NAMES: usize = 1000;

/// Opens a regular file.
///
/// # Errors
/// [`NotAFile`] for anything else, and the system's.
pub(super) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // Looked at before it is opened: opening a device may already do something.
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => return Err(not_a_file(found.file_type())),
        _ => {}
    }
    // It may have become something else since: neither followed nor waited for.
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path).map_err(explained)?;
    let found = file.metadata()?;
    if found.is_file() {
        Ok(file)
    } else {
        Err(not_a_file(found.file_type()))
    }
}

/// An error whose cause is that the name is no regular file's says so.
pub(super) fn explained(error: io::Error) -> io::Error {
    let what = match error.raw_os_error() {
        Some(libc::EISDIR) => "a folder",
        Some(libc::ELOOP) => "a symbolic link",
        Some(libc::ENXIO) => "a pipe, socket or device",
        _ => return error,
    };
    io::Error::other(NotAFile(what))
}

fn not_a_file(kind: FileType) -> io::Error {
    let what = if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    io::Error::other(NotAFile(what))
}

/// See [`Storage::displace`](super::super::storage::Storage::displace).
pub(super) fn displace(path: &Path, wanted: Wanted) -> io::Result<Option<String>> {
    let suits = match wanted {
        Wanted::File => std::fs::symlink_metadata(path).map(|found| found.is_file()),
        Wanted::Socket => {
            std::fs::symlink_metadata(path).map(|found| found.file_type().is_socket())
        }
        Wanted::Folder => match std::fs::metadata(path) {
            // A symbolic link that leads nowhere is there all the same.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::symlink_metadata(path).map(|_| false)
            }
            found => found.map(|found| found.is_dir()),
        },
    };
    match suits {
        Ok(false) => {}
        Ok(true) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    for number in 1..NAMES {
        let mut name = OsString::from(path.file_name().unwrap_or_default());
        name.push(DISPLACED);
        if number > 1 {
            name.push(format!("-{number}"));
        }
        let free = path.with_file_name(&name);
        if std::fs::symlink_metadata(&free).is_err() {
            std::fs::rename(path, &free)?;
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
