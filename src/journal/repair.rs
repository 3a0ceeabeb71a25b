//! `journal repair`: rewrites damaged segments from their good records and writes the rest off.
//!
//! A segment is rewritten under the name `<base>.repair`, sealed and synced; only then does the damaged original get its last name
//! (`.damaged.bak`). A crash in between leaves both, and the next start prefers the repaired one. What is lost stands in the new
//! segment as frames that say so, so that readers tell an acknowledged loss from a new one.
use super::catalog::Shelf;
use super::claim::Claim;
use super::frame::{self, Kind, Meta};
use super::load::{self, ASIDE, Loaded};
use super::reader::{Next, Reader};
use super::recovery::{self, Recovered};
use super::segment::{self, DATA, Entries, Header};
use super::storage::{Storage, StorageFile, is_unreadable};
use super::view::View;
use super::{Observer, OpenError, Sequence, core, held, verify};
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Frames are written by this much at a time.
const CHUNK: usize = 1 << 20;

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repair {
    /// One sentence per thing done.
    pub done: Vec<String>,
    /// Sequences written off: lost for good.
    pub written_off: u64,
}

/// What recovery says while it opens the journal is part of the report.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Observer for Notes {
    fn warning(&self, message: &str) {
        self.0.lock().push(message.to_owned());
    }
}

/// Takes the lock, rewrites damaged segments with their good records, keeps the damaged originals as `*.damaged.bak`, closes gaps with
/// segments that say so, and writes the loss off in the cursor. Afterwards `verify` finds no damage.
///
/// # Errors
/// Those of opening a journal; [`OpenError::Io`] also where a segment cannot be opened (which is no damage), or a file cannot be written. What was done until then stays, and is harmless.
pub fn repair(storage: Arc<dyn Storage>, dir: &Path) -> Result<Repair, OpenError> {
    let failed = |source| OpenError::Io {
        path: dir.to_owned(),
        source,
    };
    // Fails for a folder that does not exist, where recovery would create one.
    storage.list(dir).map_err(failed)?;
    let notes = Arc::new(Notes::default());
    let observer: Arc<dyn Observer> = Arc::clone(&notes) as _;
    let claim = Arc::new(Claim::take(&storage, dir, Some(&*observer))?);
    let storage = Arc::clone(claim.storage());
    let shelf = Shelf::claimed(&claim, dir.to_owned(), observer);
    let recovered = recovery::recover(&shelf)?;
    if !recovered.held.is_known() {
        // What is held would be written off.
        held::Held::open(&*storage, dir).map_err(|source| OpenError::Io {
            path: dir.join(held::NAME),
            source,
        })?;
    }
    let mut report = Repair {
        done: std::mem::take(&mut *notes.0.lock()),
        ..Repair::default()
    };
    let cursor = recovered.cursor.progress().sequence;
    let folder = load::folder(&*storage, dir)?;
    for loaded in &folder.segments {
        if let Some(why) = &loaded.unopened {
            let path = dir.join(&loaded.name);
            let source = io::Error::other(format!("{why}; make it readable, then repair"));
            return Err(OpenError::Io { path, source });
        }
    }
    shelf.catalog.lock().closed = true;
    let shelf = Arc::new(shelf);
    let mut lost_above = 0;
    for loaded in &folder.segments {
        let checked = verify::check(&shelf, loaded, folder.synced()).map_err(failed)?;
        if !checked.damage.is_empty() {
            let lost = rewrite(&shelf, loaded, cursor).map_err(failed)?;
            lost_above += lost.above;
            report.done.push(format!(
                "{}: rewritten with its good records; {} records in it are lost; the original is kept as *.bak",
                loaded.name, lost.all
            ));
        }
    }
    for name in &folder.strays {
        let backup = backup_name(&*storage, dir, name).map_err(failed)?;
        let renamed = storage.rename(&dir.join(name), &dir.join(&backup));
        renamed
            .and_then(|()| storage.sync_dir(dir))
            .map_err(failed)?;
        report.done.push(format!(
            "{name}: no segment of this journal; kept as {backup}"
        ));
    }
    // The repaired segments, as they are now.
    let view = View::open(Arc::clone(&storage), dir)?;
    for (from, to) in view.gaps() {
        let name = segment::name(from);
        fill(&shelf, from, to).map_err(failed)?;
        lost_above += to.saturating_sub(cursor.max(from - 1));
        report.done.push(format!(
            "{name}: says now that the records {from} to {to} are lost"
        ));
    }
    settle(&view, recovered, lost_above, &mut report).map_err(failed)?;
    Ok(report)
}

