//! Passes over many records to find a few.
//!
//! A caller judges each record by its tag and the first bytes of its body, and only what it wants is read: of a sealed segment that is
//! whole the footer has both, so that its records cost some 90 bytes each rather than all of theirs. Any other segment is read frame
//! by frame. Records that are not wanted are not checked; of those that are, one that turns out damaged has the rest of its segment
//! read frame by frame too, so that what is missing is said as a [`Reader`] says it.
use super::Sequence;
use super::catalog::{Segment, Shelf};
use super::frame::Kind;
use super::reader::{Next, Reader};
use super::scan::{At, Window};
use super::segment::{self, HEAD, Header};
use super::storage::{Access, patiently};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What a caller says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Pass it.
    No,
    /// Tell of it; its body need not be read.
    Mention,
    /// Read it.
    Whole,
}

/// What a sieve meets.
#[derive(Debug, PartialEq, Eq)]
pub enum Sifted {
    /// A record that was to be mentioned.
    Mentioned(Sequence),
    /// A record that was wanted whole: its body is in the buffer.
    Whole(Sequence),
    /// As [`Next::Missing`].
    Missing {
        /// First missing.
        from: Sequence,
        /// Last missing.
        to: Sequence,
        /// Acknowledged by a repair.
        written_off: bool,
    },
    /// Everything that the catalog knows of has been passed. It may grow.
    End,
}

/// Judges a record by sequence, tag and the body's first bytes (at most 32).
pub type Judge<'a> = &'a mut dyn FnMut(Sequence, &[u8], &[u8]) -> Wanted;

/// A position in the journal. Holds a reader's buffer and the footer of one segment.
pub struct Sieve {
    shelf: Arc<Shelf>,
    next: Sequence,
    way: Way,
}

/// How the segment at hand is passed.
enum Way {
    Undecided,
    Footer(Footer),
    /// Up to the sequence given.
    Frames(Reader, Sequence),
}

/// A sealed segment and its footer.
struct Footer {
    header: Header,
    last: Sequence,
    /// Where the footer stands; frames end there.
    end: u64,
    /// Over the footer.
    index: Window,
    footer: super::frame::Header,
    /// How much of the footer's payload has been passed.
    passed: usize,
    /// Over the frames.
    frames: Window,
}

impl Sieve {
    pub(super) fn new(shelf: Arc<Shelf>, from: Sequence) -> Self {
        Self {
            shelf,
            next: from.max(1),
            way: Way::Undecided,
        }
    }

    /// The next record that `judge` wants; it never waits. `body` takes the body of one that is wanted whole.
    ///
    /// # Errors
    /// The system's, for a file that cannot be read, where that says nothing about the medium. The same place is tried again by the next
    /// call.
    pub fn next(&mut self, judge: Judge<'_>, body: &mut Vec<u8>) -> io::Result<Sifted> {
        loop {
            let found = match &mut self.way {
                Way::Undecided => {
                    self.way = self.decide();
                    continue;
                }
                Way::Footer(footer) => match footer.next(&mut self.next, judge, body)? {
                    Step::Found(found) => return Ok(found),
                    Step::Passed => {
                        self.way = Way::Undecided;
                        continue;
                    }
                    Step::Bad(position) => {
                        self.shelf.report_damage(footer.header, position);
                        let limit = footer.last + 1;
                        self.way = self.frames(limit);
                        continue;
                    }
                },
                Way::Frames(_, limit) if self.next >= *limit => {
                    self.way = Way::Undecided;
                    continue;
                }
                Way::Frames(reader, limit) => match reader.next(Duration::ZERO)? {
                    Next::Record(stored) => {
                        self.next = stored.sequence + 1;
                        let head = stored.body.get(..HEAD).unwrap_or(stored.body);
                        match judge(stored.sequence, stored.tag, head) {
                            Wanted::No => continue,
                            Wanted::Mention => Sifted::Mentioned(stored.sequence),
                            Wanted::Whole => {
                                body.clear();
                                body.extend_from_slice(stored.body);
                                Sifted::Whole(stored.sequence)
                            }
                        }
                    }
                    Next::Missing {
                        from,
                        to,
                        written_off,
                    } => {
                        self.next = to + 1;
                        Sifted::Missing {
                            from,
                            to,
                            written_off,
                        }
                    }
                    Next::Idle | Next::Closed => {
                        // The reader stays where it is, in a segment that may grow, until another one follows.
                        *limit = limit_of(&self.shelf, self.next);
                        if self.next >= *limit {
                            continue;
                        }
                        Sifted::End
                    }
                },
            };
            return Ok(found);
        }
    }

