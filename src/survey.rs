//! Looking through a journal for deliveries: what `inspect` shows and `replay` publishes again.
//!
//! A survey walks a [`View`] in the order of sequences, from the oldest on, joins each record with what was noted of it, and yields what
//! belongs to a [`Selection`]. It guarantees:
//! - Every delivery that can still be read is found: also one whose record is gone (to retention or to damage) and of which a copy is
//!   held, and one that this bridge cannot understand.
//! - What cannot be read is said ([`Step::Missing`], [`Step::Unnoted`]), never passed in silence. What retention has deleted is not
//!   missing.
//! - It changes nothing, works beside a live bridge, and holds one record, and one segment's footer and outcome log in memory.
//!
//! Most records are passed by their tag alone (see [`sieve`](crate::journal::sieve)).

use crate::domain::delivery::{DecodeError, Delivery};
use crate::domain::outcome::{Fate, Outcome};
use crate::domain::selection::{Judgement, Selection};
use crate::domain::tag::Tag;
use crate::journal::Sequence;
use crate::journal::outcomes::Noted;
use crate::journal::sieve::{Sieve, Sifted, Wanted};
use crate::journal::view::View;
use crate::work::Stopper;
use std::collections::VecDeque;
use std::io;

/// A delivery that belongs to the selection.
#[derive(Debug)]
pub struct Found<'a> {
    /// Its place in the journal.
    pub sequence: Sequence,
    /// The delivery, or why this bridge cannot read its record.
    pub delivery: Result<Delivery<'a>, DecodeError>,
    /// Its record as the journal keeps it.
    pub record: &'a [u8],
    /// What was noted of it.
    pub outcome: Option<Outcome<'a>>,
    /// The same in a word, also where nothing was noted.
    pub fate: Fate,
    /// Whether the journal has it no more and this is the copy that is held.
    pub copy: bool,
}

/// What a survey meets.
#[derive(Debug)]
pub enum Step<'a> {
    /// A delivery that belongs to the selection.
    Found(Found<'a>),
    /// Sequences whose records are lost to damage: `from..=to`. Nobody knows whether they belong to the selection.
    Missing {
        /// First missing.
        from: Sequence,
        /// Last missing.
        to: Sequence,
        /// Acknowledged by `journal repair`.
        written_off: bool,
    },
    /// What became of the records from this sequence on, within one segment, cannot be read: they count as if nothing had been noted.
    Unnoted {
        /// The first of them that was asked for.
        from: Sequence,
        error: io::Error,
    },
    /// The end of what the view shows.
    End,
}

/// Sequences without a record.
#[derive(Debug, Clone, Copy)]
struct Gap {
    from: Sequence,
    to: Sequence,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Retention took them.
    Deleted,
    Lost,
    WrittenOff,
}

/// See the module.
pub struct Survey<'v> {
    view: &'v View,
    selection: Selection,
    sieve: Sieve,
    /// All copies there were when the survey began, in order.
    copies: Vec<Sequence>,
    /// Those not met yet.
    ahead: VecDeque<Sequence>,
    gap: Option<Gap>,
    /// Nothing beyond this is looked at.
    until: Sequence,
    /// What counts as passed by the cursor; the view says so itself where this is `None`.
    passed: Option<Sequence>,
    /// The outcome log that was looked at last.
    noted: Option<Noted>,
    /// A record that waits for its turn.
    candidate: Option<Candidate>,
    /// Its bytes.
    record: Vec<u8>,
    /// The note of a copy.
    note: Vec<u8>,
    stopper: Stopper,
}

/// A record that may belong to the selection.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    sequence: Sequence,
    copy: bool,
    /// Whether its tag was read, and spoke for it.
    tagged: bool,
    /// Whether no more than its outcome can rule it out: its record was not read.
    mentioned: bool,
}

/// A step without what it borrows.
enum Walked {
    Found(Candidate),
    Missing(Gap),
    Unnoted(Sequence, io::Error),
    End,
}

/// What comes next in the journal.
enum Ahead {
    Candidate(Candidate),
    Missing(Gap),
    End,
}

impl<'v> Survey<'v> {
    /// Looks for `selection` in the sequences from `from` on (1: all).
    ///
    /// # Errors
    /// Where the folder of held records cannot be read.
    pub fn new(view: &'v View, selection: Selection, from: Sequence) -> io::Result<Self> {
        let mut copies = view.held()?;
        copies.retain(|sequence| *sequence >= from);
        Ok(Self {
            ahead: copies.iter().copied().collect(),
            copies,
            ..Self::without_copies(view, selection, from)
        })
    }

    /// The same where the folder of held records cannot be read: what is held is then not found, or not known to be held.
    pub fn without_copies(view: &'v View, selection: Selection, from: Sequence) -> Self {
        Self {
            view,
            selection,
            sieve: view.sieve(from),
            ahead: VecDeque::new(),
            copies: Vec::new(),
            gap: None,
            until: Sequence::MAX,
            passed: None,
            noted: None,
            candidate: None,
            record: Vec::new(),
            note: Vec::new(),
            stopper: Stopper::default(),
        }
    }

