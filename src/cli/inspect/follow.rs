//! `--follow`: new deliveries as they come, and each again when its outcome is known.
//!
//! Two surveys go over the same view: one is at the journal's end and shows what arrives, one comes after the cursor and shows what
//! became of it. So memory does not depend on how many deliveries are pending. The second keeps a distance to the cursor, since a
//! bridge notes outcomes a moment after the cursor has passed. Rollover, retention and a bridge that is restarted are ordinary; a folder
//! that cannot be read for a while is waited for.

use super::output::{Output, words};
use super::row::Row;
use super::{Exit, Failure, Inspection, NOTED_WITHIN, TAIL};
use crate::domain::outcome::Fate;
use crate::domain::selection::Selection;
use crate::journal::Sequence;
use crate::journal::view::View;
use crate::shutdown::Signals;
use crate::survey::{Step, Survey};
use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How often the folder is looked at.
const TICK: Duration = Duration::from_millis(200);

/// So many things that go wrong are remembered, so as not to be said at every look.
const REMEMBERED: usize = 32;

pub(super) fn run(inspection: &Inspection, selection: &Selection) -> Result<Exit, Failure> {
    let (view, _) = inspection.open()?;
    let interrupt = Interrupt::new().map_err(Failure::Signals)?;
    let mut follow = Follow::new(inspection, selection, &view, &interrupt);
    loop {
        follow.show()?;
        if interrupt.comes_within(TICK) || reader_is_gone() {
            return Ok(Exit::Done);
        }
        follow.look_again()?;
    }
}

/// The signal to leave, noticed also while much is shown.
struct Interrupt {
    came: Cell<bool>,
    inbox: Receiver<()>,
    /// Its thread waits for the signal.
    _runtime: tokio::runtime::Runtime,
}

impl Interrupt {
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let mut signals = {
            let _within = runtime.enter();
            Signals::new()?
        };
        let (outbox, inbox) = channel();
        runtime.spawn(async move {
            signals.leave(|| {}).await;
            // Nobody listens any more: it is leaving already.
            let _ = outbox.send(());
        });
        Ok(Self {
            came: Cell::new(false),
            inbox,
            _runtime: runtime,
        })
    }

    fn came(&self) -> bool {
        self.comes_within(Duration::ZERO)
    }

    fn comes_within(&self, limit: Duration) -> bool {
        let came = self.came.get() || self.inbox.recv_timeout(limit) == Ok(());
        self.came.set(came);
        came
    }
}

struct Follow<'v> {
    inspection: &'v Inspection,
    selection: &'v Selection,
    view: &'v View,
    interrupt: &'v Interrupt,
    output: Output,
    /// At the journal's end.
    arrivals: Survey<'v>,
    /// Behind the cursor.
    outcomes: Survey<'v>,
    /// Where the cursor was, and when: not yet long enough ago for every note to be there.
    cursors: VecDeque<(Instant, Sequence)>,
    /// Up to here every outcome that was noted can be read, and has been shown.
    settled: Sequence,
    /// Shown with their outcome already, above `settled`.
    told: BTreeSet<Sequence>,
    /// The copies there were at the last look.
    held: BTreeSet<Sequence>,
    /// Copies that are gone since, and when that was seen.
    released: VecDeque<(Instant, Sequence)>,
    /// What was said lately of things that go wrong, so that it is said once.
    said: VecDeque<String>,
}

impl<'v> Follow<'v> {
    fn new(
        inspection: &'v Inspection,
        selection: &'v Selection,
        view: &'v View,
        interrupt: &'v Interrupt,
    ) -> Self {
        let from = match inspection.limit(Some(TAIL)) {
            Some(limit) => {
                let stop = || interrupt.came();
                let newest = inspection.count(view, selection, limit, &stop).newest;
                newest.front().copied().unwrap_or(view.last() + 1)
            }
            None => 1,
        };
        let settled = view.progress().sequence;
        let mut follow = Self {
            inspection,
            selection,
            view,
            interrupt,
            output: Output::new(inspection.options.json),
            arrivals: inspection.survey(view, selection, from),
            outcomes: inspection.survey(view, selection, settled + 1),
            cursors: VecDeque::new(),
            settled,
            told: BTreeSet::new(),
            held: view.held().unwrap_or_default().into_iter().collect(),
            released: VecDeque::new(),
            said: VecDeque::new(),
        };
        // What is older than the first line shown is told too.
        let noted = Selection {
            fates: vec![Fate::Published, Fate::Quarantined, Fate::Held],
            ..Selection::default()
        };
        let mut above = inspection.survey(view, &noted, settled + 1);
        while let Ok(Some(sequence)) = above.mention() {
            follow.told.insert(sequence);
        }
        follow
    }