/// Writes off in the cursor what the ledger cannot explain, and replaces held copies that are damaged.
fn settle(
    view: &View,
    mut recovered: Recovered,
    lost_above: u64,
    report: &mut Repair,
) -> io::Result<()> {
    let storage = &*view.shelf().storage;
    let mut progress = recovered.cursor.progress();
    for sequence in recovered.held.up_to(progress.sequence) {
        let copy = format!("{}/{sequence:020}", held::NAME);
        match state(&recovered.held, storage, sequence) {
            Copy::Good => continue,
            Copy::Damaged => {}
            Copy::Unknown(error) => {
                report.done.push(format!(
                    "{copy}: cannot be read now ({error}); left as it is"
                ));
                continue;
            }
        }
        let mut reader = view.reader(sequence)?;
        let what = match reader.next(Duration::ZERO)? {
            Next::Record(stored) if stored.sequence == sequence => {
                let mut note = Vec::new();
                view.outcomes(sequence, sequence, &mut |_, outcome| {
                    note = outcome.to_vec();
                })?;
                recovered.held.hold(storage, sequence, &note, stored.body)?;
                "restored from its segment"
            }
            _ => {
                recovered.held.set_aside(storage, sequence)?;
                "lost; written off"
            }
        };
        report.done.push(format!("{copy}: damaged; {what}"));
    }
    let last = view.shelf().catalog.lock().last;
    let ledger = core::ledger(last, progress, &recovered.held);
    let unaccounted = ledger.unaccounted.max(0) as u64;
    let kept = ledger.held + (ledger.quarantined - progress.quarantined);
    let copies_lost = progress.held.saturating_sub(kept);
    let (good, lost) = view.tally(progress.sequence)?;
    // Nobody knows which ones are unaccounted. More than are lost may stand on disk: those are not to be given up.
    let loss = match good {
        0 => unaccounted,
        _ => unaccounted.min(lost + copies_lost),
    };
    if loss < unaccounted {
        report.done.push(format!(
            "{} records that the cursor has passed without an outcome are not written off: they may be among those still on disk, \
             and can be replayed; the ledger goes on counting them as unaccounted",
            unaccounted - loss
        ));
    }
    progress.written_off += loss;
    progress.held = kept;
    report.written_off = loss + lost_above;
    // Twice, so that both slots are good.
    for _ in 0..2 {
        let floor = recovered.cursor.floor();
        recovered.cursor.save(progress, floor)?;
        recovered.cursor.sync(storage)?;
    }
    Ok(())
}

/// A passing fault of the medium must not cost a copy.
const LOOKS: u32 = 3;

/// What is to be made of a held copy.
enum Copy {
    Good,
    Damaged,
    /// The system's word says nothing about it: no rights, no descriptors, no memory.
    Unknown(io::Error),
}

