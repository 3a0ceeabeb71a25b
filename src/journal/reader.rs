//! Reads synced frames in order, across segments and past damage.
//!
//! A reader never reads beyond what the catalog says is synced. Bad bytes before that point are damage: it reports them, goes on at
//! the next good frame, and yields what the sequences around them leave out as [`Next::Missing`].
mod again;

use super::Sequence;
use super::catalog::{Catalog, Shelf};
use super::frame::{self, ALIGN, Kind};
use super::scan::{At, Window};
use super::segment::{self, DATA};
use super::storage::{Access, PATIENCE, is_unreadable, patiently};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A record as it stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored<'a> {
    /// Its sequence.
    pub sequence: Sequence,
    /// The caller's tag.
    pub tag: &'a [u8],
    /// The caller's record.
    pub body: &'a [u8],
}

/// What a reader meets.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A record.
    Record(Stored<'a>),
    /// Sequences that are lost to damage or deleted: `from..=to`. `written_off` where `journal repair` has acknowledged it.
    Missing {
        /// First missing.
        from: Sequence,
        /// Last missing.
        to: Sequence,
        /// Acknowledged by a repair.
        written_off: bool,
    },
    /// Nothing came within the time given.
    Idle,
    /// The journal is closed and everything has been read.
    Closed,
}

/// A position in the journal. Holds one bounded buffer (256 KiB, or one record if that is larger).
pub struct Reader {
    shelf: Arc<Shelf>,
    next: Sequence,
    open: Option<Open>,
    woken: Arc<AtomicBool>,
    /// How often in a row the next segment could not be opened.
    failures: u32,
    /// Tries again by itself, where others leave that to the caller.
    patient: bool,
}

struct Open {
    header: segment::Header,
    window: Window,
    position: u64,
    /// Synced up to here, as far as we know.
    end: u64,
    /// The next segment's base when this one was opened.
    limit: Sequence,
}

/// What was found, as plain positions: the bytes are borrowed at the very end.
enum Found {
    Record(u64, frame::Header),
    Missing(Sequence, Sequence, bool),
    End,
}

impl Reader {
    pub(super) fn new(shelf: Arc<Shelf>, from: Sequence) -> Self {
        Self {
            shelf,
            next: from.max(1),
            open: None,
            woken: Arc::default(),
            failures: 0,
            patient: false,
        }
    }

    /// One whose [`Reader::next`] fails for a place that cannot be read only where that says nothing about the medium.
    pub(super) fn patient(shelf: Arc<Shelf>, from: Sequence) -> Self {
        Self {
            patient: true,
            ..Self::new(shelf, from)
        }
    }

