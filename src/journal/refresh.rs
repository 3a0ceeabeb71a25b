//! Keeps a [`View`] up to date with a live bridge, without reading again what was read.
use super::catalog::{Catalog, Segment};
use super::frame::Kind;
use super::load::{self, Verdict};
use super::scan::{At, Window};
use super::segment::{Found, Header};
use super::storage::{Access, Storage, StorageFile};
use super::view::{LOOKS, PAUSE, View};
use super::{OpenError, Progress, Sequence, cursor};
use std::collections::BTreeSet;
use std::path::Path;

impl View {
    /// Looks at the folder again. Readers, sieves and surveys of this view then go on with what is new. Says whether another journal
    /// stands there than before: then they must be made anew.
    ///
    /// # Errors
    /// Where the folder cannot be read, or holds a newer format; what was known stays.
    pub fn refresh(&self) -> Result<bool, OpenError> {
        let known = self.shelf.catalog.lock().clone();
        let (mut catalog, mut progress) = self.look_again(&known)?;
        for _ in 1..LOOKS {
            if catalog.damage() <= known.damage() {
                break;
            }
            std::thread::sleep(PAUSE);
            (catalog, progress) = self.look_again(&known)?;
        }
        let replaced = is_another(&catalog, &known);
        *self.shelf.catalog.lock() = catalog;
        *self.progress.lock() = progress;
        Ok(replaced)
    }

    fn look_again(&self, known: &Catalog) -> Result<(Catalog, Progress), OpenError> {
        let (storage, dir) = (&*self.shelf.storage, self.shelf.dir.as_path());
        // Before the segments: never ahead of what is seen of them.
        let slot = cursor::read(storage, dir)?.best;
        let progress = slot.map_or_else(|| self.progress(), |slot| slot.progress);
        let mut catalog = Catalog {
            floor: slot.map_or(known.floor, |slot| slot.floor),
            closed: true,
            last: slot.map_or(progress.sequence, |slot| slot.vouches()),
            identity: known.identity,
            ..Catalog::default()
        };
        let listed = load::listed(storage, dir)?.segments;
        if self.is_doubtful(known, &listed)? {
            let view = Self::look(&self.shelf.storage, dir)?;
            let (catalog, progress) = (view.shelf.catalog.lock().clone(), view.progress());
            return Ok((catalog, progress));
        }
        let synced = catalog.last;
        let limits = listed.iter().skip(1).map(|file| file.0);
        let limits: Vec<_> = limits.chain([Sequence::MAX]).collect();
        for (file, limit) in listed.into_iter().zip(limits) {
            let base = file.0;
            let before = known.segments.get(&base);
            let before =
                before.filter(|segment| (&segment.name, segment.bytes) == (&file.1, file.2));
            let segment = match before {
                Some(sealed) if sealed.trailer.is_some() => Some(sealed.clone()),
                Some(open) if limit == Sequence::MAX && !open.is_hole() => {
                    grown(storage, dir, open.clone())
                }
                None if limit == Sequence::MAX => unused(storage, dir, &file),
                _ => None,
            };
            if let Some(segment) = segment {
                let empty = segment.records == 0;
                catalog.enter(segment, empty);
                continue;
            }
            let loaded = load::segment(storage, dir, file, limit)?;
            let segment = loaded.segment(synced, storage.now_millis());
            let empty = loaded.verdict(synced) == Verdict::Empty;
            catalog.enter(segment, empty);
        }
        Ok((catalog, progress))
    }

    /// Whether there is a file that has no more of a segment than the name: its place depends on all the others.
    fn is_doubtful(
        &self,
        known: &Catalog,
        listed: &[(Sequence, String, u64)],
    ) -> Result<bool, OpenError> {
        let (storage, dir) = (&*self.shelf.storage, self.shelf.dir.as_path());
        if known.strays > 0 {
            return Ok(true);
        }
        for file in listed {
            let before = known.segments.get(&file.0);
            if before.is_some_and(|before| before.name == file.1 && !before.is_hole()) {
                continue;
            }
            let mut head = load::head(storage, dir, file.clone())?;
            head.disown_unless_of(known.identity);
            if head.header.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The segment that is being written, with the frames that have come to it; `None` where it must be read anew.
fn grown(storage: &dyn Storage, dir: &Path, mut segment: Segment) -> Option<Segment> {
    let file = storage.open(&dir.join(&segment.name), Access::Read).ok()?;
    let header = header(&*file).filter(|header| *header == segment.header)?;
    let mut window = Window::patient(file);
    loop {
        let frame = window.frame(header.salt, segment.end, segment.bytes).ok()?;
        match frame {
            At::Good(frame) if frame.kind == Kind::Record => {
                segment.end += frame.span();
                segment.last = frame.sequence;
                segment.records += 1;
            }
            _ => return Some(segment),
        }
    }
}

/// A fresh segment into which nothing has been written yet: to be told without reading all the space that is reserved for it.
fn unused(
    storage: &dyn Storage,
    dir: &Path,
    (base, name, bytes): &(Sequence, String, u64),
) -> Option<Segment> {
    let file = storage.open(&dir.join(name), Access::Read).ok()?;
    let header =
        header(&*file).filter(|header| header.base == *base && header.capacity == *bytes)?;
    let segment = grown(storage, dir, Segment::new(header, name.clone(), *bytes))?;
    (segment.records == 0).then_some(segment)
}

fn header(file: &dyn StorageFile) -> Option<Header> {
    match Header::read(file).ok()? {
        Found::Header { header, .. } => Some(header),
        Found::Newer(_) | Found::Foreign => None,
    }
}

/// Whether a catalog is of another journal than before: it has no segment in common, and is not what retention leaves in the end.
fn is_another(catalog: &Catalog, known: &Catalog) -> bool {
    let identities = |catalog: &Catalog| -> BTreeSet<u64> {
        let segments = catalog.segments.values();
        segments.map(|segment| segment.header.identity).collect()
    };
    let (before, now) = (identities(known), identities(catalog));
    let goes_back = match catalog.segments.keys().next() {
        Some(first) => *first <= known.last,
        None => catalog.last < known.last,
    };
    !before.is_empty() && before.is_disjoint(&now) && goes_back
}
