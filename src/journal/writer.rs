//! The one thread that writes: group commit.
//!
//! Whatever waits becomes a group: one write, one `fdatasync`, then readers see it and every caller hears. The next group is written
//! only after that. A segment on which a write or a sync failed is never written again, because nobody knows what reached the disk and
//! a second sync may claim success; the group goes into the next segment instead, with the same sequences. Only if that fails too are
//! its callers refused, and the next group tries again.
mod open;

use super::core::Core;
use super::frame::{self, Kind, Meta};
use super::housekeeping::SealJob;
use super::names;
use super::queue::Wake;
use super::segment::{self, Entries, Header};
use super::storage::{Identity, StorageFile, is_full};
use super::{Append, AppendError, Sequence};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A group ends at this size: large enough to make syncs cheap, small enough to keep their time short.
const GROUP: u64 = 4 << 20;
/// A delivery of some size, with which is found out whether there is room for one.
const ORDINARY: u64 = 32 << 10;
/// A buffer that a huge record blew up is not kept.
const KEEP: usize = 2 * GROUP as usize;
/// How often a group is tried: on the segment at hand, then on a fresh one.
const ATTEMPTS: usize = 2;

pub(super) struct Writer {
    core: Arc<Core>,
    active: Option<Active>,
    /// The sequence of the next record.
    next: Sequence,
    buffer: Vec<u8>,
    /// An attempt to open the next segment failed after its name was given.
    name_taken: bool,
}

/// The segment being written.
struct Active {
    file: Arc<dyn StorageFile>,
    identity: Identity,
    path: PathBuf,
    header: Header,
    /// Bytes that the file has: the header's, or more where it had to grow.
    capacity: u64,
    /// Synced up to here.
    position: u64,
    /// Zeros stand up to here, safely: see [`StorageFile::confirm`].
    zeroed: u64,
    entries: Entries,
}

/// Records that go together.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    records: usize,
    bytes: u64,
    tags: usize,
}

impl Group {
    fn with(self, append: &Append) -> Self {
        Self {
            records: self.records + 1,
            bytes: self.bytes + frame::span(append.bytes.len()),
            tags: self.tags + usize::from(append.tag_length),
        }
    }

    /// Bytes that it needs in a segment with these entries.
    fn room(&self, entries: &Entries) -> u64 {
        self.bytes + entries.room(self.records, self.tags)
    }
}

impl Active {
    fn fits(&self, group: &Group) -> bool {
        self.position + group.room(&self.entries) <= self.capacity
    }
}

impl Writer {
    /// A writer that goes on at `next`. It opens its first segment at once, so that the first delivery does not wait for it.
    pub fn new(core: Arc<Core>, next: Sequence) -> Self {
        let mut writer = Self {
            core,
            active: None,
            next,
            buffer: Vec::new(),
            name_taken: false,
        };
        writer.probe();
        writer
    }

    /// Writes until the queue is closed, then has the last segment sealed and housekeeping finish.
    pub fn run(mut self) {
        let mut batch = Vec::new();
        let worked = catch_unwind(AssertUnwindSafe(|| self.work(&mut batch)));
        if worked.is_err() {
            // Nobody knows what state it is in: nothing is written any more.
            self.core.panicked.store(true, Ordering::Release);
            self.active = None;
            self.refuse_all(batch);
        }
        if let Some(active) = self.active.take() {
            self.retire(active);
        }
        {
            let mut catalog = self.core.shelf.catalog.lock();
            catalog.closed = true;
            self.core.shelf.grown.notify_all();
        }
        self.core.chores.finish();
    }

    fn work(&mut self, batch: &mut Vec<Append>) {
        loop {
            match self.core.queue.take(batch) {
                Wake::Appends => self.write_all(batch),
                Wake::Poke => self.probe(),
                Wake::Roll => self.roll(),
                Wake::Closed => return,
            }
        }
    }

