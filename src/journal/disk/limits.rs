//! What a folder's filesystem does not offer of what the journal's guarantees need: asked by trying it on a file without a name.

use super::super::storage::is_full;
use super::precautions;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

#[cfg(target_os = "linux")]
const VOLATILE: &str = "this folder is in memory (tmpfs): a restart of the machine, or the end of the container or pod, deletes deliveries that were answered \
     202 and are not published yet; use a folder on a disk";
#[cfg(target_os = "linux")]
const LAYER: &str = "this folder is in a container's own layer (overlay): removing the container deletes deliveries that were answered 202 and are not \
     published yet; mount a volume here";
const COPY_ON_WRITE: &str = "this filesystem copies on write, and the journal's files cannot be exempted from it: space that is reserved ahead does not keep \
     others from filling the disk, and deliveries are refused as soon as it is full; watch its free space";
const UNRESERVED: &str = "this filesystem cannot reserve space: deliveries are refused as soon as others fill the disk; watch its free space";
const FOLDER_UNSYNCED: &str = "this filesystem cannot sync a folder: whether the newest files survive a power cut is decided by whoever keeps it (the file server, \
     or the host of a shared folder), and is not known here; a local disk is safer";
const UNSYNCED: &str = "this filesystem cannot sync a file by itself: all of it is synced for each group of deliveries, which may take long";
const NEVER_SYNCED: &str = "this filesystem can sync nothing: deliveries cannot be made durable, and every one is refused; use another filesystem";
const UNLOCKED: &str = "this filesystem has no file locks: a second bridge that is started on this folder, from another machine or container, is not \
     noticed; make sure that there is none";

/// See [`Storage::shortcomings`](super::super::storage::Storage::shortcomings).
pub(super) fn of(dir: &Path) -> Vec<String> {
    let mut found: Vec<&str> = Vec::new();
    if let Some(folder) = dir.ancestors().find_map(|dir| File::open(dir).ok()) {
        found.extend(of_kind(&folder));
    }
    if let Ok(folder) = File::open(dir)
        && let Ok(file) = nameless(dir)
    {
        found.extend(tried(&folder, &file));
    }
    found.dedup();
    found.into_iter().map(str::to_owned).collect()
}

#[cfg(target_os = "linux")]
fn of_kind(folder: &File) -> Option<&'static str> {
    // From the kernel's magic.h, and those of ZFS and bcachefs.
    match precautions::filesystem(folder).ok()? {
        0x0102_1994 | 0x8584_58f6 => Some(VOLATILE),
        0x794c_7630 => Some(LAYER),
        0x2fc1_2fc1 | 0xca45_1a4e => Some(COPY_ON_WRITE),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn of_kind(_: &File) -> Option<&'static str> {
    None
}

/// What does not work on this file. A try that fails for another reason (a full disk, say) shows nothing.
fn tried(folder: &File, file: &File) -> Vec<&'static str> {
    let mut found = Vec::new();
    precautions::write_in_place(file);
    if !precautions::is_written_in_place(file) {
        found.push(COPY_ON_WRITE);
    }
    let refused =
        |tried: io::Result<()>| tried.is_err_and(|error| precautions::is_unsupported(&error));
    if file.write_all_at(&[0; 4096], 0).is_ok() && refused(file.sync_data()) {
        found.push(match refused(precautions::sync_data(file)) {
            true => NEVER_SYNCED,
            false => UNSYNCED,
        });
    }
    const SOME: u64 = 64 << 10;
    match precautions::allocate(file, 0, SOME) {
        Ok(()) => {}
        Err(error) if precautions::is_unsupported(&error) => found.push(UNRESERVED),
        Err(error) => {
            let room = precautions::free(file).is_ok_and(|free| free >= SOME);
            if is_full(&error) && room {
                found.push(UNRESERVED);
            }
        }
    }
    if refused(folder.sync_all()) {
        found.push(FOLDER_UNSYNCED);
    }
    if let Err(std::fs::TryLockError::Error(error)) = file.try_lock()
        && precautions::is_unsupported(&error)
    {
        found.push(UNLOCKED);
    }
    found
}

/// A file that is gone when it is closed, whatever happens.
fn nameless(dir: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    #[cfg(target_os = "linux")]
    if let Ok(file) = options.clone().custom_flags(libc::O_TMPFILE).open(dir) {
        return Ok(file);
    }
    let path = dir.join(format!("probe-{}.tmp", std::process::id()));
    let file = options.create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
