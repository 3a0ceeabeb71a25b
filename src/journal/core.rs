//! What the journal's threads and handles share.
//!
//! Locks are taken in the order cursor, held, catalog; the others are leaves.
use super::catalog::Shelf;
use super::claim::Claim;
use super::cursor::Cursor;
use super::held::{Held, Taker};
use super::housekeeping::Chores;
use super::memo::Memo;
use super::pins::Pins;
use super::queue::Queue;
use super::spares::Spares;
use super::storage::{Storage, is_foreign, is_full};
use super::{AppendError, Ledger, Options, Progress, Sequence, outcomes, recovery, retention};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(super) struct Core {
    pub shelf: Arc<Shelf>,
    pub options: Options,
    pub queue: Queue,
    pub cursor: Mutex<Cursor>,
    pub held: Mutex<Held>,
    pub memo: Memo,
    pub outcomes: Mutex<outcomes::Buffer>,
    pub spares: Spares,
    pub pins: Pins,
    pub chores: Chores,
    /// Whether the last append could be stored.
    pub storable: Mutex<Result<(), AppendError>>,
    /// The writer has panicked: nothing is written any more.
    pub panicked: AtomicBool,
    /// Given back at the end of housekeeping.
    pub claim: Arc<Claim>,
}

impl Core {
    pub fn warn(&self, message: &str) {
        self.shelf.observer.warning(message);
    }

    pub fn save_progress(&self, progress: Progress, sync: bool) -> io::Result<()> {
        let mut cursor = self.cursor.lock();
        self.claim.may_write()?;
        if progress.sequence >= cursor.progress().sequence && progress != cursor.progress() {
            let floor = cursor.floor();
            cursor.saw(self.shelf.catalog.lock().last);
            cursor.save(progress, floor)?;
        }
        if sync {
            cursor.sync(&*self.shelf.storage)
        } else {
            Ok(())
        }
    }

    pub fn ledger(&self) -> Ledger {
        let cursor = self.cursor.lock();
        let progress = cursor.progress();
        let held = self.held.lock();
        let last = self.shelf.catalog.lock().last;
        ledger(last, progress, &held)
    }

    pub fn hold(&self, sequence: Sequence, note: &[u8], body: &[u8]) -> io::Result<()> {
        self.with_room(|held, storage| held.hold(storage, sequence, note, body))
    }

    pub fn release(&self, sequence: Sequence, taker: Taker) -> io::Result<bool> {
        {
            // Were it lost, the record would be published again, and count twice.
            let mut cursor = self.cursor.lock();
            self.claim.may_write()?;
            cursor.sync(&*self.shelf.storage)?;
            if cursor.durable().sequence < sequence {
                return Err(io::Error::other("the cursor has not passed this record"));
            }
        }
        self.with_room(|held, storage| held.release(storage, sequence, taker))
    }

    pub fn supersede(&self, sequence: Sequence) {
        let superseded = self.changing_held(|held, storage| held.supersede(storage, sequence));
        if let Err(error) = superseded {
            self.warn(&format!(
                "{}: the copy of {sequence}, which was published now, cannot be removed ({error}); it is tried again",
                self.shelf.dir.join(super::held::NAME).display()
            ));
        }
    }

    fn changing_held<T>(
        &self,
        mut change: impl FnMut(&mut Held, &dyn Storage) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut held = self.held.lock();
        self.claim.may_write()?;
        change(&mut held, &*self.shelf.storage)
    }

    /// On a full disk published segments go first; at last a spare, since one delivery that cannot be held stops publishing, and with
    /// it all that would free space.
    fn with_room<T>(
        &self,
        mut change: impl FnMut(&mut Held, &dyn Storage) -> io::Result<T>,
    ) -> io::Result<T> {
        let (mut spare_given, mut cleared) = (false, false);
        loop {
            let full = match self.changing_held(&mut change) {
                Err(error) if is_full(&error) => error,
                // What was made under one of its names since the start is in the way.
                Err(error)
                    if is_occupied(&error)
                        && !std::mem::replace(&mut cleared, true)
                        && recovery::clear_names(&self.shelf) =>
                {
                    continue;
                }
                done => return done,
            };
            if retention::make_room(self) {
                continue;
            }
            match self.spares.take(0) {
                Some(spare) if spare_given => {
                    self.spares.put(spare);
                    return Err(full);
                }
                Some(spare) => {
                    spare.discard(&self.shelf);
                    spare_given = true;
                    self.warn("the disk is full: a spare segment was given up for a held delivery");
                }
                None => return Err(full),
            }
        }
    }

    /// Removes copies whose removal failed before. Quietly: it was said then.
    pub fn sweep_held(&self) {
        let _ = self.changing_held(|held, storage| held.sweep(storage));
    }
}

/// Whether something stands in the place of a file or folder.
fn is_occupied(error: &io::Error) -> bool {
    let kind = error.kind();
    is_foreign(error)
        || matches!(
            kind,
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
        )
}

/// The ledger of a journal whose last record is `last`.
pub(super) fn ledger(last: Sequence, progress: Progress, held: &Held) -> Ledger {
    let accepted = last.max(progress.sequence);
    let (held, released) = (held.count(progress.sequence), held.released());
    // What was held and is neither there nor released has vanished.
    let gone = progress.held.saturating_sub(held);
    let published = released.published.min(gone);
    let quarantined = progress.quarantined + released.quarantined.min(gone - published);
    let published = progress.published + published;
    let pending = accepted - progress.sequence;
    let explained = published + quarantined + held + pending + progress.written_off;
    Ledger {
        accepted,
        published,
        quarantined,
        held,
        pending,
        written_off: progress.written_off,
        unaccounted: (accepted as i64).saturating_sub(explained as i64),
    }
}