    /// Shows everything that is new in the view.
    fn show(&mut self) -> Result<(), Failure> {
        self.advance_settled();
        let shown = self.show_arrivals().and_then(|()| self.show_outcomes());
        match shown.and_then(|()| self.show_released()) {
            // A file that cannot be read now may be readable at the next look.
            Err(Failure::Read { path, source }) => {
                self.say(format!("{}: {source}", path.display()))?;
            }
            shown => shown?,
        }
        self.output.flush()
    }

    fn advance_settled(&mut self) {
        let now = Instant::now();
        let cursor = self.view.progress().sequence;
        if self.cursors.back().is_none_or(|(_, last)| *last < cursor) {
            self.cursors.push_back((now, cursor));
        }
        while let Some((_, cursor)) = self
            .cursors
            .pop_front_if(|(seen, _)| now.duration_since(*seen) >= NOTED_WITHIN)
        {
            self.settled = self.settled.max(cursor);
        }
    }

    fn show_arrivals(&mut self) -> Result<(), Failure> {
        self.arrivals.take_passed(self.settled);
        while !self.interrupt.came() {
            match self.arrivals.step().map_err(self.inspection.read())? {
                Step::Found(found) => {
                    if found.fate != Fate::Pending {
                        self.told.insert(found.sequence);
                    }
                    let row = Row::new(&found, &self.inspection.mask(&found));
                    self.output.row(row)?;
                }
                Step::End => break,
                other => {
                    let words = words(&other);
                    self.say(words)?;
                }
            }
        }
        Ok(())
    }

    fn show_outcomes(&mut self) -> Result<(), Failure> {
        self.outcomes.take_passed(self.settled);
        self.outcomes.look_until(self.settled);
        while !self.interrupt.came() {
            match self.outcomes.step().map_err(self.inspection.read())? {
                Step::Found(found) => {
                    if !self.told.contains(&found.sequence) {
                        let row = Row::new(&found, &self.inspection.mask(&found));
                        self.output.row(row)?;
                    }
                }
                Step::End => break,
                // The other survey has said it.
                Step::Missing { .. } | Step::Unnoted { .. } => {}
            }
        }
        self.told = self.told.split_off(&(self.settled + 1));
        Ok(())
    }

    /// A copy that goes was taken by the quarantine topic.
    fn show_released(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        // Where they cannot be read that has been said.
        let Ok(held) = self.view.held() else {
            return Ok(());
        };
        let held: BTreeSet<_> = held.into_iter().collect();
        // Above `settled` the outcomes are yet to be shown.
        let gone = self.held.difference(&held);
        let gone = gone.filter(|sequence| **sequence <= self.settled);
        self.released.extend(gone.map(|sequence| (now, *sequence)));
        self.held = held;
        while let Some((_, sequence)) = self
            .released
            .pop_front_if(|(seen, _)| now.duration_since(*seen) >= NOTED_WITHIN)
        {
            let (view, selection) = (self.view, self.selection);
            let mut survey = self.inspection.survey(view, selection, sequence);
            survey.look_until(sequence);
            if let Step::Found(found) = survey.step().map_err(self.inspection.read())? {
                let row = Row::new(&found, &self.inspection.mask(&found));
                self.output.row(row)?;
            }
        }
        Ok(())
    }

    fn look_again(&mut self) -> Result<(), Failure> {
        match self.view.refresh() {
            Ok(false) => {
                let (arrivals, outcomes) = (self.arrivals.renew(), self.outcomes.renew());
                let renewed = arrivals.and(outcomes);
                renewed.or_else(|error| self.say(format!("what is held cannot be read: {error}")))
            }
            Ok(true) => {
                self.say(
                    "another journal stands in the folder now; it is followed from its beginning"
                        .into(),
                )?;
                self.settled = self.view.progress().sequence;
                let after = self.settled + 1;
                let (inspection, selection) = (self.inspection, self.selection);
                self.arrivals = inspection.survey(self.view, selection, 1);
                self.outcomes = inspection.survey(self.view, selection, after);
                self.held = self.view.held().unwrap_or_default().into_iter().collect();
                self.cursors.clear();
                self.told.clear();
                self.released.clear();
                Ok(())
            }
            Err(error) => self.say(error.to_string()),
        }
    }

    fn say(&mut self, words: String) -> Result<(), Failure> {
        if !self.said.contains(&words) {
            self.output.say(&words)?;
            self.said.push_back(words);
            if self.said.len() > REMEMBERED {
                self.said.pop_front();
            }
        }
        Ok(())
    }
}

/// Whether nobody reads the output any more: with nothing to write, that would else go unnoticed for ever.
fn reader_is_gone() -> bool {
    let mut stdout = libc::pollfd {
        fd: libc::STDOUT_FILENO,
        events: 0,
        revents: 0,
    };
    // SAFETY: one descriptor, described by one structure that lives as long as the call, which does not wait.
    let ready = unsafe { libc::poll(&mut stdout, 1, 0) };
    ready > 0 && stdout.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0
}
