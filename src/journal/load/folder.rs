//! Which files of a folder are this journal's segments, and where each of them stands.
//!
//! A segment says which journal it belongs to, and where it starts. A file that has no more of a segment than the name (its header is
//! damaged, or another journal's, or another base's) is taken for a segment that was damaged where one must have stood: right
//! behind the segment before it, or anywhere up to where there were records for sure. Elsewhere it is a **stray**, and takes nothing from the
//! segments around it, neither records nor sequences. The same holds for a file that cannot be opened: its records are waited for only where
//! there may be some.
//!
//! A name counts in the one form that the journal gives, and within bounds (`bounds`). Everything else in the folder is none of the
//! journal's, is not touched, and costs nothing.
use super::super::bounds::{self, NAMED};
use super::super::cursor::{self, Slot};
use super::super::scan::Scan;
use super::super::storage::Storage;
use super::super::{OpenError, Sequence, memo, spares};
use super::{Loaded, body, head};
use std::collections::BTreeMap;
use std::path::Path;

/// A journal's folder.
#[derive(Debug, Default)]
pub(in super::super) struct Folder {
    /// In order.
    pub segments: Vec<Loaded>,
    /// Names of files that have a segment's name and no place among the segments.
    pub strays: Vec<String>,
    pub cursor: cursor::Read,
    /// The journal's identity; 0 while it has none.
    pub identity: u64,
    /// Names and lengths of spares.
    pub spares: Vec<(String, u64)>,
    /// Bases and lengths of outcome logs.
    pub outcomes: Vec<(Sequence, u64)>,
    /// Leftovers of work that a crash cut short, and the damaged originals of segments that were repaired: name, and new name if any.
    pub leftovers: Vec<(String, Option<String>)>,
    /// Names of our form with a number that we never gave.
    pub unbelievable: Vec<String>,
}

/// The names in a folder that mean something.
#[derive(Debug, Default)]
pub(in super::super) struct Listed {
    /// Files with a segment's name, in order: base, name, bytes.
    pub segments: Vec<(Sequence, String, u64)>,
    pub spares: Vec<(String, u64)>,
    pub outcomes: Vec<(Sequence, u64)>,
    pub leftovers: Vec<(String, Option<String>)>,
    pub unbelievable: Vec<String>,
}

/// What a name in the folder stands for.
enum Name {
    Segment(Sequence),
    Outcomes(Sequence),
    Spare,
    Leftover,
    /// Of one of these forms, with a number that we never gave.
    Unbelievable,
    Other,
}

