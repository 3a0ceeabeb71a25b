//! Segments made ahead, so that rolling is cheap and a disk that others fill does not refuse deliveries at once.
//!
//! A spare is reserved first and then filled with zeros, slowly: syncing writes into reserved but unwritten space has to convert extents
//! each time, and has to be confirmed. Measured on ext4, groups of 128 KiB: `fdatasync` 190 µs into zeroed space, 330 µs into merely
//! reserved space.
use super::bounds::CLAIMED;
use super::catalog::Shelf;
use super::names::is_named;
use super::segment::{self, Header};
use super::storage::{Access, StorageFile};
use super::{Sequence, load::Folder};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Zeros are synced by this much, with a pause after each, so that appends hardly notice.
const STEP: u64 = 1 << 20;
/// They are written by this much: enough for a call to cost nothing, and less memory to keep.
const ZEROS: usize = 64 << 10;
const PAUSE: Duration = Duration::from_millis(10);

/// A spare's name: this, and its number in decimal.
pub(super) const PREFIX: &str = "spare-";

/// The number in a spare's name, in the one form that is given.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?;
    let number = digits.parse().ok()?;
    (number < CLAIMED && digits == u64::to_string(&number)).then_some(number)
}

/// A reserved file without a use.
pub(super) struct Spare {
    name: String,
    file: Arc<dyn StorageFile>,
    pub bytes: u64,
    /// Filled with zeros up to here, safely.
    zeroed: u64,
    /// It is to be filled.
    raw: bool,
    /// A segment's name was given to it, or at least tried.
    named: bool,
}

/// The spares.
#[derive(Default)]
pub(super) struct Spares {
    ready: Mutex<VecDeque<Spare>>,
    /// For names that were never used before.
    next: Mutex<u64>,
}

impl Spares {
    /// Takes over the spares of the last run; those of another size are removed, and those that an earlier version made where they keep no
    /// room.
    pub fn adopt(shelf: &Shelf, folder: &Folder, segment_bytes: u64, wanted: usize) -> Self {
        let spares = Self::default();
        for (name, bytes) in &folder.spares {
            let mut next = spares.next.lock();
            *next = (*next).max(number(name).map_or(0, |number| number + 1));
            let path = shelf.dir.join(name);
            let fits = *bytes == segment_bytes && spares.ready.lock().len() < wanted;
            match shelf.storage.open(&path, Access::Write) {
                Ok(file) if fits && file.keeps_room() => spares.ready.lock().push_back(Spare {
                    name: name.clone(),
                    file,
                    bytes: *bytes,
                    // Nobody knows; filling it at every start would cost more than it saves.
                    zeroed: 0,
                    raw: false,
                    named: false,
                }),
                // What cannot be removed is tried again at the next start.
                _ => drop(shelf.storage.remove(&path)),
            }
        }
        spares
    }

    /// Reserves a file of this size.
    pub fn make(&self, shelf: &Shelf, bytes: u64) -> io::Result<Spare> {
        let number = {
            let mut next = self.next.lock();
            *next += 1;
            *next
        };
        let name = format!("{PREFIX}{number}");
        let file = shelf.storage.create(&shelf.dir.join(&name), bytes)?;
        Ok(Spare {
            name,
            file,
            bytes,
            zeroed: 0,
            raw: true,
            named: false,
        })
    }

    /// A spare of at least this size.
    pub fn take(&self, bytes: u64) -> Option<Spare> {
        let mut ready = self.ready.lock();
        let fits = ready.iter().position(|spare| spare.bytes >= bytes)?;
        ready.remove(fits)
    }

    /// Puts a spare where [`Spares::take`] finds it.
    pub fn put(&self, spare: Spare) {
        // Those that need no more filling go first.
        let mut ready = self.ready.lock();
        if spare.raw {
            ready.push_back(spare);
        } else {
            ready.push_front(spare);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ready.lock().len()
    }

    /// Forgets those whose files were deleted or replaced: they keep no place.
    pub fn look(&self, shelf: &Shelf) {
        let mut ready = self.ready.lock();
        ready.retain(|spare| spare.has_name(shelf));
    }

    /// A spare that is to be filled with zeros.
    pub fn take_raw(&self) -> Option<Spare> {
        let mut ready = self.ready.lock();
        let raw = ready.iter().position(|spare| spare.raw)?;
        ready.remove(raw)
    }
}

impl Spare {
    /// Goes on filling the file with zeros, doing `between` after each step until it says stop.
    pub fn zero(&mut self, between: &mut dyn FnMut() -> bool) -> io::Result<()> {
        let zeros = vec![0; ZEROS];
        while self.raw {
            let end = self.bytes.min(self.zeroed + STEP);
            for position in (self.zeroed..end).step_by(ZEROS) {
                let length = (end - position).min(ZEROS as u64) as usize;
                self.file
                    .write_at(zeros.get(..length).unwrap_or_default(), position)?;
            }
            self.file.sync_data()?;
            self.file.confirm()?;
            self.zeroed = end;
            self.raw = self.zeroed < self.bytes;
            if !between() {
                return Ok(());
            }
            if self.raw {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Makes it a segment, durably. The name is given last: a segment's header is never torn. It is an error if the file does not have
    /// its name before and after: somebody has deleted or replaced it.
    pub fn install(&mut self, shelf: &Shelf, base: Sequence) -> io::Result<(Header, String)> {
        let storage = &*shelf.storage;
        let own = self.file.identity()?;
        let has_name = |path: &Path| match is_named(storage, path, own) {
            true => Ok(()),
            false => Err(io::Error::other("its file was deleted or replaced")),
        };
        has_name(&shelf.dir.join(&self.name))?;
        let identity = shelf.catalog.lock().identity;
        let header = Header::new(storage, identity, base, self.bytes);
        header.write(&*self.file)?;
        self.file.sync_data()?;
        let name = segment::name(base);
        let path = shelf.dir.join(&name);
        self.named = true;
        storage.rename(&shelf.dir.join(&self.name), &path)?;
        let synced = storage.sync_dir(&shelf.dir);
        if let Err(error) = synced.and_then(|()| self.file.confirm()) {
            // If it stays it is empty; but nothing may be appended to the segment before it (see `writer`).
            let _ = storage.remove(&path);
            return Err(error);
        }
        has_name(&path)?;
        Ok((header, name))
    }

    /// Whether a failed [`Spare::install`] may have left a segment.
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// Removes the file; a leftover is adopted or removed at the next start. Another file that has its name stays.
    pub fn discard(&self, shelf: &Shelf) {
        if self.has_name(shelf) {
            let _ = shelf.storage.remove(&shelf.dir.join(&self.name));
        }
    }

    fn has_name(&self, shelf: &Shelf) -> bool {
        let path = shelf.dir.join(&self.name);
        let identity = self.file.identity();
        identity.is_ok_and(|identity| is_named(&*shelf.storage, &path, identity))
    }

    /// The file itself, and up to where it holds zeros safely: a sync into these needs no [`StorageFile::confirm`].
    pub fn into_file(self) -> (Arc<dyn StorageFile>, u64) {
        (self.file, self.zeroed)
    }
}
