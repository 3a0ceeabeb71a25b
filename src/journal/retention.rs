//! Deletes published segments: the oldest first, by age and by size, and sooner where the disk is full.
//!
//! Nothing above the **durable** cursor is ever deleted, nor a damaged segment, nor the one being written; and on a disk with room nothing
//! that is pinned (`pins`). How far deletion went (the
//! floor) is made durable before a file goes, so that what retention took is never mistaken for loss.
use super::Sequence;
use super::catalog::{Catalog, Segment};
use super::core::Core;
use super::{outcomes, segment};
use std::time::Duration;

/// A segment is written for this part of the retention's age at most: time is kept by whole segments, and with little traffic the newest
/// would else never grow old.
const PART: u32 = 8;
/// But for so long at least.
const LEAST: Duration = Duration::from_secs(60);

/// What may be kept.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// The durable cursor, or less.
    up_to: Sequence,
    now: u64,
    age: Duration,
    bytes: u64,
}

/// Deletes what is past retention.
pub(super) fn run(core: &Core) {
    let cursor = core.cursor.lock().durable().sequence;
    let pinned = core.pins.first().unwrap_or(Sequence::MAX);
    let limits = Limits {
        up_to: cursor.min(pinned.saturating_sub(1)),
        now: core.shelf.storage.now_millis(),
        age: core.options.retention_age,
        bytes: core.options.retention_bytes,
    };
    let expired = expired(&core.shelf.catalog.lock(), limits);
    delete(core, &expired);
}

/// Has the segment that is written closed once its first record is old.
pub(super) fn roll(core: &Core) {
    let most = (core.options.retention_age / PART).max(LEAST).as_millis();
    let now = core.shelf.storage.now_millis();
    let catalog = core.shelf.catalog.lock();
    let newest = catalog.segments.values().next_back();
    let open = newest.filter(|segment| segment.closed_at.is_none());
    let begun = open.and_then(|segment| segment.begun_at);
    if begun.is_some_and(|begun| u128::from(now.saturating_sub(begun)) > most) {
        drop(catalog);
        core.queue.roll();
    }
}

/// Deletes the oldest published segment whatever the retention; whether there was one.
pub(super) fn make_room(core: &Core) -> bool {
    let limits = Limits {
        up_to: core.cursor.lock().durable().sequence,
        now: u64::MAX,
        age: Duration::ZERO,
        bytes: 0,
    };
    let oldest = expired(&core.shelf.catalog.lock(), limits)
        .into_iter()
        .take(1);
    let oldest: Vec<_> = oldest.collect();
    if !delete(core, &oldest) {
        return false;
    }
    let mut what =
        "the disk is full: the oldest published segment was deleted before its time".to_owned();
    // Not in short circuit: each pin is to know.
    let wanted = oldest.iter().filter(|segment| core.pins.give_up(segment));
    if wanted.count() > 0 {
        what.push_str(", although a replay had still to read it");
    }
    core.warn(&what);
    true
}

/// The segments to delete: a run from the oldest on, damaged ones left out.
fn expired(catalog: &Catalog, limits: Limits) -> Vec<Segment> {
    let segments = catalog.segments.values();
    let mut total: u64 = segments.clone().map(|segment| segment.bytes).sum();
    let mut expired = Vec::new();
    for segment in segments.filter(|segment| !segment.is_hole()) {
        let Some(closed_at) = segment.closed_at else {
            break;
        };
        // An empty one was abandoned by the writer, which is about to put another file in its place, under the same name.
        if segment.last < segment.header.base {
            break;
        }
        let age = Duration::from_millis(limits.now.saturating_sub(closed_at));
        let due = age > limits.age || total > limits.bytes;
        if segment.last > limits.up_to || !due {
            break;
        }
        total -= segment.bytes;
        expired.push(segment.clone());
    }
    expired
}

fn delete(core: &Core, expired: &[Segment]) -> bool {
    let Some(newest) = expired.last() else {
        return false;
    };
    let shelf = &core.shelf;
    let floor = {
        let mut cursor = core.cursor.lock();
        let (progress, floor) = (cursor.progress(), cursor.floor().max(newest.last));
        if let Err(error) = cursor
            .save(progress, floor)
            .and_then(|()| cursor.sync(&*shelf.storage))
        {
            core.warn(&format!(
                "retention waits: the cursor cannot be written ({error})"
            ));
            return false;
        }
        floor
    };
    let mut removed = false;
    for segment in expired {
        let base = segment.header.base;
        {
            let mut catalog = shelf.catalog.lock();
            catalog.floor = catalog.floor.max(floor);
            catalog.segments.remove(&base);
        }
        let path = shelf.dir.join(&segment.name);
        match shelf.storage.remove(&path) {
            Ok(()) => removed = true,
            Err(error) => core.warn(&format!("{}: cannot be deleted: {error}", path.display())),
        }
        // Most segments have one; a leftover goes at the next start.
        let _ = shelf.storage.remove(&shelf.dir.join(outcomes::name(base)));
    }
    if let Err(error) = shelf.storage.sync_dir(&shelf.dir) {
        core.warn(&format!("{}: {error}", shelf.dir.display()));
    }
    removed
}

/// Gives damaged segments a name under which nothing deletes them.
pub(super) fn set_aside(core: &Core) {
    let shelf = &core.shelf;
    let mut changed = false;
    {
        // Under the lock, so that a reader finds the file under the name that it looks up.
        let mut catalog = shelf.catalog.lock();
        let damaged = catalog.segments.values_mut().filter(|segment| {
            segment.damaged
                && segment.closed_at.is_some()
                && segment.name == segment::name(segment.header.base)
        });
        for segment in damaged {
            let aside = format!("{}{}", segment.name, super::load::ASIDE);
            let from = shelf.dir.join(&segment.name);
            if shelf.storage.rename(&from, &shelf.dir.join(&aside)).is_ok() {
                segment.name = aside;
                changed = true;
            }
        }
    }
    if changed && let Err(error) = shelf.storage.sync_dir(&shelf.dir) {
        core.warn(&format!("{}: {error}", shelf.dir.display()));
    }
}
