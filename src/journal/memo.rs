//! A memo of the owner's: some bytes that are to be known again after a restart, whatever the retention.
//!
//! The file `memo`: `icrmemo1`, a CRC-32C (u32, little-endian) of what follows, the owner's bytes. It is written under another name
//! and renamed, so that it is there whole or not at all. Housekeeping asks the owner what it should say, at most every
//! [`EVERY`] and when the journal is closed, and writes it if it says something else: a crash costs what has changed since.
//!
//! It is knowledge, not data: one that is missing or damaged counts as empty, and one that cannot be written is told once.
use super::bytes::u32_at;
use super::core::Core;
use super::storage::{Access, Identity, Storage, Wanted, is_foreign, patiently, replace};
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// The file's name.
pub(super) const NAME: &str = "memo";
/// Under this name it is written first.
pub(super) const TEMPORARY: &str = "memo.tmp";
/// What a memo may hold at the most.
pub(super) const MAX_BYTES: usize = 64 << 10;

const MAGIC: &[u8; 8] = b"icrmemo1";
/// Magic and checksum.
const SEAL: usize = 12;
/// A write and two syncs: rare enough never to be felt beside those of the deliveries.
const EVERY: Duration = Duration::from_secs(10);

/// Says what the memo should hold. Called on the journal's own thread; must be quick.
pub(super) type Source = Box<dyn Fn() -> Vec<u8> + Send>;

pub(super) struct Memo {
    inner: Mutex<Inner>,
}

struct Inner {
    /// What the file holds.
    kept: Vec<u8>,
    /// Which file that is.
    identity: Option<Identity>,
    source: Option<Source>,
    looked: Instant,
    /// Said once, not every time.
    said: bool,
}

impl Memo {
    /// Reads the file; what is wrong with it is told in the second value.
    pub fn open(storage: &dyn Storage, dir: &Path) -> (Self, Option<String>) {
        let path = dir.join(NAME);
        let (kept, warning) = match read(storage, &path) {
            Ok(kept) => (kept, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
            Err(error) => {
                let what = format!("cannot be read ({error}); it counts as empty");
                (Vec::new(), Some(what))
            }
        };
        let inner = Inner {
            kept,
            identity: named(storage, &path),
            source: None,
            looked: Instant::now(),
            said: false,
        };
        let memo = Self {
            inner: Mutex::new(inner),
        };
        (memo, warning)
    }

    pub fn kept(&self) -> Vec<u8> {
        self.inner.lock().kept.clone()
    }

    pub fn keep(&self, source: Source) {
        self.inner.lock().source = Some(source);
    }

    /// Writes what has changed, if it is time or `at_once`.
    pub fn tend(&self, core: &Core, at_once: bool) {
        let mut inner = self.inner.lock();
        if !at_once && inner.looked.elapsed() < EVERY {
            return;
        }
        inner.looked = Instant::now();
        let Some(bytes) = inner.source.as_ref().map(|source| source()) else {
            return;
        };
        let (storage, path) = (&*core.shelf.storage, core.shelf.dir.join(NAME));
        // Where it was deleted or replaced it is written again.
        let is_there = || !core.claim.is_ours() || named(storage, &path) == inner.identity;
        if bytes == inner.kept && is_there() {
            return;
        }
        let mut written = write(storage, &path, &bytes);
        if written.as_ref().is_err_and(is_foreign) {
            for name in [TEMPORARY, NAME] {
                core.shelf.make_way(name, Wanted::File);
            }
            written = write(storage, &path, &bytes);
        }
        match written {
            Ok(()) => {
                inner.identity = named(storage, &path);
                inner.kept = bytes;
                inner.said = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut inner.said, true) {
                    core.warn(&format!("{}: cannot be written: {error}", path.display()));
                }
            }
        }
    }
}

fn named(storage: &dyn Storage, path: &Path) -> Option<Identity> {
    storage.named(path).ok().flatten()
}

fn write(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() > MAX_BYTES {
        return Err(io::Error::other("it is larger than 64 KiB"));
    }
    let checksum = crc32c::crc32c(bytes).to_le_bytes();
    replace(storage, path, &[&MAGIC[..], &checksum, bytes].concat())
}

fn read(storage: &dyn Storage, path: &Path) -> io::Result<Vec<u8>> {
    let file = patiently(|| storage.open(path, Access::Read))?;
    let mut bytes = vec![0; SEAL + MAX_BYTES];
    let length = patiently(|| file.read_at(&mut bytes, 0))?;
    bytes.truncate(length);
    let damaged = || io::Error::other("it is damaged");
    let sum = u32_at(&bytes, MAGIC.len());
    let memo = bytes.get(SEAL..).ok_or_else(damaged)?;
    if !bytes.starts_with(MAGIC) || sum != Some(crc32c::crc32c(memo)) {
        return Err(damaged());
    }
    Ok(memo.to_vec())
}
