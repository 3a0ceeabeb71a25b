//! The thread that does what may wait: sealing, flushing outcomes, syncing the cursor, setting damage aside, retention, the memo, spares, sizes.
use super::catalog::Segment;
use super::core::Core;
use super::names;
use super::segment::{self, Entries, Header};
use super::storage::StorageFile;
use super::{Status, outcomes, retention};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often everything is looked after.
const PERIOD: Duration = Duration::from_secs(1);
/// How much of a period goes into filling a spare with zeros; the next round goes on with it.
const ZEROING: Duration = Duration::from_millis(500);
/// Sizes are looked up when this many times as long has passed as the last look took: a folder with a hundred thousand foreign files in it
/// costs no more than a percent of a processor.
const SELDOM: u32 = 100;
/// So many unsealed segments may wait (each holds its footer in memory); the writer seals further ones itself.
const BACKLOG: usize = 4;

/// A segment that the writer is done with.
pub(super) struct SealJob {
    pub file: Arc<dyn StorageFile>,
    pub header: Header,
    pub end: u64,
    pub entries: Entries,
}

/// What the housekeeping thread is asked for.
pub(super) struct Chores {
    inbox: Mutex<Inbox>,
    asked: Condvar,
    answered: Condvar,
    sizes: Mutex<Sizes>,
}

#[derive(Default)]
struct Inbox {
    seals: Vec<SealJob>,
    /// Rounds asked for, and done.
    wanted: u64,
    done: u64,
    /// Look at what can be done at once.
    wake: bool,
    finish: bool,
    finished: bool,
}

/// As of the last round.
#[derive(Debug, Clone, Copy, Default)]
struct Sizes {
    bytes: u64,
    free: u64,
}

impl Chores {
    pub fn new() -> Self {
        Self {
            inbox: Mutex::default(),
            asked: Condvar::new(),
            answered: Condvar::new(),
            sizes: Mutex::default(),
        }
    }

    /// Has a segment sealed soon.
    pub fn seal(&self, core: &Core, job: SealJob) {
        let mut inbox = self.inbox.lock();
        if inbox.seals.len() < BACKLOG {
            inbox.seals.push(job);
            self.asked.notify_one();
        } else {
            drop(inbox);
            seal(core, &job);
        }
    }

    /// A spare was used, or outcomes wait.
    pub fn wake(&self) {
        self.inbox.lock().wake = true;
        self.asked.notify_one();
    }

    /// Does a round now, and waits for it.
    pub fn round(&self) {
        let mut inbox = self.inbox.lock();
        inbox.wanted += 1;
        let mine = inbox.wanted;
        self.asked.notify_one();
        while inbox.done < mine && !inbox.finished {
            self.answered.wait(&mut inbox);
        }
    }

    /// The last round, and then the end.
    pub fn finish(&self) {
        self.inbox.lock().finish = true;
        self.asked.notify_one();
    }

    fn urgent(&self) -> bool {
        let inbox = self.inbox.lock();
        inbox.finish || inbox.wanted > inbox.done
    }
}

/// The thread.
pub(super) struct Housekeeper {
    core: Arc<Core>,
    logs: outcomes::Logs,
    /// Said once, not every second.
    said_no_spare: bool,
    /// When sizes may be looked up again.
    measurable: Instant,
}

