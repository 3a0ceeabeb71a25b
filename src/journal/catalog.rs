//! The segments of a journal in memory: what is where, and how far it may be read. Shared by writer, readers and housekeeping.
use super::Observer;
use super::Sequence;
use super::claim::Claim;
use super::segment::{DATA, Header, Trailer};
use super::storage::{Identity, Storage, StorageFile, Wanted};
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound::{Excluded, Unbounded};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment's file, held open.
#[derive(Clone)]
pub(super) struct Kept {
    pub file: Arc<dyn StorageFile>,
    pub identity: Identity,
}

impl fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.fmt(formatter)
    }
}

/// A segment as far as it is known to be synced.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub header: Header,
    /// The file's name.
    pub name: String,
    /// Frames are read up to here.
    pub end: u64,
    /// The last sequence that it accounts for; `base - 1` when none.
    pub last: Sequence,
    pub records: u64,
    /// Bytes on disk.
    pub bytes: u64,
    pub trailer: Option<Trailer>,
    /// When its first record was written, milliseconds since 1970; known of the one that is written.
    pub begun_at: Option<u64>,
    /// When it was closed, milliseconds since 1970; `None` while it is written.
    pub closed_at: Option<u64>,
    pub damaged: bool,
    /// It could not be opened so far; nothing is known but its base and length.
    pub unopened: bool,
    /// Its file, if it was written by this process and is not published: see `names`.
    pub kept: Option<Kept>,
    /// That file has lost its name and could not be written again.
    pub nameless: bool,
}

impl Segment {
    pub fn new(header: Header, name: String, bytes: u64) -> Self {
        Self {
            header,
            name,
            end: DATA,
            last: header.base.saturating_sub(1),
            records: 0,
            bytes,
            trailer: None,
            begun_at: None,
            closed_at: None,
            damaged: false,
            unopened: false,
            kept: None,
            nameless: false,
        }
    }

    /// Whether records that it should hold may not be found in it.
    pub fn is_hole(&self) -> bool {
        self.damaged || self.unopened || self.nameless
    }

    /// Takes over what sealing has fixed.
    pub fn sealed(&mut self, trailer: Trailer) {
        self.end = trailer.footer;
        self.last = self.last.max(trailer.last);
        self.records = trailer.count;
        self.bytes = trailer.bytes;
        self.closed_at = Some(trailer.sealed_at);
        self.trailer = Some(trailer);
    }
}

/// All segments, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalog {
    /// By base sequence.
    pub segments: BTreeMap<Sequence, Segment>,
    /// The last synced sequence.
    pub last: Sequence,
    /// Up to here retention has deleted segments.
    pub floor: Sequence,
    /// Files that have a segment's name and no place among the segments.
    pub strays: u64,
    /// The journal's, for the headers of new segments.
    pub identity: u64,
    /// Nothing will be added.
    pub closed: bool,
    /// Readers that wait.
    pub waiting: usize,
}

impl Catalog {
    /// Enters a segment as found on disk; of one that is empty only that something came before it.
    pub fn enter(&mut self, segment: Segment, empty: bool) {
        // A damaged segment's name is not used again; what it held, if anything, is unknown.
        let taken = if segment.damaged {
            segment.header.base
        } else {
            0
        };
        self.last = self.last.max(segment.last).max(taken);
        if !empty {
            self.segments.insert(segment.header.base, segment);
        }
    }

    /// Where reading of `sequence` starts: its segment, or the first after it.
    pub fn locate(&self, sequence: Sequence) -> Option<&Segment> {
        let before = self.segments.range(..=sequence).next_back();
        let found = before.or_else(|| self.segments.iter().next());
        found.map(|(_, segment)| segment)
    }

    /// The segment after the one with this base.
    pub fn after(&self, base: Sequence) -> Option<&Segment> {
        let mut later = self.segments.range((Excluded(base), Unbounded));
        later.next().map(|(_, segment)| segment)
    }

    /// Stretches of sequences that no segment explains, in order; those beside a damaged segment, or one not opened, are part of it.
    pub fn gaps(&self) -> Vec<(Sequence, Sequence)> {
        let mut gaps = Vec::new();
        let (mut next, mut explained) = (self.floor + 1, false);
        for segment in self.segments.values() {
            let base = segment.header.base;
            if base > next && !explained {
                gaps.push((next, base - 1));
            }
            next = next.max(segment.last + 1).max(base);
            explained = segment.is_hole();
        }
        if self.last >= next && !explained {
            gaps.push((next, self.last));
        }
        gaps
    }

    /// Damaged segments, those that cannot be opened, gaps, and strays.
    pub fn damage(&self) -> u64 {
        let damaged = self.segments.values().filter(|segment| segment.is_hole());
        (damaged.count() + self.gaps().len()) as u64 + self.strays
    }
}

/// A folder with its catalog: all that a reader needs.
pub(super) struct Shelf {
    pub storage: Arc<dyn Storage>,
    pub dir: PathBuf,
    pub observer: Arc<dyn Observer>,
    /// Of a journal that is open for writing.
    pub claim: Option<Arc<Claim>>,
    pub catalog: Mutex<Catalog>,
    /// Notified when the catalog's end moved and somebody waits.
    pub grown: Condvar,
}

impl Shelf {
    pub fn new(storage: Arc<dyn Storage>, dir: PathBuf, observer: Arc<dyn Observer>) -> Self {
        Self {
            storage,
            dir,
            observer,
            claim: None,
            catalog: Mutex::default(),
            grown: Condvar::new(),
        }
    }

    /// Of the folder that was claimed.
    pub fn claimed(claim: &Arc<Claim>, dir: PathBuf, observer: Arc<dyn Observer>) -> Self {
        Self {
            claim: Some(Arc::clone(claim)),
            ..Self::new(Arc::clone(claim.storage()), dir, observer)
        }
    }

    /// See [`make_way`]; of a name in this folder.
    pub fn make_way(&self, name: &str, wanted: Wanted) -> bool {
        make_way(
            &*self.storage,
            &self.dir.join(name),
            wanted,
            &*self.observer,
        )
    }

    /// Marks a segment as damaged; housekeeping sets it aside.
    pub fn report_damage(&self, header: Header, position: u64) {
        let mut catalog = self.catalog.lock();
        let Some(segment) = catalog.segments.get_mut(&header.base) else {
            return;
        };
        if segment.header != header || segment.damaged {
            return;
        }
        segment.damaged = true;
        let path = self.dir.join(&segment.name);
        drop(catalog);
        self.observer.warning(&format!(
            "{}: damage at byte {position}; its good records are read on; see `journal verify` and `journal repair`",
            path.display()
        ));
    }
}

/// Gives what stands under one of the journal's names, and is not what is wanted there, another name, and says so; whether it did.
pub(super) fn make_way(
    storage: &dyn Storage,
    path: &Path,
    wanted: Wanted,
    observer: &dyn Observer,
) -> bool {
    let (made, what) = match storage.displace(path, wanted) {
        Ok(None) => return false,
        Ok(Some(new)) => (
            true,
            format!(
                "this is not what the journal keeps under this name; it was renamed to {new}, and is not used"
            ),
        ),
        Err(error) => (
            false,
            format!(
                "this is not what the journal keeps under this name, and cannot be renamed ({error})"
            ),
        ),
    };
    observer.warning(&format!("{}: {what}", path.display()));
    made
}