    /// From now on `stopper` ends a step that finds nothing for long: it fails with `Interrupted`.
    pub fn heed(&mut self, stopper: Stopper) {
        self.stopper = stopper;
    }

    /// The next delivery of the selection, or what came in the way.
    ///
    /// # Errors
    /// The system's, for a file that cannot be read at present. The next call tries again, unless [`Survey::skip`] is called first.
    pub fn step(&mut self) -> io::Result<Step<'_>> {
        Ok(match self.walk(false)? {
            Walked::Found(candidate) => Step::Found(self.found(candidate)),
            Walked::Missing(Gap { from, to, why }) => Step::Missing {
                from,
                to,
                written_off: why == Why::WrittenOff,
            },
            Walked::Unnoted(from, error) => Step::Unnoted { from, error },
            Walked::End => Step::End,
        })
    }

    /// The sequence of the next delivery of the selection, read no further than that takes; `None` at the end. What comes in the way
    /// is left to a later [`Survey::step`] over the same ground.
    ///
    /// # Errors
    /// As [`Survey::step`].
    pub fn mention(&mut self) -> io::Result<Option<Sequence>> {
        loop {
            match self.walk(true)? {
                Walked::Found(candidate) => return Ok(Some(candidate.sequence)),
                Walked::Missing(_) | Walked::Unnoted(..) => {}
                Walked::End => return Ok(None),
            }
        }
    }

    /// After an error: passes the segment that cannot be read, but for the copies of its records that are held. Says which sequences that
    /// are; `None` where nothing comes after them.
    pub fn skip(&mut self) -> Option<(Sequence, Sequence)> {
        let (from, to) = self.sieve.skip()?;
        self.pass_copies(from);
        let why = Why::Deleted;
        self.gap = Some(Gap { from, to, why });
        Some((from, to))
    }

    /// Ends after this sequence for now; a later call may let it go on.
    pub fn look_until(&mut self, sequence: Sequence) {
        self.until = sequence;
    }

    /// Takes the cursor to be here, rather than where the view says: beside a live bridge notes come later than the cursor passes.
    pub fn take_passed(&mut self, sequence: Sequence) {
        self.passed = Some(sequence);
    }

    /// After [`View::refresh`]: goes on with what is new, with the outcomes and copies that there are now.
    ///
    /// # Errors
    /// Where the folder of held records cannot be read: the copies that were known stay.
    pub fn renew(&mut self) -> io::Result<()> {
        self.noted = None;
        let copies = self.view.held()?;
        let next = self.sieve.position();
        let ahead = copies.iter().copied().filter(|copy| *copy >= next);
        self.ahead = ahead.collect();
        self.copies = copies;
        Ok(())
    }

    fn walk(&mut self, mention: bool) -> io::Result<Walked> {
        loop {
            let candidate = match self.candidate.take() {
                Some(waiting) => waiting,
                None => match self.advance(mention)? {
                    Ahead::Candidate(candidate) => candidate,
                    Ahead::Missing(gap) => return Ok(Walked::Missing(gap)),
                    Ahead::End => return Ok(Walked::End),
                },
            };
            if self.stopper.asked().is_some() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if candidate.sequence > self.until {
                self.candidate = Some(candidate);
                return Ok(Walked::End);
            }
            if candidate.mentioned && self.selection.fates.is_empty() {
                return Ok(Walked::Found(candidate));
            }
            if let Err(error) = self.look_up(candidate.sequence) {
                self.candidate = Some(candidate);
                return Ok(Walked::Unnoted(candidate.sequence, error));
            }
            if self.belongs(candidate) {
                return Ok(Walked::Found(candidate));
            }
        }
    }

    /// The next record that its tag does not rule out, or what is missing before it.
    fn advance(&mut self, mention: bool) -> io::Result<Ahead> {
        loop {
            if let Some(gap) = self.gap.take() {
                match self.cross(gap)? {
                    Some(ahead) => return Ok(ahead),
                    None => continue,
                }
            }
            let selection = &self.selection;
            let stopper = &self.stopper;
            let mut tagged = false;
            let mut judge = |_, tag: &[u8], head: &[u8]| {
                if stopper.asked().is_some() {
                    // Ends the search; nothing is made of it.
                    return Wanted::Mention;
                }
                tagged = Tag::decode(tag).is_some();
                match selection.judge(tag, Delivery::peek_id(head)) {
                    Judgement::No => Wanted::No,
                    Judgement::Yes if mention => Wanted::Mention,
                    Judgement::Yes | Judgement::Perhaps => Wanted::Whole,
                }
            };
            let (sequence, mentioned) = match self.sieve.next(&mut judge, &mut self.record)? {
                Sifted::Whole(sequence) => (sequence, false),
                Sifted::Mentioned(sequence) => (sequence, true),
                Sifted::Missing {
                    from,
                    to,
                    written_off,
                } => {
                    self.pass_copies(from);
                    self.gap = Some(self.explained(from, to, written_off));
                    continue;
                }
                Sifted::End => {
                    self.pass_copies(self.sieve.position());
                    let Some((&from, &to)) = self.ahead.front().zip(self.ahead.back()) else {
                        return Ok(Ahead::End);
                    };
                    // Copies beyond the last record.
                    let why = Why::Deleted;
                    self.gap = Some(Gap { from, to, why });
                    continue;
                }
            };
            return Ok(Ahead::Candidate(Candidate {
                sequence,
                copy: false,
                tagged,
                mentioned,
            }));
        }
    }

    /// Copies of records that are there say nothing new.
    fn pass_copies(&mut self, next: Sequence) {
        while self.ahead.front().is_some_and(|copy| *copy < next) {
            self.ahead.pop_front();
        }
    }

    /// Tells what is lost from what retention has deleted, also since the view was opened.
    fn explained(&self, from: Sequence, to: Sequence, written_off: bool) -> Gap {
        let gap = |from, why| Gap { from, to, why };
        if written_off {
            return gap(from, Why::WrittenOff);
        }
        // A damaged segment outlives retention: what is missing in it is lost, however old.
        if self.view.is_damaged(from) {
            return gap(from, Why::Lost);
        }
        let floor = self.view.floor_now();
        if floor >= to {
            gap(from, Why::Deleted)
        } else {
            gap(from.max(floor + 1), Why::Lost)
        }
    }

    /// One step through a gap: the copies in it, and what is missing between them.
    fn cross(&mut self, gap: Gap) -> io::Result<Option<Ahead>> {
        let copy = self.ahead.front().copied().filter(|copy| *copy <= gap.to);
        let before = copy.map_or(gap.to, |copy| copy - 1);
        if gap.from <= before {
            let rest = Gap {
                from: before + 1,
                ..gap
            };
            self.gap = copy.map(|_| rest);
            let missing = Gap { to: before, ..gap };
            return Ok((gap.why != Why::Deleted).then_some(Ahead::Missing(missing)));
        }
        let Some(sequence) = copy else {
            return Ok(None);
        };
        let rest = Gap {
            from: gap.from.max(sequence + 1),
            ..gap
        };
        let read = self.view.read_held(sequence);
        let kind = read.as_ref().err().map(io::Error::kind);
        if !matches!(
            kind,
            None | Some(io::ErrorKind::NotFound | io::ErrorKind::InvalidData)
        ) {
            self.gap = Some(gap);
            return read.map(|_| None);
        }
        self.ahead.pop_front();
        self.gap = (rest.from <= rest.to).then_some(rest);
        Ok(match read {
            Ok((note, record)) => {
                (self.note, self.record) = (note, record);
                Some(Ahead::Candidate(Candidate {
                    sequence,
                    copy: true,
                    tagged: false,
                    mentioned: false,
                }))
            }
            // Released since, and what was noted of it went with its segment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(Ahead::Missing(Gap {
                from: sequence,
                to: sequence,
                why: Why::Lost,
            })),
        })
    }

    /// Has the outcome log at hand that speaks for this sequence; after an error, an empty one.
    fn look_up(&mut self, sequence: Sequence) -> io::Result<()> {
        let known = self.noted.as_ref();
        if known.is_some_and(|noted| noted.covers(sequence)) {
            return Ok(());
        }
        let read = self.view.noted(sequence);
        let (noted, result) = match read {
            Ok(noted) => (noted, Ok(())),
            Err(error) => (self.view.nothing_noted(sequence), Err(error)),
        };
        self.noted = Some(noted);
        result
    }

    fn outcome(&self, candidate: Candidate) -> Option<Outcome<'_>> {
        let noted = self
            .noted
            .as_ref()
            .and_then(|noted| noted.of(candidate.sequence));
        let is_held = self.copies.binary_search(&candidate.sequence).is_ok();
        match noted.and_then(Outcome::decode) {
            // Its copy is gone: Kafka has it, and the note that says so was lost.
            Some(Outcome::Held { .. }) if !is_held => None,
            None if candidate.copy => Outcome::decode(&self.note),
            outcome => outcome,
        }
    }

    fn fate(&self, candidate: Candidate) -> Fate {
        let cursor = self.passed.unwrap_or_else(|| self.view.progress().sequence);
        let passed = candidate.sequence <= cursor;
        let is_held = self.copies.binary_search(&candidate.sequence).is_ok();
        match self.outcome(candidate) {
            None if passed && is_held => Fate::Held,
            outcome => Fate::of(passed, outcome.as_ref()),
        }
    }

    fn belongs(&self, candidate: Candidate) -> bool {
        let fate = self.fate(candidate);
        if candidate.mentioned {
            return self.selection.matches_fate(fate);
        }
        match Delivery::decode(&self.record) {
            Ok(delivery) => self.selection.matches(&delivery, fate),
            Err(_) => self.selection.matches_unreadable(candidate.tagged, fate),
        }
    }

    fn found(&self, candidate: Candidate) -> Found<'_> {
        Found {
            sequence: candidate.sequence,
            delivery: Delivery::decode(&self.record),
            record: &self.record,
            outcome: self.outcome(candidate),
            fate: self.fate(candidate),
            copy: candidate.copy,
        }
    }
}
