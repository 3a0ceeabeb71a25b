//! Reads what a journal's folder holds, changing nothing: the common ground of recovery, `View` and repair.
mod folder;

use super::catalog::Segment;
use super::scan::{self, Scan, Tail};
use super::segment::{DATA, Found, Header, Trailer};
use super::storage::{Access, Storage, is_unreadable, patiently};
use super::{OpenError, Sequence, frame};
pub(super) use folder::{Folder, folder, is_wanted, listed};
use std::io;
use std::path::Path;

/// What is appended to the name of a segment that is set aside.
pub(super) const ASIDE: &str = ".damaged";

/// A segment as found on disk.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub name: String,
    /// From the name.
    pub base: Sequence,
    /// The base of the next segment; nothing at or above it counts.
    pub limit: Sequence,
    pub bytes: u64,
    pub header: Option<Header>,
    /// Good copies of the header.
    pub copies: u8,
    pub trailer: Option<Trailer>,
    /// Without a trailer: what the scan found.
    pub scan: Option<Scan>,
    /// Why it could not be opened, where that says nothing about what it holds.
    pub unopened: Option<String>,
}

/// What is to be made of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Sealed, as far as header and trailer tell.
    Sealed,
    /// Whole, or whole but for a torn tail: to be sealed.
    Unsealed,
    /// Without records, and nothing says that it had any.
    Empty,
    /// Set aside, or to be.
    Damaged,
    /// Not looked at: it could not be opened. To be tried again.
    Unopened,
}

impl Loaded {
    /// The last sequence it accounts for; `base - 1` when none.
    pub fn last(&self) -> Sequence {
        let trailer = self.trailer.map(|trailer| trailer.last);
        let scanned = self.scan.as_ref().map(|scan| scan.entries.last);
        let last = trailer.or(scanned).unwrap_or(0);
        last.max(self.base.saturating_sub(1)).min(self.limit - 1)
    }

    /// At most so many records can be in a file of this length.
    pub fn most_records(&self) -> u64 {
        /// More than any segment has: a length is a claim, too.
        const MOST: u64 = 1 << 40;
        (self.bytes / frame::span(0)).min(MOST)
    }

    /// `synced`: up to here records were synced for sure.
    pub fn verdict(&self, synced: Sequence) -> Verdict {
        if self.unopened.is_some() {
            return Verdict::Unopened;
        }
        if self.name.ends_with(ASIDE) || self.header.is_none() {
            return Verdict::Damaged;
        }
        let Some(scan) = &self.scan else {
            return Verdict::Sealed;
        };
        let is_last = self.limit == Sequence::MAX;
        let short = !is_last && self.last() + 1 < self.limit;
        let cut_after_sync = is_last && scan.tail == Tail::Torn && synced > self.last();
        if !scan.bad.is_empty() || self.is_truncated() || short || cut_after_sync {
            Verdict::Damaged
        } else if scan.entries.first == 0 {
            Verdict::Empty
        } else {
            Verdict::Unsealed
        }
    }

    /// A file is cut only once its footer is durable.
    pub fn is_truncated(&self) -> bool {
        let capacity = self.header.map_or(0, |header| header.capacity);
        let footer = self
            .scan
            .as_ref()
            .is_none_or(|scan| scan.tail == Tail::Footer);
        self.bytes < capacity && !footer
    }

    /// A header that names another journal is none.
    pub fn disown_unless_of(&mut self, journal: u64) {
        if self.header.and_then(|header| header.journal()) != Some(journal)
            && self.header.is_some_and(|header| header.journal().is_some())
        {
            (self.header, self.copies) = (None, 0);
        }
    }

    /// As the catalog knows it.
    pub fn segment(&self, synced: Sequence, now: u64) -> Segment {
        let unreadable = Header {
            base: self.base,
            salt: 0,
            identity: 0,
            capacity: 0,
            version: 0,
        };
        let header = self.header.unwrap_or(unreadable);
        let mut segment = Segment::new(header, self.name.clone(), self.bytes);
        if let Some(trailer) = self.trailer {
            segment.sealed(trailer);
            // A clock that was wrong when it was sealed must not keep it for ever.
            segment.closed_at = Some(trailer.sealed_at.min(now));
        }
        if let Some(scan) = &self.scan {
            segment.end = scan.end;
            segment.records = scan.entries.count;
        }
        segment.last = self.last();
        segment.closed_at.get_or_insert(now);
        segment.damaged = self.verdict(synced) == Verdict::Damaged;
        segment.unopened = self.unopened.is_some();
        segment
    }
}

/// Reads one segment, named and as long as the triple says.
pub(super) fn segment(
    storage: &dyn Storage,
    dir: &Path,
    file: (Sequence, String, u64),
    limit: Sequence,
) -> Result<Loaded, OpenError> {
    let mut loaded = head(storage, dir, file)?;
    if loaded.header.is_some() {
        body(storage, dir, &mut loaded, limit);
    }
    Ok(loaded)
}

/// Reads the header alone.
pub(super) fn head(
    storage: &dyn Storage,
    dir: &Path,
    (base, name, bytes): (Sequence, String, u64),
) -> Result<Loaded, OpenError> {
    let path = dir.join(&name);
    let mut loaded = Loaded {
        name,
        base,
        limit: Sequence::MAX,
        bytes,
        header: None,
        copies: 0,
        trailer: None,
        scan: None,
        unopened: None,
    };
    let found =
        patiently(|| storage.open(&path, Access::Read)).and_then(|file| Header::read(&*file));
    match found {
        Ok(Found::Newer(version)) => return Err(OpenError::NewerVersion { path, version }),
        Ok(Found::Header { header, copies }) if header.base == loaded.base => {
            (loaded.header, loaded.copies) = (Some(header), copies);
        }
        // A copy of another segment under a wrong name is as foreign as garbage.
        Ok(Found::Header { .. } | Found::Foreign) => {}
        Err(error) => loaded.failed(&error),
    }
    Ok(loaded)
}

/// Reads the rest of a segment whose header is good. Its frames end at or before `limit`, the base of the next one.
fn body(storage: &dyn Storage, dir: &Path, loaded: &mut Loaded, limit: Sequence) {
    loaded.limit = limit;
    if let Err(error) = read_body(storage, &dir.join(&loaded.name), loaded) {
        loaded.failed(&error);
    }
}

fn read_body(storage: &dyn Storage, path: &Path, loaded: &mut Loaded) -> io::Result<()> {
    let Some(header) = loaded.header else {
        return Ok(());
    };
    let file = patiently(|| storage.open(path, Access::Read))?;
    let trailer = Trailer::read(&*file, header.salt, loaded.bytes)?;
    if trailer.is_none() {
        let extent = scan::Extent {
            salt: header.salt,
            base: header.base,
            size: loaded.bytes.max(DATA),
            limit: loaded.limit,
            synced: false,
        };
        loaded.scan = Some(scan::scan(file, extent)?);
    }
    loaded.trailer = trailer;
    Ok(())
}

impl Loaded {
    /// It could not be read, and why.
    fn failed(&mut self, error: &io::Error) {
        // A segment that cannot be read is damaged; that is no reason to keep the door shut. (One that is gone is retention's doing,
        // seen by a view.)
        if is_unreadable(error) || error.kind() == io::ErrorKind::NotFound {
            self.header = None;
        } else {
            // No right to open it, no descriptor left: nothing is known of it, and the door stays open.
            self.unopened = Some(error.to_string());
        }
    }
}
