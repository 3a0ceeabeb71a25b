//! How the writer gets the next segment: a spare, or a fresh file; and room for it where there is none.
//!
//! **Refused is what has no room itself.** Where there is no room for a whole segment, and no published one is left to give way, a smaller one is
//! made, down to what the group needs. Where no file can be made at all (a filesystem may have free space and no inodes), the present
//! segment grows.
use super::super::catalog::{Kept, Segment};
use super::super::frame;
use super::super::segment::{DATA, Entries, Header};
use super::super::spares::Spare;
use super::super::storage::{Wanted, is_foreign, is_full};
use super::super::{AppendError, retention};
use super::{Active, Group, Writer, kind};
use std::io;
use std::sync::Arc;

/// Smaller segments have a multiple of this, which is what filesystems give.
const BLOCK: u64 = 4096;
/// A segment grows only while its footer, which stands in memory, is smaller than this: some three million records.
const FOOTER: usize = frame::MAX_PAYLOAD / 4;

/// Sizes to try in turn where there is no room for `most`: halves of it that may fit into `free`, then `least`.
fn smaller(most: u64, least: u64, free: u64) -> impl Iterator<Item = u64> {
    let halves = std::iter::successors(Some(most / 2), |size| Some(size / 2));
    let halves = halves.map(|size| size.next_multiple_of(BLOCK));
    let halves = halves.take_while(move |size| *size > least.max(BLOCK));
    halves
        .filter(move |size| *size <= free)
        .chain([least.next_multiple_of(BLOCK)])
}

/// Whether less might do.
fn is_too_much(error: &io::Error) -> bool {
    is_full(error) || error.kind() == io::ErrorKind::FileTooLarge
}

impl Writer {
    /// Opens the next segment, with room for `group`; the present one is sealed then. If it fails for want of space the present one stays.
    pub(super) fn open(&mut self, group: &Group) -> Result<(), AppendError> {
        self.open_for(group, true)
    }

    /// `urgent`: published segments make room where there is none, and a failure is told.
    pub(super) fn open_for(&mut self, group: &Group, urgent: bool) -> Result<(), AppendError> {
        if let Err(error) = self.core.claim.check(&*self.core.shelf.observer) {
            if urgent {
                let dir = self.core.shelf.dir.display();
                self.core
                    .warn(&format!("{dir}: no new segment is opened: {error}"));
            }
            return Err(error);
        }
        let room = DATA + group.room(&Entries::default());
        let capacity = self.core.options.segment_bytes.max(room);
        let mut opened = match self.install_spare(capacity, urgent) {
            Ok(None) => self.install_new(capacity, urgent),
            Ok(Some(next)) => Ok(next),
            Err(error) => Err(error),
        };
        if urgent && opened.as_ref().is_err_and(is_too_much) {
            opened = self.install_smaller(capacity, room, opened);
        }
        let next = match opened {
            Ok(next) => next,
            Err(error) if urgent && is_too_much(&error) && self.grow(group).is_ok() => {
                return Ok(());
            }
            Err(error) => {
                if urgent {
                    self.core.warn(&format!(
                        "{}: no new segment can be opened ({error}); deliveries are refused once the present one is full",
                        self.core.shelf.dir.display()
                    ));
                }
                // A file with the next segment's name may have reached the disk, and what the present segment would hold from there
                // on would not count; or it has taken the name of the present one, if that is empty.
                if std::mem::take(&mut self.name_taken)
                    && let Some(active) = self.active.take()
                {
                    self.retire(active);
                }
                return Err(kind(&error));
            }
        };
        self.name_taken = false;
        if let Some(full) = self.active.replace(next) {
            self.retire(full);
        }
        Ok(())
    }

    /// Spares in turn, until one can be used. One for which there is no space (where none can be reserved) is kept for later.
    fn install_spare(&mut self, capacity: u64, urgent: bool) -> io::Result<Option<Active>> {
        // As many as there may be, and no replacement is asked for before one works: a disk whose syncs fail slowly would keep
        // deliveries waiting for ever, each for the next spare to fail.
        for _ in 0..self.core.options.spare_segments {
            let Some(mut spare) = self.core.spares.take(capacity) else {
                break;
            };
            match self.install(&mut spare, urgent) {
                Ok((header, name)) => {
                    self.core.chores.wake();
                    return self.enter(spare, header, name).map(Some);
                }
                Err(error) if is_full(&error) && !spare.is_named() => {
                    self.core.spares.put(spare);
                    return Err(error);
                }
                Err(error) => {
                    self.core
                        .warn(&format!("a spare segment could not be used: {error}"));
                    self.name_taken |= spare.is_named();
                    spare.discard(&self.core.shelf);
                }
            }
        }
        Ok(None)
    }