impl Name {
    fn of(name: &str) -> Self {
        if name.strip_prefix(spares::PREFIX).is_some_and(is_number) {
            return match spares::number(name) {
                Some(_) => Self::Spare,
                None => Self::Unbelievable,
            };
        }
        if name == memo::TEMPORARY {
            return Self::Leftover;
        }
        let Some((stem, extension)) = name.split_once('.') else {
            return Self::Other;
        };
        let ours = matches!(
            extension,
            "log" | "log.damaged" | "outcomes" | "repair" | "tmp"
        );
        match bounds::sequence(stem) {
            _ if !ours => Self::Other,
            Some(base) if extension.starts_with("log") => Self::Segment(base),
            Some(base) if extension == "outcomes" => Self::Outcomes(base),
            Some(_) => Self::Leftover,
            None if bounds::is_numbered(stem) => Self::Unbelievable,
            None => Self::Other,
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the journal may want to give this name to a file.
pub(in super::super) fn is_wanted(name: &str) -> bool {
    !matches!(Name::of(name), Name::Other | Name::Unbelievable)
}

/// Lists the folder.
pub(in super::super) fn listed(storage: &dyn Storage, dir: &Path) -> Result<Listed, OpenError> {
    let io = |source| OpenError::Io {
        path: dir.to_owned(),
        source,
    };
    let mut listed = Listed::default();
    for entry in storage.list(dir).map_err(io)? {
        let name = entry.name;
        match Name::of(&name) {
            Name::Segment(base) => listed.segments.push((base, name, entry.bytes)),
            Name::Outcomes(base) => listed.outcomes.push((base, entry.bytes)),
            Name::Leftover => listed.leftovers.push((name, None)),
            Name::Spare => listed.spares.push((name, entry.bytes)),
            Name::Unbelievable => listed.unbelievable.push(name),
            Name::Other => {}
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
pub(in super::super) fn folder(storage: &dyn Storage, dir: &Path) -> Result<Folder, OpenError> {
    let cursor = cursor::read(storage, dir)?;
    let listed = listed(storage, dir)?;
    let mut folder = Folder {
        cursor,
        spares: listed.spares,
        outcomes: listed.outcomes,
        leftovers: listed.leftovers,
        unbelievable: listed.unbelievable,
        ..Folder::default()
    };
    let files = listed.segments.into_iter();
    let heads = files.map(|file| head(storage, dir, file));
    let mut heads = heads.collect::<Result<Vec<_>, _>>()?;
    folder.identify(&mut heads);
    folder.place(storage, dir, heads);
    Ok(folder)
}

impl Folder {
    /// Up to here records were on stable storage for sure, says the cursor file.
    pub fn synced(&self) -> Sequence {
        self.cursor.best.map_or(0, |slot| slot.vouches())
    }

    /// Finds out whose journal this is, and takes the header from whatever is another's. The cursor's word counts unless it stands alone
    /// against all segments: then it is the cursor that was brought here.
    fn identify(&mut self, heads: &mut [Loaded]) {
        let mut votes: BTreeMap<u64, (usize, Sequence)> = BTreeMap::new();
        for head in &*heads {
            if let Some(journal) = head.header.and_then(|header| header.journal()) {
                let (count, newest) = votes.entry(journal).or_default();
                *count += 1;
                *newest = head.base;
            }
        }
        let told = self.cursor.best.map_or(0, |slot: Slot| slot.identity);
        let most = votes.iter().max_by_key(|(_, weight)| **weight);
        self.identity = match most {
            Some((journal, _)) if !votes.contains_key(&told) => *journal,
            _ => told,
        };
        if told != 0 && told != self.identity {
            self.cursor = cursor::Read {
                best: None,
                bad: 2,
                exists: true,
            };
        }
        for head in heads {
            head.disown_unless_of(self.identity);
        }
    }

    fn place(&mut self, storage: &dyn Storage, dir: &Path, heads: Vec<Loaded>) {
        let is_known = |head: &Loaded| head.header.is_some();
        let (mut known, mut doubtful): (Vec<_>, Vec<_>) = heads.into_iter().partition(is_known);
        let bases: Vec<_> = known.iter().skip(1).map(|segment| segment.base).collect();
        let limits = bases.into_iter().chain([Sequence::MAX]);
        for (segment, limit) in known.iter_mut().zip(limits) {
            body(storage, dir, segment, limit);
        }
        self.segments = known;
        // First those that may be whole.
        doubtful.sort_by_key(|file| file.unopened.is_none());
        for file in doubtful {
            self.place_doubtful(storage, dir, file);
        }
    }

    /// Places a file without a header of this journal's, or whose header cannot be read.
    fn place_doubtful(&mut self, storage: &dyn Storage, dir: &Path, mut file: Loaded) {
        let unopened = file.unopened.is_some();
        let at = self
            .segments
            .partition_point(|segment| segment.base < file.base);
        let (earlier, later) = self.segments.split_at_mut(at);
        let (before, after) = (earlier.last_mut(), later.first());
        let floor = self.cursor.best.map(|slot| slot.floor);
        let end = match &before {
            Some(before) => before.last(),
            // Without a cursor nobody knows where the journal starts.
            None => floor.unwrap_or(file.base - 1).min(NAMED),
        };
        // The one before may hold more than can be seen.
        let reach = match &before {
            Some(before) if unopened && before.unopened.is_some() => end + before.most_records(),
            _ => end,
        };
        // What a segment holds from the base of the next one on does not count, and says nothing against that one.
        let within = file.base <= end && !unopened;
        let vouched = after.map_or(0, |after| after.base - 1);
        let vouched = vouched.max(self.cursor.best.map_or(0, |slot| slot.vouches()));
        if within || file.base > vouched.max(reach + 1) {
            return self.strays.push(file.name);
        }
        file.limit = after.map_or(Sequence::MAX, |after| after.base);
        if let Some(before) = before {
            before.limit = file.base;
            let beyond = |scan: &Scan| scan.entries.last >= file.base;
            if before.scan.as_ref().is_some_and(beyond) {
                body(storage, dir, before, file.base);
            }
        }
        self.segments.insert(at, file);
    }
}