    /// Everything before this sequence has been passed.
    pub fn position(&self) -> Sequence {
        self.next
    }

    /// After an error: passes what is left of the segment that cannot be read, and says which sequences that are; `None` where no
    /// other segment follows.
    pub fn skip(&mut self) -> Option<(Sequence, Sequence)> {
        let limit = limit_of(&self.shelf, self.next);
        if limit == Sequence::MAX || limit <= self.next {
            return None;
        }
        let from = std::mem::replace(&mut self.next, limit);
        self.way = Way::Undecided;
        Some((from, limit - 1))
    }

    fn decide(&self) -> Way {
        let located = self.shelf.catalog.lock().locate(self.next).cloned();
        let limit = match &located {
            // First what is missing before it.
            Some(segment) if segment.header.base > self.next => segment.header.base,
            _ => limit_of(&self.shelf, self.next),
        };
        let indexed = located.filter(|segment| is_regular(segment, self.next, limit));
        match indexed.and_then(|segment| Footer::open(&self.shelf, &segment)) {
            Some(footer) => Way::Footer(footer),
            None => self.frames(limit),
        }
    }

    fn frames(&self, limit: Sequence) -> Way {
        Way::Frames(Reader::patient(Arc::clone(&self.shelf), self.next), limit)
    }
}

/// The base of the segment after the one in which `sequence` stands.
fn limit_of(shelf: &Shelf, sequence: Sequence) -> Sequence {
    let catalog = shelf.catalog.lock();
    let base = catalog.locate(sequence).map(|segment| segment.header.base);
    let next = base.and_then(|base| catalog.after(base));
    next.map_or(Sequence::MAX, |segment| segment.header.base)
}

/// Whether a segment is sealed and holds every sequence that it should: then its footer tells all of it.
fn is_regular(segment: &Segment, next: Sequence, limit: Sequence) -> bool {
    let base = segment.header.base;
    segment.trailer.is_some_and(|trailer| {
        !segment.is_hole()
            && (base..=trailer.last).contains(&next)
            && trailer.first == base
            && trailer.count == trailer.last - base + 1
            && (limit == Sequence::MAX || limit == trailer.last + 1)
    })
}

/// What a footer leads to.
enum Step {
    Found(Sifted),
    /// The segment's end.
    Passed,
    /// Damage, at this position.
    Bad(u64),
}

impl Footer {
    /// `None` where it cannot be used: then the frames are read, and whoever reads them says what is wrong.
    fn open(shelf: &Shelf, segment: &Segment) -> Option<Self> {
        let trailer = segment.trailer?;
        let path = shelf.dir.join(&segment.name);
        let file = patiently(|| shelf.storage.open(&path, Access::Read)).ok()?;
        let mut index = Window::patient(Arc::clone(&file));
        let salt = segment.header.salt;
        match index.frame(salt, trailer.footer, segment.bytes) {
            Ok(At::Good(footer)) if footer.kind == Kind::Footer => Some(Self {
                header: segment.header,
                last: trailer.last,
                end: trailer.footer,
                index,
                footer,
                passed: 0,
                frames: Window::patient(file),
            }),
            _ => None,
        }
    }

    fn next(
        &mut self,
        next: &mut Sequence,
        judge: Judge<'_>,
        body: &mut Vec<u8>,
    ) -> io::Result<Step> {
        let payload = self.index.payload(self.end, &self.footer);
        while let Some((entry, length)) = segment::entry(payload, self.passed) {
            let wanted = if entry.sequence < *next {
                Wanted::No
            } else {
                judge(entry.sequence, entry.tag, entry.head)
            };
            if wanted == Wanted::Whole {
                let (salt, at) = (self.header.salt, entry.position);
                let header = match self.frames.frame(salt, at, self.end)? {
                    At::Good(header) if header.sequence == entry.sequence => header,
                    _ => return Ok(Step::Bad(at)),
                };
                let payload = self.frames.payload(at, &header);
                let record = payload.get(usize::from(header.tag_length)..);
                body.clear();
                body.extend_from_slice(record.unwrap_or_default());
            }
            self.passed += length;
            *next = entry.sequence.saturating_add(1).max(*next);
            match wanted {
                Wanted::No => {}
                Wanted::Mention => return Ok(Step::Found(Sifted::Mentioned(entry.sequence))),
                Wanted::Whole => return Ok(Step::Found(Sifted::Whole(entry.sequence))),
            }
        }
        *next = (self.last + 1).max(*next);
        Ok(Step::Passed)
    }
}