    /// After a panic: refuses what waits and what comes, so that nobody hangs and the bridge says that it is not ready; what was stored
    /// is published on.
    fn refuse_all(&self, mut batch: Vec<Append>) {
        self.core.warn(
            "the journal's writer has panicked; nothing is stored until the bridge is started again",
        );
        loop {
            *self.core.storable.lock() = Err(AppendError::Storage);
            self.core.queue.left(0);
            for append in batch.drain(..) {
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    (append.done)(Err(AppendError::Storage))
                }));
            }
            if self.core.queue.take(&mut batch) == Wake::Closed {
                return;
            }
        }
    }

    /// Goes on in a fresh segment, so that retention by time gets at the one at hand. No urgent matter: where there is no space for it
    /// nothing is deleted, and the next round asks again.
    fn roll(&mut self) {
        let begun = |active: &Active| active.entries.count > 0;
        if self.active.as_ref().is_some_and(begun) {
            // Where it failed the present one stays, or the next append opens another.
            let _ = self.open_for(&Group::default(), false);
        }
    }

    /// Finds out whether an append could be stored, where the last one could not.
    fn probe(&mut self) {
        let failed = self.core.storable.lock().is_err();
        if failed || self.active.is_none() {
            // Ready is what has room for a delivery of any ordinary size.
            let ordinary = Group {
                records: 1,
                bytes: ORDINARY.min(self.core.options.segment_bytes / 2),
                tags: usize::from(u8::MAX),
            };
            let result = match self.fits(&ordinary) {
                true => Ok(()),
                false => self.open(&ordinary),
            };
            *self.core.storable.lock() = result;
        }
    }

    fn write_all(&mut self, batch: &mut Vec<Append>) {
        // Once no segment could be opened, what does not fit is refused for the rest of the batch: each try costs time.
        let mut trouble = None;
        while let Some(first) = batch.first() {
            let one = Group::default().with(first);
            if trouble.is_none() && !self.fits(&one) {
                trouble = self.open(&one).err();
            }
            let group = self.gather(batch);
            let result = match trouble {
                Some(error) if !self.fits(&one) => Err(error),
                _ => self.commit(batch.get(..group.records).unwrap_or_default(), &group),
            };
            *self.core.storable.lock() = result.map(drop);
            self.core.queue.left(batch.len() - group.records);
            for (append, index) in batch.drain(..group.records).zip(0..) {
                let result = result.map(|first: Sequence| first + index);
                // A caller's panic must not take the journal with it.
                if catch_unwind(AssertUnwindSafe(|| (append.done)(result))).is_err() {
                    self.core
                        .warn("a completion callback of an append panicked");
                }
            }
        }
    }

    /// Whether it can be written to the segment at hand. Nothing can while folder or lock are not the journal's own.
    fn fits(&self, group: &Group) -> bool {
        let active = self.active.as_ref();
        active.is_some_and(|active| active.fits(group)) && self.core.claim.is_ours()
    }

    /// As many as make one group in the segment at hand; at least one.
    fn gather(&self, batch: &[Append]) -> Group {
        let mut group = Group::default();
        for append in batch {
            let more = group.with(append);
            if group.records > 0 && (more.bytes > GROUP || !self.fits(&more)) {
                break;
            }
            group = more;
        }
        group
    }

    /// Makes a group durable; the sequence of its first record.
    fn commit(&mut self, batch: &[Append], group: &Group) -> Result<Sequence, AppendError> {
        let mut failure = AppendError::Storage;
        for _ in 0..ATTEMPTS {
            if !self.fits(group) {
                self.open(group)?;
            }
            match self.write(batch, group) {
                Ok(sync) if self.is_found() => return Ok(self.enter_records(batch, sync)),
                Ok(_) => {
                    failure = AppendError::Displaced;
                    self.leave_nameless();
                }
                Err(error) => {
                    failure = kind(&error);
                    self.abandon(&error);
                }
            }
        }
        Err(failure)
    }

    /// Whether the segment at hand is what its path leads to: after the sync, and before anybody hears of it. One look, from the root on,
    /// sees whatever was deleted, renamed, replaced, unmounted or mounted over on the way. Measured: 4 µs a group where a sync took 3.4 ms.
    fn is_found(&self) -> bool {
        let storage = &*self.core.shelf.storage;
        self.active
            .as_ref()
            .is_some_and(|active| names::is_named(storage, &active.path, active.identity))
    }

    /// Goes on elsewhere; housekeeping writes again what the segment holds (`names`).
    fn leave_nameless(&mut self) {
        let Some(active) = self.active.take() else {
            return;
        };
        self.core.warn(&format!(
            "{}: this path no longer leads to the segment that is being written; what was not acknowledged goes into the next one",
            active.path.display()
        ));
        self.retire(active);
    }

    /// Writes and syncs a group; how long the sync took.
    fn write(&mut self, batch: &[Append], group: &Group) -> io::Result<Duration> {
        let Some(active) = self.active.as_mut() else {
            return Err(io::Error::other("no segment is open"));
        };
        let first = self.next;
        let (start, salt) = (active.position, active.header.salt);
        self.buffer.clear();
        self.buffer.reserve(group.bytes as usize);
        for (append, sequence) in batch.iter().zip(first..) {
            let meta = Meta {
                kind: Kind::Record,
                tag_length: append.tag_length,
                sequence,
                position: start + self.buffer.len() as u64,
                group: start,
            };
            frame::append(&mut self.buffer, salt, meta, &append.bytes);
        }
        // The very same bytes to the very same place: that a write of them failed before is no harm.
        let (file, buffer) = (Arc::clone(&active.file), &self.buffer);
        self.making_room(true, || file.write_at(buffer, start))?;
        let Some(active) = self.active.as_mut() else {
            return Err(io::Error::other("no segment is open"));
        };
        let begun = Instant::now();
        active.file.sync_data()?;
        if start + buffer.len() as u64 > active.zeroed {
            active.file.confirm()?;
        }
        Ok(begun.elapsed())
    }

    /// Enters the records of a group that is safe; the first one's sequence.
    fn enter_records(&mut self, batch: &[Append], sync: Duration) -> Sequence {
        let first = self.next;
        let Some(active) = self.active.as_mut() else {
            return first;
        };
        for (append, sequence) in batch.iter().zip(first..) {
            let (tag, body) = append
                .bytes
                .split_at_checked(usize::from(append.tag_length))
                .unwrap_or_default();
            active.entries.record(sequence, active.position, tag, body);
            active.position += frame::span(append.bytes.len());
        }
        self.next = first + batch.len() as u64;
        self.publish(batch.len() as u64);
        self.core
            .shelf
            .observer
            .synced(batch.len(), self.buffer.len(), sync);
        if self.buffer.capacity() > KEEP {
            self.buffer = Vec::new();
        }
        first
    }

    /// Lets readers see what was synced.
    fn publish(&self, records: u64) {
        let Some(active) = &self.active else { return };
        let mut catalog = self.core.shelf.catalog.lock();
        catalog.last = self.next - 1;
        if let Some(segment) = catalog.segments.get_mut(&active.header.base) {
            let now = self.core.shelf.storage.now_millis();
            segment.begun_at.get_or_insert(now);
            segment.end = active.position;
            segment.last = self.next - 1;
            segment.records += records;
        }
        if catalog.waiting > 0 {
            self.core.shelf.grown.notify_all();
        }
    }

    /// Has a full segment sealed.
    fn retire(&self, active: Active) {
        self.close_entry(&active);
        if active.entries.count > 0 {
            self.core.chores.seal(
                &self.core,
                SealJob {
                    file: active.file,
                    header: active.header,
                    end: active.position,
                    entries: active.entries,
                },
            );
        }
    }

    /// Never writes to the segment again.
    fn abandon(&mut self, error: &io::Error) {
        let Some(active) = self.active.take() else {
            return;
        };
        self.close_entry(&active);
        self.core.warn(&format!(
            "{}: writing failed ({error}); the segment is closed and what was not acknowledged goes into the next one",
            self.core.shelf.dir.join(segment::name(active.header.base)).display()
        ));
    }

    fn close_entry(&self, active: &Active) {
        let now = self.core.shelf.storage.now_millis();
        let mut catalog = self.core.shelf.catalog.lock();
        let segment = catalog.segments.get_mut(&active.header.base);
        if let Some(segment) = segment.filter(|segment| segment.header == active.header) {
            segment.closed_at = Some(now);
        }
    }
}

fn kind(error: &io::Error) -> AppendError {
    if is_full(error) {
        AppendError::DiskFull
    } else {
        AppendError::Storage
    }
}
