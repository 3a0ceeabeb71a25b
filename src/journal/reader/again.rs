//! Segments that are not where, or not what, the catalog says.
use super::super::catalog::Segment;
use super::super::storage::Access;
use super::super::{Sequence, load, segment};
use super::Reader;
use std::io;
use std::path::Path;

impl Reader {
    /// Enters a segment that could not be opened until now, or fails: its records are not lost, and not passed.
    pub(super) fn look_again(&self, segment: &Segment, limit: Sequence) -> io::Result<()> {
        let shelf = &*self.shelf;
        let path = shelf.dir.join(&segment.name);
        let base = segment.header.base;
        let file = (base, segment.name.clone(), segment.bytes);
        // Apart from the others' reading: one that is gone is none that is damaged.
        match shelf.storage.open(&path, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let still_there = self.vanished(segment.header, &path);
                return still_there.map_or(Ok(()), |()| Err(error));
            }
            Err(error) => {
                let words = format!("{}: {error}", path.display());
                return Err(io::Error::new(error.kind(), words));
            }
            Ok(_) => {}
        }
        let loaded = load::segment(&*shelf.storage, &shelf.dir, file, limit);
        let mut loaded = loaded.map_err(io::Error::other)?;
        loaded.disown_unless_of(shelf.catalog.lock().identity);
        if let Some(why) = loaded.unopened {
            return Err(io::Error::other(format!("{}: {why}", path.display())));
        }
        let found = loaded.segment(0, shelf.storage.now_millis());
        let mut catalog = shelf.catalog.lock();
        if let Some(entry) = catalog.segments.get_mut(&base)
            && entry.unopened
        {
            *entry = found;
            drop(catalog);
            let what = format!("{}: could be opened after all", path.display());
            shelf.observer.warning(&what);
        }
        Ok(())
    }

    /// A file was renamed or deleted since the catalog was looked at. If not, somebody took it away: a gap from now on. `Some` if the
    /// writer is still at work on it, or if its folder is away.
    pub(super) fn vanished(&self, header: segment::Header, path: &Path) -> Option<()> {
        if !self.shelf.can_tell() {
            return Some(());
        }
        let mut catalog = self.shelf.catalog.lock();
        let now = catalog.segments.get(&header.base)?;
        if now.header != header || !path.ends_with(&now.name) {
            return None;
        }
        if now.closed_at.is_none() {
            return Some(());
        }
        catalog.segments.remove(&header.base);
        drop(catalog);
        let what = format!("{}: the segment is gone", path.display());
        self.shelf.observer.warning(&what);
        None
    }
}
