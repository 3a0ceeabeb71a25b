//! Reading a journal without opening it for writing: beside a live bridge, or on a copy.
//!
//! A view is a picture of the moment at which it was opened or last refreshed. It takes no lock and changes nothing. What a live writer is in the middle
//! of looks like a torn tail, or for a moment like damage; therefore a picture with damage in it is taken again, a few times.
use super::catalog::{Catalog, Shelf};
use super::load::{self, Folder, Verdict};
use super::outcomes::{self, Noted};
use super::reader::{Next, Reader};
pub use super::repair::{Repair, repair};
use super::sieve::Sieve;
use super::storage::Storage;
use super::{
    Ledger, Observer, OpenError, Progress, Sequence, core, cursor, held, recovery, verify,
};
use parking_lot::Mutex;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a look that shows damage is repeated, and how long after: a group is written in a fraction of it.
pub(super) const LOOKS: usize = 3;
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// A read-only look at a journal's folder.
pub struct View {
    pub(super) shelf: Arc<Shelf>,
    /// As of when the view was opened.
    folder: Folder,
    pub(super) progress: Mutex<Progress>,
}

/// One finding of `journal verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file's name within the folder.
    pub file: String,
    /// Byte position, where one can be given.
    pub position: Option<u64>,
    /// What is wrong, and what it cost (sequences), in a sentence.
    pub what: String,
}

/// What `journal verify` found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Segments looked at.
    pub segments: usize,
    /// Good records.
    pub records: u64,
    /// Damage, in order.
    pub damage: Vec<Finding>,
    /// What is no damage but worth a line (a torn tail that will be cut, a segment not sealed).
    pub remarks: Vec<Finding>,
}

struct Silent;

impl Observer for Silent {}

impl View {
    /// Looks at a folder. It must exist.
    ///
    /// # Errors
    /// Where the folder cannot be read, or holds a newer format.
    pub fn open(storage: Arc<dyn Storage>, dir: &Path) -> Result<Self, OpenError> {
        let mut view = Self::look(&storage, dir)?;
        for _ in 1..LOOKS {
            if view.shelf.catalog.lock().damage() == 0 {
                break;
            }
            std::thread::sleep(PAUSE);
            view = Self::look(&storage, dir)?;
        }
        Ok(view)
    }

    pub(super) fn look(storage: &Arc<dyn Storage>, dir: &Path) -> Result<Self, OpenError> {
        let folder = load::folder(&**storage, dir)?;
        let (slot, _) = recovery::progress(&**storage, dir, &folder)?;
        let progress = slot.progress;
        let mut catalog = Catalog {
            floor: slot.floor,
            closed: true,
            last: slot.vouches(),
            strays: folder.strays.len() as u64,
            identity: folder.identity,
            ..Catalog::default()
        };
        for loaded in &folder.segments {
            let segment = loaded.segment(slot.vouches(), storage.now_millis());
            let empty = loaded.verdict(slot.vouches()) == Verdict::Empty;
            catalog.enter(segment, empty);
        }
        let shelf = Shelf::new(Arc::clone(storage), dir.to_owned(), Arc::new(Silent));
        *shelf.catalog.lock() = catalog;
        Ok(Self {
            shelf: Arc::new(shelf),
            folder,
            progress: Mutex::new(progress),
        })
    }

    /// The ledger as the files tell it.
    ///
    /// # Errors
    /// Where the folder of held records cannot be read.
    pub fn ledger(&self) -> io::Result<Ledger> {
        let storage = &*self.shelf.storage;
        let held = self.held_copies()?;
        let last = self.shelf.catalog.lock().last;
        let last = last.max(held.highest_above(storage, last));
        Ok(core::ledger(last, self.progress(), &held))
    }

    /// Checks every byte that is claimed to be written. Changes nothing.
    ///
    /// # Errors
    /// Where a file that should be there cannot be read.
    pub fn verify(&self) -> io::Result<Verification> {
        let gaps = self.shelf.catalog.lock().gaps();
        let found = verify::verify(&self.shelf, &self.folder, &gaps)?;
        if found.damage.is_empty() {
            return Ok(found);
        }
        // A bridge may have been writing, sealing or deleting while we read: only what stays is damage.
        std::thread::sleep(PAUSE);
        let again = Self::open(Arc::clone(&self.shelf.storage), &self.shelf.dir);
        let again = again.map_err(io::Error::other)?;
        let gaps = again.shelf.catalog.lock().gaps();
        verify::verify(&again.shelf, &again.folder, &gaps)
    }

    /// A reader over what is on disk now; it never waits (`Closed` at the end), and tries itself to read a
    /// place again.
    ///
    /// # Errors
    /// None at present; the files are opened as they are read.
    pub fn reader(&self, from: Sequence) -> io::Result<Reader> {
        Ok(Reader::patient(Arc::clone(&self.shelf), from))
    }

    /// A sieve over the same; it never waits.
    pub fn sieve(&self, from: Sequence) -> Sieve {
        Sieve::new(Arc::clone(&self.shelf), from)
    }