impl Housekeeper {
    pub fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            logs: outcomes::Logs::default(),
            said_no_spare: false,
            measurable: Instant::now(),
        }
    }

    /// Works until told to finish; then gives the lock back.
    pub fn run(mut self) {
        let mut due = Instant::now();
        loop {
            let (wanted, finish) = self.sleep(due);
            self.seal_all();
            if self.core.claim.is_ours() {
                // At once: what the writer has just left may have lost its name.
                names::look(&self.core);
            }
            self.flush();
            if Instant::now() >= due || wanted > 0 {
                due = Instant::now() + PERIOD;
                self.round(wanted > 0);
            } else {
                self.make_spares();
            }
            let chores = &self.core.chores;
            let mut inbox = chores.inbox.lock();
            inbox.done = inbox.done.max(wanted);
            if finish {
                inbox.finished = true;
                self.core.claim.release();
                chores.answered.notify_all();
                return;
            }
            chores.answered.notify_all();
        }
    }

    /// Waits for work; the round to report as done (0: none was asked for), and whether it is the last.
    fn sleep(&self, due: Instant) -> (u64, bool) {
        let mut inbox = self.core.chores.inbox.lock();
        loop {
            let asked = inbox.wanted > inbox.done;
            if asked
                || inbox.finish
                || inbox.wake
                || !inbox.seals.is_empty()
                || Instant::now() >= due
            {
                inbox.wake = false;
                let wanted = if asked || inbox.finish {
                    inbox.wanted.max(1)
                } else {
                    0
                };
                return (wanted, inbox.finish);
            }
            self.core.chores.asked.wait_until(&mut inbox, due);
        }
    }

    /// `asked`: now, and not only because it is time.
    fn round(&mut self, asked: bool) {
        let core = Arc::clone(&self.core);
        if let Err(error) = core.claim.check(&*core.shelf.observer) {
            *core.storable.lock() = Err(error);
        }
        if core.claim.may_write().is_err() {
            self.measure();
            return;
        }
        // The cursor is durable a second after it was saved, whoever saved it; later only where the disk is slow.
        if let Err(error) = sync_cursor(&core) {
            core.warn(&format!("the cursor could not be synced: {error}"));
        }
        names::let_go(&core);
        retention::set_aside(&core);
        core.sweep_held();
        core.memo.tend(&core, asked);
        if !core.queue.is_closed() {
            retention::run(&core);
            if core.claim.is_ours() {
                core.spares.look(&core.shelf);
            }
            self.make_spares();
            if core.storable.lock().is_err() {
                core.queue.poke();
            } else {
                retention::roll(&core);
            }
        }
        if asked || Instant::now() >= self.measurable {
            let begun = Instant::now();
            self.measure();
            self.measurable = Instant::now() + begun.elapsed() * SELDOM;
        }
        self.zero_spares();
    }

    fn seal_all(&self) {
        let jobs = std::mem::take(&mut self.core.chores.inbox.lock().seals);
        jobs.iter().for_each(|job| seal(&self.core, job));
    }

    fn flush(&mut self) {
        if self.core.claim.may_write().is_err() {
            return;
        }
        let (bytes, dropped) = self.core.outcomes.lock().take();
        if dropped > 0 {
            self.core.warn(&format!(
                "{dropped} outcomes were not noted: the disk did not take them fast enough"
            ));
        }
        if let Err(error) = self.logs.write(&self.core.shelf, &bytes) {
            self.core.warn(&format!("outcomes were not noted: {error}"));
        }
    }

    fn make_spares(&mut self) {
        let core = &self.core;
        while core.spares.count() < core.options.spare_segments && !core.queue.is_closed() {
            match core.spares.make(&core.shelf, core.options.segment_bytes) {
                Ok(spare) => core.spares.put(spare),
                Err(error) => {
                    if !std::mem::replace(&mut self.said_no_spare, true) {
                        core.warn(&format!(
                            "{}: no spare segment can be reserved: {error}",
                            core.shelf.dir.display()
                        ));
                    }
                    return;
                }
            }
            self.said_no_spare = false;
        }
    }

    /// Fills a spare with zeros, a part of it at a time, while nothing else is asked for and space is not short.
    fn zero_spares(&mut self) {
        let core = Arc::clone(&self.core);
        let short = core.chores.sizes.lock().free < core.options.low_water_bytes;
        if short || core.queue.is_closed() || core.chores.urgent() {
            return;
        }
        let Some(mut spare) = core.spares.take_raw() else {
            return;
        };
        let until = Instant::now() + ZEROING;
        let mut between = || {
            self.seal_all();
            !core.chores.urgent() && Instant::now() < until
        };
        match spare.zero(&mut between) {
            Ok(()) => core.spares.put(spare),
            Err(error) => {
                core.warn(&format!("a spare segment could not be written: {error}"));
                spare.discard(&core.shelf);
            }
        }
    }

    fn measure(&self) {
        let core = &self.core;
        let listed = core.shelf.storage.list(&core.shelf.dir).unwrap_or_default();
        if core.claim.is_ours() && !listed.is_empty() {
            names::miss(
                core,
                &listed.iter().map(|entry| entry.name.as_str()).collect(),
            );
        }
        let bytes = listed.iter().map(|entry| entry.bytes).sum();
        let free = core.shelf.storage.free_bytes(&core.shelf.dir);
        let mut sizes = core.chores.sizes.lock();
        sizes.bytes = bytes;
        // What cannot be asked counts as no space: it raises the low-water alarm, and refuses nothing.
        sizes.free = free.unwrap_or(0);
    }
}

fn sync_cursor(core: &Core) -> std::io::Result<()> {
    let mut cursor = core.cursor.lock();
    if core.claim.is_ours() && cursor.renew(&*core.shelf.storage)? {
        core.warn(&format!(
            "{}: the cursor's file was deleted, renamed or replaced; it was written again",
            core.shelf.dir.join(super::cursor::NAME).display()
        ));
    }
    let last = core.shelf.catalog.lock().last;
    cursor.tell(last)?;
    cursor.sync(&*core.shelf.storage)
}

fn seal(core: &Core, job: &SealJob) {
    if core.claim.may_write().is_err() {
        return;
    }
    let now = core.shelf.storage.now_millis();
    match segment::seal(&*job.file, job.header, job.end, &job.entries, now) {
        Ok(trailer) => {
            let mut catalog = core.shelf.catalog.lock();
            let segment = catalog.segments.get_mut(&job.header.base);
            // Written again meanwhile, the copy has no footer: the next start seals it.
            let is_sealed = |segment: &&mut Segment| {
                let kept = segment.kept.as_ref();
                segment.header == job.header
                    && kept.is_none_or(|kept| Arc::ptr_eq(&kept.file, &job.file))
            };
            if let Some(segment) = segment.filter(is_sealed) {
                segment.sealed(trailer);
            }
        }
        Err(error) => core.warn(&format!(
            "{}: sealing failed ({error}); the next start does it again",
            core.shelf
                .dir
                .join(segment::name(job.header.base))
                .display()
        )),
    }
}

/// The journal's state now; sizes as of the last round.
pub(super) fn status(core: &Core) -> Status {
    let sizes = *core.chores.sizes.lock();
    Status {
        bytes: sizes.bytes,
        free_bytes: sizes.free,
        low_water: sizes.free < core.options.low_water_bytes,
        damaged_segments: core.shelf.catalog.lock().damage() + u64::from(!core.claim.is_ours()),
        storable: *core.storable.lock(),
    }
}