    /// The next record, waiting up to `wait` for one to be synced (zero: does not wait).
    ///
    /// # Errors
    /// The system's, for a file that cannot be read. The same place is tried again by the next call; a place that lastingly cannot be
    /// read counts as damaged after a few.
    pub fn next(&mut self, wait: Duration) -> io::Result<Next<'_>> {
        let found = loop {
            match self.advance()? {
                Found::End => match self.wait(wait) {
                    Some(Next::Closed) => return Ok(Next::Closed),
                    Some(_) => return Ok(Next::Idle),
                    None => {}
                },
                found => break found,
            }
        };
        Ok(match found {
            Found::Record(position, header) => {
                let open = self.open.as_ref();
                let payload = open.map(|open| open.window.payload(position, &header));
                let (tag, body) = payload
                    .and_then(|payload| payload.split_at_checked(usize::from(header.tag_length)))
                    .unwrap_or_default();
                let sequence = header.sequence;
                Next::Record(Stored {
                    sequence,
                    tag,
                    body,
                })
            }
            Found::Missing(from, to, written_off) => Next::Missing {
                from,
                to,
                written_off,
            },
            Found::End => Next::Idle,
        })
    }

    /// A handle with which another thread ends a wait of this reader early.
    pub fn waker(&self) -> Waker {
        Waker {
            shelf: Arc::clone(&self.shelf),
            woken: Arc::clone(&self.woken),
        }
    }

    /// `None` once there is more to read.
    fn wait(&self, wait: Duration) -> Option<Next<'static>> {
        let deadline = Instant::now().checked_add(wait);
        let mut catalog = self.shelf.catalog.lock();
        loop {
            if catalog.last >= self.next {
                return None;
            }
            if catalog.closed {
                return Some(Next::Closed);
            }
            if wait.is_zero() || self.woken.swap(false, Ordering::AcqRel) {
                return Some(Next::Idle);
            }
            catalog.waiting += 1;
            let grown = &self.shelf.grown;
            let late = match deadline {
                Some(deadline) => grown.wait_until(&mut catalog, deadline).timed_out(),
                None => {
                    grown.wait(&mut catalog);
                    false
                }
            };
            catalog.waiting -= 1;
            if late && catalog.last < self.next && !catalog.closed {
                return Some(Next::Idle);
            }
        }
    }

    fn advance(&mut self) -> io::Result<Found> {
        loop {
            let Some(open) = self.open.as_mut() else {
                if let Some(found) = self.enter()? {
                    return Ok(found);
                }
                continue;
            };
            if open.position < open.end {
                if let Some(found) = open.step(&self.shelf, &mut self.next)? {
                    return Ok(found);
                }
            } else if let Some(found) = self.leave() {
                return Ok(found);
            }
        }
    }

    /// Opens the segment in which `next` should stand.
    fn enter(&mut self) -> io::Result<Option<Found>> {
        let (header, end, limit, path, kept) = {
            let catalog = self.shelf.catalog.lock();
            let Some(segment) = catalog.locate(self.next) else {
                return Ok(Some(
                    missing(&mut self.next, catalog.last + 1).unwrap_or(Found::End),
                ));
            };
            let header = segment.header;
            if let Some(found) = missing(&mut self.next, header.base) {
                return Ok(Some(found));
            }
            if segment.unopened {
                let segment = segment.clone();
                let limit = limit(&catalog, header.base).min(catalog.last + 1);
                drop(catalog);
                return self.look_again(&segment, limit).map(|()| None);
            }
            let path = self.shelf.dir.join(&segment.name);
            let kept = segment.kept.clone();
            (
                header,
                segment.end,
                limit(&catalog, header.base),
                path,
                kept,
            )
        };
        // What this process wrote it need not find again: the file may have lost its name.
        let open = || match &kept {
            Some(kept) => Ok(Arc::clone(&kept.file)),
            None => self.shelf.storage.open(&path, Access::Read),
        };
        let opened = if self.patient {
            self.failures = PATIENCE;
            patiently(open)
        } else {
            open()
        };
        match opened {
            Ok(file) => {
                self.failures = 0;
                let window = if self.patient {
                    Window::patient(file)
                } else {
                    Window::new(file)
                };
                self.open = Some(Open {
                    header,
                    window,
                    position: DATA,
                    end,
                    limit,
                });
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self
                .vanished(header, &path)
                .map_or(Ok(None), |()| Err(error)),
            Err(error) if is_unreadable(&error) && self.failures >= PATIENCE => {
                self.failures = 0;
                self.shelf.report_damage(header, 0);
                let last = self.shelf.catalog.lock().last;
                Ok(missing(&mut self.next, limit.min(last + 1)))
            }
            Err(error) => {
                self.failures += u32::from(is_unreadable(&error));
                Err(error)
            }
        }
    }

    /// At the end of what is open: more of it, the next segment, or nothing yet.
    fn leave(&mut self) -> Option<Found> {
        let open = self.open.as_mut()?;
        let base = open.header.base;
        let catalog = self.shelf.catalog.lock();
        let now = catalog.segments.get(&base);
        match now {
            Some(now) if now.header == open.header && now.end > open.position => {
                open.end = now.end;
                return None;
            }
            // Replaced by another of the same base: nothing of the one that is open was ever acknowledged.
            Some(now) if now.header != open.header => {
                self.open = None;
                return None;
            }
            _ => {}
        }
        let next = catalog.after(base).map(|segment| segment.header.base);
        if let Some(found) = missing(&mut self.next, next.unwrap_or(catalog.last + 1)) {
            return Some(found);
        }
        if next.is_none() {
            return Some(Found::End);
        }
        self.open = None;
        None
    }
}

/// The base of the segment after this one.
fn limit(catalog: &Catalog, base: Sequence) -> Sequence {
    let next = catalog.after(base);
    next.map_or(Sequence::MAX, |segment| segment.header.base)
}

/// What is missing before `sequence`; then reading goes on there.
fn missing(next: &mut Sequence, sequence: Sequence) -> Option<Found> {
    let from = *next;
    (sequence > from).then(|| {
        *next = sequence;
        Found::Missing(from, sequence - 1, false)
    })
}

impl Open {
    /// Looks at one frame.
    fn step(&mut self, shelf: &Shelf, next: &mut Sequence) -> io::Result<Option<Found>> {
        let (salt, position) = (self.header.salt, self.position);
        let header = match self.window.frame(salt, position, self.end)? {
            At::Good(header) => header,
            bad => {
                shelf.report_damage(self.header, position);
                let from = match bad {
                    At::BadPayload(header) => position + header.span(),
                    _ => position + ALIGN,
                };
                // The search goes on where it failed; what lies before need not be looked at, nor fail, again.
                let good = self.window.next_good(salt, from, self.end);
                if good.is_err() {
                    self.position = self.window.sought.max(from);
                }
                let good = good?;
                self.position = good.map_or(self.end, |(at, _)| at);
                return Ok(None);
            }
        };
        if header.kind == Kind::Footer || header.sequence >= self.limit {
            self.position = self.end;
            return Ok(None);
        }
        let last = header.last(self.window.payload(position, &header));
        let last = last.min(self.limit - 1);
        if last < *next {
            self.position += header.span();
            return Ok(None);
        }
        if let Some(found) = missing(next, header.sequence) {
            return Ok(Some(found));
        }
        self.position += header.span();
        let from = std::mem::replace(next, last + 1);
        Ok(Some(match header.kind {
            Kind::WrittenOff => Found::Missing(from, last, true),
            _ => Found::Record(position, header),
        }))
    }
}

/// Ends a reader's wait early: its `next` returns `Idle`.
#[derive(Clone)]
pub struct Waker {
    shelf: Arc<Shelf>,
    woken: Arc<AtomicBool>,
}

impl Waker {
    /// Ends the present wait, or the next one if none is under way.
    pub fn wake(&self) {
        // Under the lock: a reader between its look at the flag and its sleep would miss the notification.
        let _catalog = self.shelf.catalog.lock();
        self.woken.store(true, Ordering::Release);
        self.shelf.grown.notify_all();
    }
}