    /// The last outcome noted for each sequence in `from..=to`, in order.
    ///
    /// # Errors
    /// Where a log that is there cannot be read. One that is missing has no outcomes.
    pub fn outcomes(
        &self,
        from: Sequence,
        to: Sequence,
        each: &mut dyn FnMut(Sequence, &[u8]),
    ) -> io::Result<()> {
        let bases: Vec<Sequence> = self.shelf.catalog.lock().segments.keys().copied().collect();
        for base in bases {
            let span = self.segment_of(base);
            if span.start <= to && span.end > from {
                let noted = self.noted(base)?;
                let wanted = noted
                    .iter()
                    .filter(|(sequence, _)| (from..=to).contains(sequence));
                wanted.for_each(|(sequence, outcome)| each(sequence, outcome));
            }
        }
        Ok(())
    }

    /// What was noted of the records of the segment in which `sequence` stands: as of now, not of when the view was opened.
    ///
    /// # Errors
    /// Where a log that is there cannot be read. One that is missing has no outcomes.
    pub fn noted(&self, sequence: Sequence) -> io::Result<Noted> {
        outcomes::load(
            &*self.shelf.storage,
            &self.shelf.dir,
            self.segment_of(sequence),
        )
    }

    /// Stands in for [`View::noted`] where that cannot be read.
    pub fn nothing_noted(&self, sequence: Sequence) -> Noted {
        Noted::nothing(self.segment_of(sequence))
    }

    /// The sequences of the segment in which this one stands, or should.
    fn segment_of(&self, sequence: Sequence) -> Range<Sequence> {
        let catalog = self.shelf.catalog.lock();
        let Some(segment) = catalog.locate(sequence) else {
            return sequence..Sequence::MAX;
        };
        let base = segment.header.base;
        if base > sequence {
            return sequence..base;
        }
        let next = catalog.after(base).map(|segment| segment.header.base);
        base..next.unwrap_or(Sequence::MAX)
    }

    /// How far publishing was when the view was opened, or refreshed.
    pub fn progress(&self) -> Progress {
        *self.progress.lock()
    }

    /// A live bridge notes an outcome up to a second after its cursor has passed the record: waits, at most so long, until the note of
    /// the last one it had passed when the view was opened is there.
    pub fn await_notes(&self, patience: Duration) {
        let last = self.progress().sequence;
        let deadline = Instant::now() + patience;
        // A log that cannot be read is said by whoever reads it for its own sake.
        while last > 0 && self.noted(last).is_ok_and(|noted| noted.of(last).is_none()) {
            if Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The last sequence that it knows of.
    pub fn last(&self) -> Sequence {
        self.shelf.catalog.lock().last
    }

    /// Whether it should stand in a segment that is damaged, or cannot be opened.
    pub fn is_damaged(&self, sequence: Sequence) -> bool {
        let catalog = self.shelf.catalog.lock();
        let segment = catalog.locate(sequence);
        segment.is_some_and(|segment| {
            let span = segment.header.base..=segment.last;
            segment.is_hole() && span.contains(&sequence)
        })
    }

    /// Up to here retention has deleted by now: a live bridge goes on with it.
    pub fn floor_now(&self) -> Sequence {
        let read = cursor::read(&*self.shelf.storage, &self.shelf.dir).ok();
        let slot = read.and_then(|read| read.best);
        let before = self.shelf.catalog.lock().floor;
        slot.map_or(before, |slot| slot.floor.max(before))
    }

    /// The sequences of which there is a copy now, in order; also above the cursor.
    ///
    /// # Errors
    /// Where the folder of held records cannot be read. One that is missing is empty.
    pub fn held(&self) -> io::Result<Vec<Sequence>> {
        Ok(self.held_copies()?.up_to(Sequence::MAX))
    }

    fn held_copies(&self) -> io::Result<held::Held> {
        let mut held = held::Held::open(&*self.shelf.storage, &self.shelf.dir)?;
        held.judge(Some(self.progress()));
        Ok(held)
    }

    /// The note and the body of a held record. `NotFound` where it was released meanwhile, `InvalidData` where the copy is damaged.
    ///
    /// # Errors
    /// These, and the system's.
    pub fn read_held(&self, sequence: Sequence) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let held = held::Held::unknown(&self.shelf.dir);
        held.read(&*self.shelf.storage, sequence)
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Of the sequences up to `last`: how many have a record, and how many should but have none.
    pub(super) fn tally(&self, last: Sequence) -> io::Result<(u64, u64)> {
        let floor = self.shelf.catalog.lock().floor;
        let mut reader = self.reader(floor + 1)?;
        let (mut good, mut lost) = (0, 0);
        loop {
            match reader.next(Duration::ZERO)? {
                Next::Record(stored) if stored.sequence <= last => good += 1,
                Next::Missing { from, to, .. } if from <= last => {
                    lost += to.min(last) + 1 - from;
                }
                _ => return Ok((good, lost)),
            }
        }
    }

    pub(super) fn gaps(&self) -> Vec<(Sequence, Sequence)> {
        self.shelf.catalog.lock().gaps()
    }

    /// First and last sequence with a record on disk.
    pub fn span(&self) -> Option<(Sequence, Sequence)> {
        let catalog = self.shelf.catalog.lock();
        let mut with_records = catalog
            .segments
            .values()
            .filter(|segment| segment.records > 0);
        let first = with_records.next()?;
        let last = with_records.next_back().unwrap_or(first);
        Some((first.header.base, last.last))
    }
}
