//! The ring's own thread: it opens the file, stores what waits, makes it durable, and says what is happening.

use super::shelf::{Amount, Candidate, Put, Shelf};
use super::{Inner, Space, blocks, known};
use crate::domain::delivery::Millis;
use crate::journal::storage::Wanted;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often everything is looked after: so much of what was kept may be lost with the power. A crash of the process alone loses only
/// what still waited.
const TICK: Duration = Duration::from_secs(1);

/// The same while nothing is kept.
const IDLE_TICK: Duration = Duration::from_secs(5);

/// How many old ones go with a tick: few enough to hold nobody up.
const EXPIRED_AT_ONCE: usize = 1000;

/// How many are stored under one lock.
const BATCH: usize = 64;

/// Between two lines about the same, and between two writes of what proven deliveries have named.
const SELDOM: Duration = Duration::from_secs(60);

/// So many different troubles wait for the next occasion; a bound for a disk that fails in ever new words.
const UNSAID: usize = 100;

pub(super) struct Keeper {
    inner: Arc<Inner>,
    space: Space,
    ticked: Option<Instant>,
    saved: Option<Instant>,
    told: Option<Instant>,
    /// As of the last line.
    told_amount: Amount,
    complained: Option<Instant>,
    /// What is still to be complained of, at the next occasion.
    unsaid: Vec<String>,
}