    fn install_new(&mut self, capacity: u64, urgent: bool) -> io::Result<Active> {
        let shelf = Arc::clone(&self.core.shelf);
        let mut spare = self.making_room(urgent, || self.core.spares.make(&shelf, capacity))?;
        match self.install(&mut spare, urgent) {
            Ok((header, name)) => self.enter(spare, header, name),
            Err(error) => {
                self.name_taken |= spare.is_named();
                spare.discard(&shelf);
                Err(error)
            }
        }
    }

    /// As large as can be had.
    fn install_smaller(
        &mut self,
        capacity: u64,
        room: u64,
        mut tried: io::Result<Active>,
    ) -> io::Result<Active> {
        let shelf = &self.core.shelf;
        let free = shelf.storage.free_bytes(&shelf.dir).unwrap_or(0);
        for size in smaller(capacity, room, free) {
            if self.name_taken || !tried.as_ref().is_err_and(is_too_much) {
                break;
            }
            tried = self.install_new(size, false);
        }
        tried
    }

    /// Makes room for a group in the segment at hand.
    fn grow(&mut self, group: &Group) -> io::Result<()> {
        let shelf = &self.core.shelf;
        let free = shelf.storage.free_bytes(&shelf.dir).unwrap_or(0);
        // Its name may be another's: see `open_for`.
        let Some(active) = self.active.as_mut().filter(|_| !self.name_taken) else {
            return Err(io::ErrorKind::StorageFull.into());
        };
        let least = (active.position + group.room(&active.entries)).saturating_sub(active.capacity);
        if active.entries.bytes.len() >= FOOTER {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut more = self.core.options.segment_bytes.max(least);
        let mut grown = active.file.extend(active.capacity + more);
        for less in smaller(more, least, free) {
            if !grown.as_ref().is_err_and(is_too_much) {
                break;
            }
            more = less;
            grown = active.file.extend(active.capacity + more);
        }
        grown?;
        active.capacity += more;
        let base = active.header.base;
        let bytes = active.capacity;
        if let Some(segment) = shelf.catalog.lock().segments.get_mut(&base) {
            segment.bytes = bytes;
        }
        Ok(())
    }

    fn install(&self, spare: &mut Spare, urgent: bool) -> io::Result<(Header, String)> {
        let shelf = &self.core.shelf;
        let installed = self.making_room(urgent, || match spare.is_named() {
            // Its name may be a segment's by now.
            true => Err(io::Error::other("its name is taken")),
            false => spare.install(shelf, self.next),
        });
        match installed {
            // A folder, say, that somebody has made under the segment's name.
            Err(error) if is_foreign(&error) => {
                if shelf.make_way(&super::segment::name(self.next), Wanted::File) {
                    spare.install(shelf, self.next)
                } else {
                    Err(error)
                }
            }
            installed => installed,
        }
    }

    /// Where there is no space, published segments go first, whatever the retention.
    pub(super) fn making_room<T>(
        &self,
        urgent: bool,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match attempt() {
                Err(error) if urgent && is_full(&error) && retention::make_room(&self.core) => {}
                done => return done,
            }
        }
    }

    /// Enters a segment into the catalog. One of the same base, from which nothing was acknowledged, was replaced on disk as well.
    fn enter(&self, spare: Spare, header: Header, name: String) -> io::Result<Active> {
        let (file, zeroed) = spare.into_file();
        let identity = file.identity()?;
        let path = self.core.shelf.dir.join(&name);
        let mut segment = Segment::new(header, name, header.capacity);
        segment.kept = Some(Kept {
            file: Arc::clone(&file),
            identity,
        });
        let mut catalog = self.core.shelf.catalog.lock();
        catalog.segments.insert(header.base, segment);
        Ok(Active {
            file,
            identity,
            path,
            capacity: header.capacity,
            header,
            position: DATA,
            zeroed,
            entries: Entries::default(),
        })
    }
}
