//! Files that lose their names while they are open, and what becomes of the records in them.
//!
//! The writer answers no delivery from a file that does not have its name ([`is_named`]); what it accepted before the name was lost is
//! written again under that name from the open descriptor, here, within about a second. For that the segments that are not yet
//! published keep their descriptors, the newest [`KEPT`] of them. The reader uses these too, so that even what cannot be written again
//! is published.
//!
//! A closed segment whose file is gone and whose descriptor nobody kept is a gap: it is reported as damage at once, not when it is read.
use super::catalog::{Catalog, Kept, Segment};
use super::core::Core;
use super::storage::{Identity, Storage, restore};
use std::collections::HashSet;
use std::path::Path;

/// How many closed segments keep their descriptors: a small part of the 1,024 files that a process may usually open.
const KEPT: usize = 32;

/// Whether a path leads to this file. Where it cannot be looked up (no right to, no answer), nothing is known to have changed.
pub(super) fn is_named(storage: &dyn Storage, path: &Path, identity: Identity) -> bool {
    !matches!(storage.named(path), Ok(found) if found != Some(identity))
}

/// Writes again what has lost its name.
pub(super) fn look(core: &Core) {
    let segments: Vec<Segment> = {
        let catalog = core.shelf.catalog.lock();
        let kept = catalog.segments.values().filter(|it| it.kept.is_some());
        kept.cloned().collect()
    };
    for segment in segments {
        let Some(kept) = &segment.kept else { continue };
        let path = core.shelf.dir.join(&segment.name);
        if is_named(&*core.shelf.storage, &path, kept.identity) {
            continue;
        }
        if core.claim.check(&*core.shelf.observer).is_err() {
            // It is the folder that lost its name.
            return;
        }
        if !is_current(&core.shelf.catalog.lock(), &segment) {
            continue;
        }
        if segment.closed_at.is_none() {
            // The writer goes on in another one; then this one is closed, and written again.
            core.queue.roll();
        } else if segment.records > 0 {
            write_again(core, &segment, kept, &path);
        }
    }
}

/// Whether the catalog still knows the segment by this name and file.
fn is_current(catalog: &Catalog, segment: &Segment) -> bool {
    let identity = |segment: &Segment| segment.kept.as_ref().map(|kept| kept.identity);
    let now = catalog.segments.get(&segment.header.base);
    now.is_some_and(|now| {
        now.header == segment.header
            && now.name == segment.name
            && now.trailer == segment.trailer
            && identity(now) == identity(segment)
    })
}

fn write_again(core: &Core, segment: &Segment, kept: &Kept, path: &Path) {
    let storage = &*core.shelf.storage;
    let length = segment.trailer.map_or(segment.end, |trailer| trailer.bytes);
    let copied = restore(storage, &*kept.file, path, length, segment.bytes).and_then(|file| {
        let identity = file.identity()?;
        Ok(Kept { file, identity })
    });
    let records = segment.records;
    let said = {
        let mut catalog = core.shelf.catalog.lock();
        let is_current = is_current(&catalog, segment);
        match (copied, catalog.segments.get_mut(&segment.header.base)) {
            (Ok(copy), Some(now)) if is_current => {
                (now.kept, now.nameless) = (Some(copy), false);
                format!(
                    "its {records} deliveries were written again from the open file, and nothing is lost. Find out who did it: nobody but the bridge should change this folder"
                )
            }
            (Err(error), Some(now)) if is_current => {
                now.nameless = true;
                format!(
                    "it cannot be written again ({error}). Its {records} deliveries are only in this process until it can: do not stop the bridge, and see that it can write in this folder"
                )
            }
            // Deleted by retention meanwhile, or sealed: then the next look writes that.
            (copied, _) => {
                drop(catalog);
                if copied.is_ok() {
                    let _ = storage.remove(path);
                }
                return;
            }
        }
    };
    core.warn(&format!(
        "{}: the segment's file was deleted, renamed or replaced; {said}",
        path.display()
    ));
}

/// Lets go of the descriptors of what is published, and of more than a few.
pub(super) fn let_go(core: &Core) {
    let durable = core.cursor.lock().durable().sequence;
    let mut left = KEPT;
    let mut dropped = Vec::new();
    let mut catalog = core.shelf.catalog.lock();
    let segments = catalog.segments.values_mut().rev();
    for segment in segments.filter(|segment| segment.closed_at.is_some()) {
        if segment.last <= durable || left == 0 {
            dropped.extend(segment.kept.take());
            segment.nameless = false;
        } else if segment.kept.is_some() {
            left -= 1;
        }
    }
    // The last descriptor of a deleted file gives its space back, which takes a while.
    drop(catalog);
}

/// Takes closed segments out of the catalog whose files are not in the folder any more. `listed`: the names in it, a moment ago.
pub(super) fn miss(core: &Core, listed: &HashSet<&str>) {
    let gone = |segment: &&Segment| {
        segment.closed_at.is_some()
            && segment.kept.is_none()
            && !listed.contains(segment.name.as_str())
    };
    let missing: Vec<Segment> = {
        let catalog = core.shelf.catalog.lock();
        catalog.segments.values().filter(gone).cloned().collect()
    };
    for segment in missing {
        let path = core.shelf.dir.join(&segment.name);
        let is_gone = matches!(core.shelf.storage.named(&path), Ok(None));
        if !is_gone || core.claim.check(&*core.shelf.observer).is_err() {
            continue;
        }
        {
            let mut catalog = core.shelf.catalog.lock();
            if !is_current(&catalog, &segment) {
                continue;
            }
            catalog.segments.remove(&segment.header.base);
        }
        core.warn(&format!("{}: the segment is gone", path.display()));
    }
}
