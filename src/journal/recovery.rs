//! Opening a journal: what to do with what the last run left behind.
//!
//! In this order, each step harmless if a crash follows it:
//! 1. The locks (`claim`). Only a lock held by somebody else, a newer format, or a folder that cannot be used at all refuses to start. Then
//!    whatever has one of our names and is no file gets another name.
//! 2. Leftovers of work that was cut short are removed.
//! 3. Unsealed segments without records are removed; those with a torn tail are cut there, and sealed. Nothing is ever appended to a segment of a former run.
//! 4. Damaged segments get another name (`.damaged`), their contents untouched; their good records are read on. So do files that have a segment's name
//!    and no place among the segments.
//! 5. The cursor is read; if it is lost or cannot be read, publishing starts again at the first record there is, and what came before counts as published.
//! 6. The next sequence is max(last good record, what the cursor vouches for) + 1, and never the base of a segment that is set aside.
use super::catalog::{Catalog, Shelf};
use super::cursor::{Cursor, Slot};
use super::held::Held;
use super::load::{self, Folder, Loaded, Verdict};
use super::memo::Memo;
use super::storage::{Access, Storage, Wanted, patiently};
use super::{OpenError, Progress, Sequence, bounds, cursor, held, memo, outcomes, segment};
use std::collections::HashSet;
use std::io;
use std::path::Path;

/// What an opened journal starts from.
pub(super) struct Recovered {
    pub cursor: Cursor,
    pub held: Held,
    pub memo: Memo,
    pub folder: Folder,
}

/// Does all of the above; fills the shelf's catalog. The folder must have been claimed.
pub(super) fn recover(shelf: &Shelf) -> Result<Recovered, OpenError> {
    let (storage, dir) = (&*shelf.storage, shelf.dir.as_path());
    clear_names(shelf);
    let folder = load::folder(storage, dir)?;
    for line in some_of(&folder.unbelievable) {
        note(
            shelf,
            &line,
            "this number is none that the journal gives; the file is not used",
        );
    }
    let (mut slot, warning) = progress(storage, dir, &folder)?;
    slot.identity = match folder.identity {
        // 0 is what a version without identities says.
        0 => storage.random().max(1),
        known => known,
    };
    let mut recovery = Recovery {
        shelf,
        synced: slot.vouches(),
        catalog: Catalog {
            floor: slot.floor,
            strays: folder.strays.len() as u64,
            identity: slot.identity,
            ..Catalog::default()
        },
    };
    recovery.tidy(&folder);
    let held = recovery.held(folder.cursor.best.map(|slot| slot.progress));
    let mut last = slot.vouches();
    for loaded in &folder.segments {
        last = last.max(recovery.settle(loaded));
    }
    last = last.max(held.highest_above(storage, last));
    if last > bounds::CLAIMED {
        // What would be stored could not be told from what was never ours at the next start.
        let what = format!("the segments claim {last} records, more than there can be");
        return Err(failed(dir)(io::Error::other(what)));
    }
    recovery.catalog.last = last;
    recovery.set_strays_aside(&folder);
    recovery.report();
    // Renames and removals matter only for tidiness until here; a failure shows again where it matters.
    let _ = storage.sync_dir(dir);
    *shelf.catalog.lock() = recovery.catalog;
    if let Some(warning) = warning {
        shelf.observer.warning(&warning);
    }
    let path = dir.join(cursor::NAME);
    let (cursor, written) = Cursor::open(storage, dir, &folder.cursor, slot);
    if let Err(error) = written {
        let what = format!(
            "{}: cannot be written ({error}); until it can, a restart publishes again what was published since",
            path.display()
        );
        shelf.observer.warning(&what);
    }
    let (memo, warning) = Memo::open(storage, dir);
    if let Some(warning) = warning {
        let path = dir.join(memo::NAME);
        let what = format!("{}: {warning}", path.display());
        shelf.observer.warning(&what);
    }
    Ok(Recovered {
        cursor,
        held,
        memo,
        folder,
    })
}

/// Gives back to the journal its own names under which something stands that is no file: whatever is read next is one, or not there.
/// Whether there was anything.
pub(super) fn clear_names(shelf: &Shelf) -> bool {
    let (storage, dir) = (&*shelf.storage, shelf.dir.as_path());
    let mut cleared = false;
    let foreign = storage.list_foreign(dir).unwrap_or_default();
    let is_ours =
        |name: &String| matches!(name.as_str(), cursor::NAME | memo::NAME) || load::is_wanted(name);
    let ours = foreign.into_iter().filter(is_ours);
    // A missing one has nothing in it.
    let foreign = storage.list_foreign(&dir.join(held::NAME));
    let copies = foreign.unwrap_or_default().into_iter();
    let copies = copies.filter(|name| held::is_wanted(name));
    let copies = copies.map(|name| format!("{}/{name}", held::NAME));
    for name in ours.chain(copies) {
        cleared |= shelf.make_way(&name, Wanted::File);
    }
    cleared
}

