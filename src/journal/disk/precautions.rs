//! Steps that are taken for speed or out of caution, and what is done where a filesystem does not offer them.
//!
//! **A precaution refuses nothing.** The guarantees need that bytes can be written and synced and that a name can be given. That space is
//! reserved, that a filesystem takes a change of a file's time, that a folder can be synced by itself: none of that is offered by every
//! filesystem, and where it is not, the next best is done instead. An error that says "not here" leads to the fall-back; one that says that
//! the medium or the filesystem has failed is an error in every case.
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// Whether an error says that this filesystem does not offer, or not allow, such a call: nothing about the state of what is stored.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EPERM
                | libc::EACCES
                | libc::EINVAL
                | libc::ENOSYS
                | libc::EOPNOTSUPP
                | libc::EBADF
                | libc::EISDIR
                | libc::ENOTTY
                | libc::ENOLCK
        )
    )
}

fn done(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes a file's contents durable.
pub(super) fn sync_data(file: &File) -> io::Result<()> {
    // On macOS the standard library uses F_FULLFSYNC here.
    match file.sync_data() {
        Err(error) if is_unsupported(&error) => {}
        synced => return synced,
    }
    match file.sync_all() {
        Err(error) if is_unsupported(&error) => sync_all_of(file),
        synced => synced,
    }
}

/// Makes the names in a folder durable. CIFS and VirtualBox's shares cannot sync a folder: there the whole filesystem is synced, and where
/// not even that is offered, names are given by a server that alone knows when they are safe.
pub(super) fn sync_dir(dir: &File) -> io::Result<()> {
    match dir.sync_all() {
        Err(error) if is_unsupported(&error) => {}
        synced => return synced,
    }
    match sync_all_of(dir) {
        Err(error) if is_unsupported(&error) => Ok(()),
        synced => synced,
    }
}

/// Syncs the whole filesystem on which this is open.
#[cfg(target_os = "linux")]
pub(super) fn sync_all_of(file: &File) -> io::Result<()> {
    // SAFETY: a plain system call on a descriptor that `file` keeps open.
    done(unsafe { libc::syncfs(file.as_raw_fd()) })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn sync_all_of(_: &File) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Has the filesystem take a change of this file, which one that has turned read-only does not.
///
/// Each kind of change is made twice. The first makes a filesystem whose journal has ended turn read-only at once, but keeps the error for itself;
/// the second says it. The kinds, until one is allowed: the file's times (both, since whoever may write may set both to now, and only the
/// owner one alone); its length, to what it is; a byte, to what it is, synced. The last takes what the guarantees need anyway, so its
/// failure is one.
pub(super) fn confirm(file: &File) -> io::Result<()> {
    for change in [set_times, set_same_length] {
        match change(file).and_then(|()| change(file)) {
            Err(error) if is_unsupported(&error) || super::super::storage::is_full(&error) => {}
            taken => return taken,
        }
    }
    write_same_byte(file)?;
    write_same_byte(file)
}

fn set_times(file: &File) -> io::Result<()> {
    // SAFETY: a null pointer stands for the present time; `file` keeps the descriptor open.
    done(unsafe { libc::futimens(file.as_raw_fd(), std::ptr::null()) })
}

fn set_same_length(file: &File) -> io::Result<()> {
    file.set_len(file.metadata()?.len())
}

fn write_same_byte(file: &File) -> io::Result<()> {
    let mut byte = [0];
    if file.read_at(&mut byte, 0)? > 0 {
        file.write_all_at(&byte, 0)?;
        sync_data(file)?;
    }
    Ok(())
}

/// Extends a file from `from` to `to` bytes of zeros, and reserves their space where that can be done.
///
/// # Errors
/// `StorageFull` only where two say so, the reservation and the count of free bytes: ZFS refuses to reserve what it has room for.
pub(super) fn reserve(file: &File, from: u64, to: u64) -> io::Result<()> {
    if to <= from {
        return Ok(());
    }
    match allocate(file, from, to - from) {
        Ok(()) => return Ok(()),
        Err(error)
            if error.kind() == io::ErrorKind::StorageFull
                && free(file).is_ok_and(|free| free >= to - from) => {}
        Err(error)
            if super::super::storage::is_full(&error)
                || error.kind() == io::ErrorKind::FileTooLarge =>
        {
            return Err(error);
        }
        // The space is taken as it is written, and a full disk is met then.
        Err(_) => {}
    }
    match file.set_len(to) {
        Ok(()) => Ok(()),
        Err(_) => file.write_all_at(&[0], to - 1),
    }
}

#[cfg(target_os = "linux")]
pub(super) fn allocate(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    let from = libc::off_t::try_from(from).map_err(io::Error::other)?;
    let bytes = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
    loop {
        // SAFETY: a plain system call on a descriptor that `file` keeps open.
        let allocated = done(unsafe { libc::fallocate(file.as_raw_fd(), 0, from, bytes) });
        match allocated {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            allocated => return allocated,
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn allocate(_: &File, _: u64, _: u64) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Bytes that an unprivileged process may still use.
pub(super) fn free(file: &File) -> io::Result<u64> {
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `stat` is writable memory of the right type and outlives the call; `file` keeps the descriptor open.
    done(unsafe { libc::fstatvfs(file.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: zeroed at first and filled by the successful call; every bit pattern is a valid `statvfs`.
    let stat = unsafe { stat.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "the width differs between systems")]
    let (blocks, size) = (stat.f_bavail as u64, stat.f_frsize as u64);
    Ok(blocks.saturating_mul(size))
}

/// Tells btrfs to write in place: with copy on write, space that was reserved and filled with zeros holds no room for what is to replace the
/// zeros. Must come before the first byte. Where it is refused the file serves all the same.
#[cfg(target_os = "linux")]
pub(super) fn write_in_place(file: &File) {
    if filesystem(file).is_ok_and(|kind| kind == libc::BTRFS_SUPER_MAGIC as u64)
        && let Ok(flags) = flags(file)
    {
        let flags = flags | NO_COPY_ON_WRITE;
        // SAFETY: the request reads an int (as the kernel's own sources have it), which outlives it; `file` keeps the descriptor open.
        let _ = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS as _, &flags) };
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn write_in_place(_: &File) {}

/// `FS_NOCOW_FL`.
#[cfg(target_os = "linux")]
const NO_COPY_ON_WRITE: libc::c_int = 0x0080_0000;

#[cfg(target_os = "linux")]
fn flags(file: &File) -> io::Result<libc::c_int> {
    let mut flags: libc::c_int = 0;
    // SAFETY: the request writes an int (as the kernel's own sources have it), which outlives it; `file` keeps the descriptor open.
    done(unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS as _, &mut flags) })?;
    Ok(flags)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_written_in_place(_: &File) -> bool {
    true
}

/// Whether a file is written in place, as far as that can be asked.
#[cfg(target_os = "linux")]
pub(super) fn is_written_in_place(file: &File) -> bool {
    match filesystem(file) {
        Ok(kind) if kind == libc::BTRFS_SUPER_MAGIC as u64 => {
            flags(file).is_ok_and(|flags| flags & NO_COPY_ON_WRITE != 0)
        }
        _ => true,
    }
}

/// The kind of filesystem on which this is open: `f_type` of `statfs(2)`.
#[cfg(target_os = "linux")]
pub(super) fn filesystem(file: &File) -> io::Result<u64> {
    let mut stat = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `stat` is writable memory of the right type and outlives the call; `file` keeps the descriptor open.
    done(unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: zeroed at first and filled by the successful call; every bit pattern is a valid `statfs`.
    let stat = unsafe { stat.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "the width differs between systems")]
    let kind = stat.f_type as u64 & 0xffff_ffff;
    Ok(kind)
}