impl Keeper {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self {
            space: inner.space(),
            inner,
            ticked: None,
            saved: None,
            told: None,
            told_amount: Amount::default(),
            complained: None,
            unsaid: Vec::new(),
        }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        if self.open() {
            while self.inner.queue.take(&mut batch, BATCH, self.rest()) {
                self.store(&mut batch);
                if self.ticked.is_none_or(|at| at.elapsed() >= TICK) {
                    self.ticked = Some(Instant::now());
                    self.look_after();
                }
            }
            (self.saved, self.complained) = (None, None);
            self.look_after();
        }
    }

    /// How long it may sleep: nothing has to be looked after while nothing is kept.
    fn rest(&self) -> Duration {
        let shelf = self.inner.shelf.lock();
        match shelf.as_ref().is_some_and(|shelf| shelf.file_bytes() == 0) {
            true => IDLE_TICK,
            false => TICK,
        }
    }

    /// Opens the file, however often that must be tried; false if the bridge leaves meanwhile.
    fn open(&mut self) -> bool {
        loop {
            match self.try_open() {
                Ok(()) => {
                    self.inner.queue.set_stuck(false);
                    self.inner.queue.done(1, 0);
                    return true;
                }
                Err(error) => {
                    self.inner.queue.set_stuck(true);
                    self.complain(&format!(
                        "cannot be opened ({error}); nothing is kept until it can"
                    ));
                }
            }
            if self.inner.queue.wait_closed(TICK) {
                return false;
            }
        }
    }

    fn try_open(&mut self) -> std::io::Result<()> {
        self.make_way()?;
        let inner = &self.inner;
        inner.load_known()?;
        let judge = |bytes| inner.candidate(bytes);
        let shelf = Shelf::open(
            Arc::clone(&inner.storage),
            &inner.dir,
            inner.capacity,
            judge,
        )?;
        *inner.shelf.lock() = Some(shelf);
        self.show();
        Ok(())
    }

    /// What has one of the ring's names and is no file gets another name.
    fn make_way(&mut self) -> std::io::Result<()> {
        let dir = self.inner.dir.clone();
        let mut names = vec![(dir.clone(), Wanted::Folder)];
        for name in [blocks::NAME, known::NAME, known::TEMPORARY] {
            names.push((dir.join(name), Wanted::File));
        }
        for (path, wanted) in names {
            if let Some(new) = self.inner.storage.displace(&path, wanted)? {
                self.complain(&format!(
                    "{} was no file of its own; it was renamed to {new}",
                    path.display()
                ));
            }
        }
        Ok(())
    }

    fn store(&mut self, batch: &mut Vec<(Vec<u8>, usize)>) {
        if batch.is_empty() {
            return;
        }
        self.space = self.inner.space();
        let count = batch.len();
        let bytes = batch.iter().map(|(_, bytes)| bytes).sum();
        let judge = |(bytes, _)| self.inner.candidate(bytes);
        let candidates: Vec<Candidate> = batch.drain(..).filter_map(judge).collect();
        let mut failed = !self.space.in_place;
        if failed {
            self.inner.metrics.dropped.inc_by(candidates.len() as u64);
        } else if let Some(shelf) = self.inner.shelf.lock().as_mut() {
            for candidate in &candidates {
                match shelf.put(candidate, self.space.may_grow) {
                    Put::There => {}
                    Put::Kept { evicted } => self.inner.metrics.dropped.inc_by(evicted),
                    Put::NoRoom => self.inner.metrics.dropped.inc(),
                    Put::Failed => {
                        failed = true;
                        self.inner.metrics.dropped.inc();
                    }
                }
            }
        }
        if failed {
            self.complain("cannot be written; what comes meanwhile is not kept");
        }
        self.show();
        self.inner.queue.done(count, bytes);
    }

    /// What is due once a second, and at the end.
    fn look_after(&mut self) {
        self.space = self.inner.space();
        if !self.space.in_place {
            return;
        }
        let starving = self.space.starving;
        let mut troubles = Vec::new();
        if let Some(shelf) = self.inner.shelf.lock().as_mut() {
            if starving && shelf.file_bytes() > 0 {
                match shelf.give_way() {
                    Ok(0) => {}
                    Ok(dropped) => {
                        self.inner.metrics.dropped.inc_by(dropped);
                        troubles.push(format!("gave way to the journal, whose disk is full: {dropped} deliveries that name no appId proven before are gone"));
                    }
                    Err(error) => troubles.push(format!("cannot give way to the journal: {error}")),
                }
            }
            match shelf.renew() {
                Ok(false) => {}
                Ok(true) => troubles.push("was deleted, renamed or replaced; it was written again from the open file".to_owned()),
                Err(error) => troubles.push(format!("was deleted, renamed or replaced, and cannot be written again ({error}); a restart loses what is kept in it")),
            }
            let now = self.inner.storage.now_millis();
            let age = u64::try_from(self.inner.keep_for.as_millis()).unwrap_or(u64::MAX);
            let old = shelf.expire(Millis(now.saturating_sub(age)), EXPIRED_AT_ONCE);
            if old.familiar > 0 {
                troubles.push(format!(
                    "has removed {} deliveries that name an appId proven before, because they came more than {} hours ago",
                    old.familiar,
                    self.inner.keep_for.as_secs() / 3600
                ));
            }
            if let Err(error) = shelf.sync() {
                troubles.push(format!(
                    "cannot be synced ({error}); a power cut may take what was kept"
                ));
            }
        }
        if !starving && self.saved.is_none_or(|at| at.elapsed() >= SELDOM) {
            match self.inner.save_known() {
                Ok(true) => self.saved = Some(Instant::now()),
                Ok(false) => {}
                Err(error) => troubles.push(format!("cannot note what was proven ({error})")),
            }
        }
        troubles.iter().for_each(|trouble| self.complain(trouble));
        self.complain_of_the_rest();
        self.show();
        self.tell();
    }

    /// Sets what others look at.
    fn show(&self) {
        let (amount, roomy) = match self.inner.shelf.lock().as_ref() {
            Some(shelf) => (shelf.amount(), shelf.is_roomy(self.space.may_grow)),
            None => return,
        };
        let bytes = i64::try_from(amount.bytes).unwrap_or(i64::MAX);
        self.inner.metrics.bytes.set(bytes);
        self.inner.roomy.store(roomy, Ordering::Relaxed);
    }

    /// A line when more is kept than at the last one, once in a while.
    fn tell(&mut self) {
        let Some(amount) = self.inner.shelf.lock().as_ref().map(Shelf::amount) else {
            return;
        };
        let last = self.told_amount;
        let grown = amount.familiar > last.familiar || amount.strangers > last.strangers;
        if !grown {
            self.told_amount = amount;
            return;
        }
        if self.told.is_some_and(|at| at.elapsed() < SELDOM) {
            return;
        }
        (self.told, self.told_amount) = (Some(Instant::now()), amount);
        let Amount {
            familiar,
            strangers,
            ..
        } = amount;
        let dropped = self.inner.metrics.dropped.get();
        if familiar > 0 {
            tracing::warn!(
                familiar,
                strangers,
                dropped,
                "{familiar} rejected deliveries that name an appId proven before are kept, and {strangers} others ({dropped} were dropped since the start). \
                 If the secret was changed at ICR, put the new one in force here; `icr-bridge reverify` then judges them again, as a reloaded secret file and a restart do"
            );
        } else {
            tracing::info!(
                strangers,
                dropped,
                "{strangers} rejected deliveries are kept ({dropped} were dropped since the start); none names an appId proven before. \
                 If they are genuine, put their secret in force here; `icr-bridge reverify` then judges them again"
            );
        }
    }

    /// Warns of a trouble: at once, or with the next ones where the last warning is not long ago. Only a repetition is left out.
    fn complain(&mut self, trouble: &str) {
        if self.unsaid.len() < UNSAID && !self.unsaid.iter().any(|unsaid| unsaid == trouble) {
            self.unsaid.push(trouble.to_owned());
        }
        self.complain_of_the_rest();
    }

    fn complain_of_the_rest(&mut self) {
        if self.unsaid.is_empty() || self.complained.is_some_and(|at| at.elapsed() < SELDOM) {
            return;
        }
        self.complained = Some(Instant::now());
        for trouble in self.unsaid.drain(..) {
            tracing::warn!(
                "the ring of rejected deliveries, {}: {trouble}",
                self.inner.dir.display()
            );
        }
    }
}

impl Drop for Keeper {
    /// However it ended: nobody is to wait for it any more.
    fn drop(&mut self) {
        self.inner.queue.set_stuck(true);
    }
}