/// A few names of many, and how many others there are: a folder full of them is said in as many lines.
fn some_of(names: &[String]) -> Vec<String> {
    const SOME: usize = 5;
    let mut lines: Vec<String> = names.iter().take(SOME).cloned().collect();
    if let Some(last) = lines.last_mut()
        && names.len() > SOME
    {
        last.push_str(&format!(
            " (and {} others of this kind)",
            names.len() - SOME
        ));
    }
    lines
}

fn note(shelf: &Shelf, name: &str, what: &str) {
    let path = shelf.dir.join(name);
    shelf
        .observer
        .warning(&format!("{}: {what}", path.display()));
}

fn failed(path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io {
        path: path.clone(),
        source,
    }
}

/// The cursor, or what stands in for a lost one; and what to say about it.
pub(super) fn progress(
    storage: &dyn Storage,
    dir: &Path,
    folder: &Folder,
) -> Result<(Slot, Option<String>), OpenError> {
    let path = dir.join(cursor::NAME);
    if let Some(slot) = folder.cursor.best {
        let warning = (folder.cursor.bad > 0).then(|| {
            format!(
                "{}: one of two slots is damaged; the other one counts",
                path.display()
            )
        });
        return Ok((slot, warning));
    }
    let held = Held::open(storage, dir).unwrap_or_else(|_| Held::unknown(dir));
    // An empty segment too says what came before it.
    let before = match folder.segments.first() {
        Some(segment) => segment.base.saturating_sub(1),
        None => held.highest_above(storage, 0),
    };
    let held = held.count(before);
    let slot = Slot {
        generation: 0,
        progress: Progress {
            sequence: before,
            published: before.saturating_sub(held),
            held,
            ..Progress::default()
        },
        floor: before,
        synced: before,
        identity: folder.identity,
        place: 1,
    };
    let mut verdicts = folder.segments.iter().map(|segment| segment.verdict(0));
    let lost = folder.cursor.bad > 0 || before > 0 || verdicts.any(|v| v != Verdict::Empty);
    let warning = lost.then(|| {
        format!(
            "{}: the cursor is lost; publishing starts again at sequence {}",
            path.display(),
            before + 1
        )
    });
    Ok((slot, warning))
}

struct Recovery<'a> {
    shelf: &'a Shelf,
    /// Up to here records were on stable storage for sure.
    synced: Sequence,
    catalog: Catalog,
}

