//! Reads what a journal's folder holds, changing nothing: the common ground of recovery, `View` and repair.
use super::catalog::Segment;
use super::scan::{self, Scan, Tail};
use super::segment::{DATA, Found, Header, Trailer};
use super::storage::{Access, Storage, is_unreadable, patiently};
use super::{OpenError, Sequence, cursor};
use std::io;
use std::path::Path;

/// What is appended to the name of a segment that is set aside.
pub(super) const ASIDE: &str = ".damaged";

/// No journal gets there, and adding to it never overflows: a file named by a higher sequence is not ours.
const MAX_BASE: Sequence = 1 << 62;

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

    /// As the catalog knows it.
    pub fn segment(&self, synced: Sequence, now: u64) -> Segment {
        let unreadable = Header {
            base: self.base,
            salt: 0,
            identity: 0,
            capacity: 0,
        };
        let header = self.header.unwrap_or(unreadable);
        let mut segment = Segment::new(header, self.name.clone(), self.bytes);
        if let Some(trailer) = self.trailer {
            segment.sealed(trailer);
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

/// A journal's folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// In order.
    pub segments: Vec<Loaded>,
    pub cursor: cursor::Read,
    /// Names and lengths of spares.
    pub spares: Vec<(String, u64)>,
    /// Bases and lengths of outcome logs.
    pub outcomes: Vec<(Sequence, u64)>,
    /// Leftovers of work that a crash cut short, and the damaged originals of segments that were repaired: name, and new name if any.
    pub leftovers: Vec<(String, Option<String>)>,
}

impl Folder {
    /// Up to here records were on stable storage for sure, says the cursor file.
    pub fn synced(&self) -> Sequence {
        self.cursor.best.map_or(0, |slot| slot.vouches())
    }
}

/// The names in a folder that mean something.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Segments, in order: base, name, bytes.
    pub segments: Vec<(Sequence, String, u64)>,
    pub spares: Vec<(String, u64)>,
    pub outcomes: Vec<(Sequence, u64)>,
    pub leftovers: Vec<(String, Option<String>)>,
}

/// Lists the folder.
pub(super) fn listed(storage: &dyn Storage, dir: &Path) -> Result<Listed, OpenError> {
    let io = |source| OpenError::Io {
        path: dir.to_owned(),
        source,
    };
    let mut listed = Listed::default();
    for entry in storage.list(dir).map_err(io)? {
        let name = entry.name;
        let (stem, extension) = name.split_once('.').unwrap_or((&name, ""));
        let base = base(stem);
        match (base, extension) {
            (Some(base), "log" | "log.damaged") => listed.segments.push((base, name, entry.bytes)),
            (Some(base), "outcomes") => listed.outcomes.push((base, entry.bytes)),
            (_, "tmp" | "repair") => listed.leftovers.push((name, None)),
            (None, "") if name.starts_with("spare-") => listed.spares.push((name, entry.bytes)),
            _ => {}
        }
    }
    // The repaired segment sorts before its damaged original, whose last renaming a crash prevented.
    listed.segments.sort();
    listed.segments.dedup_by(|later, earlier| {
        let twin = later.0 == earlier.0;
        if twin {
            let name = later.1.clone();
            let backup = format!("{name}.bak");
            listed.leftovers.push((name, Some(backup)));
        }
        twin
    });
    Ok(listed)
}

/// Reads the folder.
pub(super) fn folder(storage: &dyn Storage, dir: &Path) -> Result<Folder, OpenError> {
    let cursor = cursor::read(storage, dir)?;
    let listed = listed(storage, dir)?;
    let mut folder = Folder {
        cursor,
        spares: listed.spares,
        outcomes: listed.outcomes,
        leftovers: listed.leftovers,
        segments: Vec::new(),
    };
    let bases: Vec<_> = listed.segments.iter().skip(1).map(|file| file.0).collect();
    let limits = bases.into_iter().chain([Sequence::MAX]);
    for (file, limit) in listed.segments.into_iter().zip(limits) {
        folder.segments.push(segment(storage, dir, file, limit)?);
    }
    Ok(folder)
}

/// The base that a name gives, if we could have given that name.
fn base(stem: &str) -> Option<Sequence> {
    let digits = stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
    let base = stem.parse().ok().filter(|_| digits);
    base.filter(|base| (1..=MAX_BASE).contains(base))
}

/// Reads one segment, named and as long as the triple says.
pub(super) fn segment(
    storage: &dyn Storage,
    dir: &Path,
    (base, name, bytes): (Sequence, String, u64),
    limit: Sequence,
) -> Result<Loaded, OpenError> {
    let path = dir.join(&name);
    let mut loaded = Loaded {
        name,
        base,
        limit,
        bytes,
        header: None,
        copies: 0,
        trailer: None,
        scan: None,
        unopened: None,
    };
    match read(storage, &path, &mut loaded) {
        Ok(None) => Ok(loaded),
        Ok(Some(version)) => Err(OpenError::NewerVersion { path, version }),
        // A segment that cannot be read is damaged; that is no reason to keep the door shut. (One that is gone is retention's doing,
        // seen by a view.)
        Err(error) if is_unreadable(&error) || error.kind() == io::ErrorKind::NotFound => {
            loaded.header = None;
            Ok(loaded)
        }
        // No right to open it, no descriptor left: nothing is known of it, and the door stays open.
        Err(error) => {
            loaded.unopened = Some(error.to_string());
            Ok(loaded)
        }
    }
}

/// The version, if it is newer than ours.
fn read(storage: &dyn Storage, path: &Path, loaded: &mut Loaded) -> io::Result<Option<u32>> {
    let file = patiently(|| storage.open(path, Access::Read))?;
    let (header, copies) = match Header::read(&*file)? {
        Found::Newer(version) => return Ok(Some(version)),
        Found::Header { header, copies } if header.base == loaded.base => (header, copies),
        // A copy of another segment under a wrong name is as foreign as garbage.
        Found::Header { .. } | Found::Foreign => return Ok(None),
    };
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
    loaded.copies = copies;
    loaded.header = Some(header);
    Ok(None)
}