/// Looks at a copy; where the medium does not give it back, a few times.
fn state(held: &held::Held, storage: &dyn Storage, sequence: Sequence) -> Copy {
    let mut looks = 0..LOOKS;
    loop {
        match held.read(storage, sequence) {
            Ok(_) => return Copy::Good,
            Err(error) if is_unreadable(&error) => {
                if looks.next().is_none() {
                    return Copy::Damaged;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Copy::Damaged,
            Err(error) => return Copy::Unknown(error),
        }
    }
}

/// How many records a segment has lost: in all, and above the cursor.
#[derive(Debug, Clone, Copy, Default)]
struct Lost {
    all: u64,
    above: u64,
}

/// Rewrites a segment, and closes the gap behind it.
fn rewrite(shelf: &Arc<Shelf>, loaded: &Loaded, cursor: Sequence) -> io::Result<Lost> {
    let mut lost = Lost::default();
    let mut new = New::create(shelf, loaded.base)?;
    let mut reader = Reader::patient(Arc::clone(shelf), loaded.base);
    loop {
        match reader.next(Duration::ZERO)? {
            Next::Record(stored) if stored.sequence < loaded.limit => {
                new.record(stored.sequence, stored.tag, stored.body)?;
            }
            Next::Missing {
                from,
                to,
                written_off,
            } if from < loaded.limit => {
                let to = to.min(loaded.limit - 1);
                new.written_off(from, to)?;
                if !written_off {
                    lost.all += to + 1 - from;
                    lost.above += to.saturating_sub(cursor.max(from - 1));
                }
            }
            _ => break,
        }
    }
    let (storage, dir) = (&*shelf.storage, shelf.dir.as_path());
    let repaired = new.finish(shelf)?;
    let name = segment::name(loaded.base);
    let aside = format!("{name}{ASIDE}");
    if loaded.name == name {
        storage.rename(&dir.join(&name), &dir.join(&aside))?;
        storage.sync_dir(dir)?;
    }
    storage.rename(&dir.join(&repaired), &dir.join(&name))?;
    storage.sync_dir(dir)?;
    let backup = backup_name(storage, dir, &aside)?;
    storage.rename(&dir.join(&aside), &dir.join(backup))?;
    storage.sync_dir(dir)?;
    Ok(lost)
}

/// A name that does not replace the original of an earlier repair.
fn backup_name(storage: &dyn Storage, dir: &Path, aside: &str) -> io::Result<String> {
    let taken: Vec<_> = storage
        .list(dir)?
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    let numbered = (2..).map(|number| format!("{aside}.bak-{number}"));
    let mut names = std::iter::once(format!("{aside}.bak")).chain(numbered);
    let free = names.find(|name| !taken.contains(name));
    free.ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}

/// A segment that says that sequences are lost.
fn fill(shelf: &Shelf, from: Sequence, to: Sequence) -> io::Result<()> {
    let mut new = New::create(shelf, from)?;
    new.written_off(from, to)?;
    let repaired = new.finish(shelf)?;
    let (from, to) = (
        shelf.dir.join(repaired),
        shelf.dir.join(segment::name(from)),
    );
    shelf.storage.rename(&from, &to)?;
    shelf.storage.sync_dir(&shelf.dir)
}

/// A segment under construction.
struct New {
    name: String,
    file: Arc<dyn StorageFile>,
    header: Header,
    buffer: Vec<u8>,
    /// Where the buffer starts.
    position: u64,
    entries: Entries,
}

impl New {
    fn create(shelf: &Shelf, base: Sequence) -> io::Result<Self> {
        let name = format!("{base:020}.repair");
        let file = shelf.storage.create(&shelf.dir.join(&name), 0)?;
        let identity = shelf.catalog.lock().identity;
        let header = Header::new(&*shelf.storage, identity, base, 0);
        header.write(&*file)?;
        Ok(Self {
            name,
            file,
            header,
            buffer: Vec::new(),
            position: DATA,
            entries: Entries::default(),
        })
    }

    fn record(&mut self, sequence: Sequence, tag: &[u8], body: &[u8]) -> io::Result<()> {
        let position = self.position + self.buffer.len() as u64;
        self.entries.record(sequence, position, tag, body);
        let payload = [tag, body].concat();
        self.append(Kind::Record, tag.len() as u8, sequence, &payload)
    }

    fn written_off(&mut self, from: Sequence, to: Sequence) -> io::Result<()> {
        self.entries.passed(from, to);
        self.append(Kind::WrittenOff, 0, from, &to.to_le_bytes())
    }

    fn append(
        &mut self,
        kind: Kind,
        tag_length: u8,
        sequence: Sequence,
        payload: &[u8],
    ) -> io::Result<()> {
        let position = self.position + self.buffer.len() as u64;
        let meta = Meta {
            kind,
            tag_length,
            sequence,
            position,
            group: position,
        };
        frame::append(&mut self.buffer, self.header.salt, meta, payload);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.position)?;
        self.position += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Seals it; its name.
    fn finish(mut self, shelf: &Shelf) -> io::Result<String> {
        self.flush()?;
        let now = shelf.storage.now_millis();
        segment::seal(&*self.file, self.header, self.position, &self.entries, now)?;
        Ok(self.name)
    }
}