impl Recovery<'_> {
    fn warn(&self, name: &str, what: &str) {
        note(self.shelf, name, what);
    }

    /// The held copies. Whatever is the matter with them, deliveries are accepted and published.
    fn held(&self, progress: Option<Progress>) -> Held {
        let (storage, dir) = (&*self.shelf.storage, self.shelf.dir.as_path());
        let opened = storage
            .create_dir(&dir.join(held::NAME))
            .and_then(|()| Held::open(storage, dir));
        let mut held = match opened {
            Ok(held) => held,
            Err(error) => {
                self.warn(
                    held::NAME,
                    &format!("cannot be used, so that nothing can be held: {error}"),
                );
                return Held::unknown(dir);
            }
        };
        for line in some_of(&held.judge(progress)) {
            self.warn(
                &format!("{}/{line}", held::NAME),
                "this is no copy of a held record; it is not used",
            );
        }
        let mut tidied = held.tidy(storage);
        if progress.is_none() {
            tidied = held.forget_released(storage).and(tidied);
        }
        if let Err(error) = tidied {
            self.warn(held::NAME, &format!("cannot be tidied: {error}"));
        }
        held
    }

    fn remove(&self, name: &str) {
        if let Err(error) = self.shelf.storage.remove(&self.shelf.dir.join(name)) {
            self.warn(name, &format!("cannot be removed: {error}"));
        }
    }

    /// Removes leftovers and orphaned outcome logs.
    fn tidy(&self, folder: &Folder) {
        let dir = &self.shelf.dir;
        for (name, new_name) in &folder.leftovers {
            match new_name {
                None => self.remove(name),
                Some(new_name) => {
                    let renamed = self
                        .shelf
                        .storage
                        .rename(&dir.join(name), &dir.join(new_name));
                    if let Err(error) = renamed {
                        self.warn(name, &format!("cannot be renamed: {error}"));
                    }
                }
            }
        }
        let bases: HashSet<_> = folder.segments.iter().map(|segment| segment.base).collect();
        for (base, _) in &folder.outcomes {
            if !bases.contains(base) {
                self.remove(&outcomes::name(*base));
            }
        }
    }

    /// Brings one segment into order and enters it; the last sequence that it takes.
    fn settle(&mut self, loaded: &Loaded) -> Sequence {
        let now = self.shelf.storage.now_millis();
        let mut segment = loaded.segment(self.synced, now);
        let verdict = loaded.verdict(self.synced);
        if loaded.header.is_some() && loaded.copies < 2 {
            self.warn(
                &loaded.name,
                "one of two copies of the header is damaged; the other one counts",
            );
        }
        match verdict {
            Verdict::Sealed | Verdict::Unopened => {}
            Verdict::Empty => {
                self.remove(&loaded.name);
                return loaded.last();
            }
            Verdict::Unsealed => match self.seal(loaded, now) {
                Ok(trailer) => segment.sealed(trailer),
                Err(error) => {
                    self.warn(
                        &loaded.name,
                        &format!("cannot be sealed ({error}); the next start does it again"),
                    );
                }
            },
            Verdict::Damaged => {
                if !loaded.name.ends_with(load::ASIDE) {
                    segment.name = self.set_aside(&loaded.name);
                }
            }
        }
        if let Some(why) = &loaded.unopened {
            self.warn(&loaded.name, &format!("cannot be opened ({why}); it is tried again when its records are due, and publishing waits for it"));
        }
        let last = segment.last;
        self.catalog.segments.insert(loaded.base, segment);
        let taken = match verdict {
            // A damaged segment's name is not used again; what it held, if anything, is unknown.
            Verdict::Damaged => loaded.base,
            // Its records will be read, however many it has: none of their sequences is given again.
            Verdict::Unopened if loaded.limit == Sequence::MAX => {
                loaded.base + loaded.most_records()
            }
            _ => 0,
        };
        last.max(taken)
    }

    fn seal(&self, loaded: &Loaded, now: u64) -> io::Result<segment::Trailer> {
        let (Some(header), Some(scan)) = (loaded.header, &loaded.scan) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let path = self.shelf.dir.join(&loaded.name);
        let file = patiently(|| self.shelf.storage.open(&path, Access::Write))?;
        // The last group may be one whose sync failed: still in the system's cache, but forgotten by it and not on the disk. Written once
        // more it is synced with the footer.
        let group = scan.end.saturating_sub(scan.last_group);
        let mut bytes = vec![0; usize::try_from(group).map_err(io::Error::other)?];
        if patiently(|| file.read_at(&mut bytes, scan.last_group))? != bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_at(&bytes, scan.last_group)?;
        segment::seal(&*file, header, scan.end, &scan.entries, now)
    }

    fn set_aside(&self, name: &str) -> String {
        let aside = format!("{name}{}", load::ASIDE);
        let dir = &self.shelf.dir;
        match self
            .shelf
            .storage
            .rename(&dir.join(name), &dir.join(&aside))
        {
            Ok(()) => {
                self.warn(name, &format!("damaged; set aside as {aside}, its good records are read on; see `journal verify` and `journal repair`"));
                aside
            }
            Err(error) => {
                self.warn(name, &format!("damaged, and cannot be set aside: {error}"));
                name.to_owned()
            }
        }
    }

    fn set_strays_aside(&self, folder: &Folder) {
        for name in &folder.strays {
            let what =
                "no segment of this journal, and in the place of none; nothing in it is read";
            let aside = format!("{name}{}", load::ASIDE);
            let dir = &self.shelf.dir;
            if name.ends_with(load::ASIDE) {
                self.warn(name, what);
                continue;
            }
            match self
                .shelf
                .storage
                .rename(&dir.join(name), &dir.join(&aside))
            {
                Ok(()) => self.warn(name, &format!("{what}; set aside as {aside}")),
                Err(error) => self.warn(name, &format!("{what}; it cannot be set aside: {error}")),
            }
        }
    }

    fn report(&self) {
        for (from, to) in self.catalog.gaps() {
            self.warn(
                "",
                &format!("the records {from} to {to} are missing; see `journal verify` and `journal repair`"),
            );
        }
    }
}
