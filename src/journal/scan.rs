//! Finds the good frames of a segment, whatever stands between them, and says whether what is bad is a torn tail or damage.
//!
//! The rule is `frame`'s: bad bytes followed by a good frame of a later group are damage; otherwise they are a torn tail.
use super::Sequence;
use super::bytes::all_zero;
use super::frame::{self, ALIGN, Header, Kind};
use super::segment::{DATA, Entries};
use super::storage::{PATIENCE, StorageFile, is_unreadable, patiently};
use std::io;
use std::sync::Arc;

/// Read at once: large enough to make system calls cheap, small enough for a reader to hold for ever.
const CHUNK: u64 = 256 * 1024;
/// The least that a medium loses.
const SECTOR: u64 = 512;
/// Zeros are skipped by this much, and compared with 16 bytes more: a header has its kind, not zero, at byte 12.
const SKIP: usize = 4080;

/// A sliding view of a file.
pub(super) struct Window {
    file: Arc<dyn StorageFile>,
    buffer: Vec<u8>,
    start: u64,
    failures: u32,
    /// Tries again by itself, where others leave that to the caller.
    patient: bool,
    /// Up to where the last search for a good frame came.
    pub sought: u64,
}

/// What stands at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// A good frame.
    Good(Header),
    /// A genuine header whose payload is damaged.
    BadPayload(Header),
    /// No frame.
    Bad,
}

impl Window {
    pub fn new(file: Arc<dyn StorageFile>) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            start: 0,
            failures: 0,
            patient: false,
            sought: 0,
        }
    }

    /// One that never fails because the medium does not give bytes back: after a few tries these count as zeros.
    pub fn patient(file: Arc<dyn StorageFile>) -> Self {
        Self {
            patient: true,
            ..Self::new(file)
        }
    }

    /// The part of the window from `position` on that is loaded.
    pub fn from(&self, position: u64) -> &[u8] {
        let skip = position.checked_sub(self.start);
        let loaded = skip.and_then(|skip| self.buffer.get(usize::try_from(skip).ok()?..));
        loaded.unwrap_or_default()
    }

    /// The payload of the good frame at `position`, which [`Window::frame`] has just looked at.
    pub fn payload(&self, position: u64, header: &Header) -> &[u8] {
        let payload = self.from(position).get(frame::HEADER..);
        let payload = payload.and_then(|rest| rest.get(..header.length as usize));
        payload.unwrap_or_default()
    }

    /// Loads `length` bytes at `position`, or what there is of them before `end`. Never reads beyond `end`, where a writer may be at work.
    fn load(&mut self, position: u64, length: u64, end: u64) -> io::Result<()> {
        let length = length.min(end.saturating_sub(position));
        if position >= self.start && (self.from(position).len() as u64) >= length {
            return Ok(());
        }
        let want = length.max(CHUNK).min(end - position) as usize;
        if want <= CHUNK as usize && self.buffer.capacity() > 4 * CHUNK as usize {
            self.buffer = Vec::new();
        }
        self.buffer.resize(want, 0);
        self.start = position;
        let tries = if self.patient { PATIENCE } else { 0 };
        let mut read = self.file.read_at(&mut self.buffer, position);
        for _ in 0..tries {
            if !read.as_ref().is_err_and(is_unreadable) {
                break;
            }
            self.failures += 1;
            read = self.file.read_at(&mut self.buffer, position);
        }
        match read {
            Ok(read) => {
                self.buffer.truncate(read);
                self.failures = 0;
                Ok(())
            }
            Err(error) => {
                self.failures += u32::from(is_unreadable(&error));
                if self.failures > PATIENCE {
                    self.salvage(position);
                    return Ok(());
                }
                self.buffer.clear();
                Err(error)
            }
        }
    }

    /// Reads sector by sector, as they stand in the file; what cannot be read counts as zeros.
    fn salvage(&mut self, position: u64) {
        self.buffer.fill(0);
        let (mut at, mut rest) = (position, self.buffer.as_mut_slice());
        while !rest.is_empty() {
            let length = (SECTOR - at % SECTOR).min(rest.len() as u64);
            let (sector, after) = rest.split_at_mut(length as usize);
            if patiently(|| self.file.read_at(sector, at)).is_err() {
                sector.fill(0);
            }
            at += length;
            rest = after;
        }
        self.failures = 0;
    }

    /// Looks at the frame at `position`; it must end at or before `end`.
    pub fn frame(&mut self, salt: u32, position: u64, end: u64) -> io::Result<At> {
        self.load(position, frame::HEADER as u64, end)?;
        let Some(header) = Header::decode(self.from(position), salt, position) else {
            return Ok(At::Bad);
        };
        if position + header.span() > end {
            return Ok(At::Bad);
        }
        self.load(position, header.span(), end)?;
        if header.matches(self.payload(position, &header), salt) {
            Ok(At::Good(header))
        } else {
            Ok(At::BadPayload(header))
        }
    }

    /// The first good frame at or after `from`. After a failure the search may go on at `sought`.
    pub fn next_good(
        &mut self,
        salt: u32,
        from: u64,
        end: u64,
    ) -> io::Result<Option<(u64, Header)>> {
        let mut position = from.next_multiple_of(ALIGN);
        while position + frame::HEADER as u64 <= end {
            self.sought = position;
            self.load(position, frame::HEADER as u64, end)?;
            let loaded = self.from(position);
            if loaded.len() < frame::HEADER {
                break;
            }
            let (offset, candidate) = first_candidate(loaded, salt, position);
            position += offset;
            if candidate {
                if let At::Good(header) = self.frame(salt, position, end)? {
                    return Ok(Some((position, header)));
                }
                position += ALIGN;
            }
        }
        Ok(None)
    }

    /// Whether nothing but zeros stands from `position` on.
    fn is_blank(&mut self, mut position: u64, end: u64) -> io::Result<bool> {
        while position < end {
            self.load(position, 1, end)?;
            let loaded = self.from(position);
            if loaded.is_empty() {
                break;
            }
            if !all_zero(loaded) {
                return Ok(false);
            }
            position += loaded.len() as u64;
        }
        Ok(true)
    }
}

/// How far to go to the first genuine header, or past what was looked at.
fn first_candidate(bytes: &[u8], salt: u32, position: u64) -> (u64, bool) {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= frame::HEADER) {
        if rest.get(..SKIP + 16).is_some_and(all_zero) {
            at += SKIP;
        } else if Header::decode(rest, salt, position + at as u64).is_some() {
            return (at as u64, true);
        } else {
            at += ALIGN as usize;
        }
    }
    (at as u64, false)
}

/// A stretch without good frames, between good ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bad {
    pub position: u64,
    pub end: u64,
    /// The sequences lost in it, `from..=to`; `to < from` where none is.
    pub from: Sequence,
    pub to: Sequence,
}

/// How the frames of a segment end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// In nothing, or in frames that do not count.
    Clean,
    /// In a good footer.
    Footer,
    /// In bytes of a group that was never synced whole.
    Torn,
}

/// What a segment holds.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub entries: Entries,
    /// Where the frames that count end.
    pub end: u64,
    /// Where the last group among them starts.
    pub last_group: u64,
    pub tail: Tail,
    pub bad: Vec<Bad>,
}

/// What is to be scanned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub salt: u32,
    pub base: Sequence,
    /// Frames end here at the latest.
    pub size: u64,
    /// The base of the next segment, at and above which nothing counts.
    pub limit: Sequence,
    /// All of it was synced once: there is no torn tail, bad bytes are damage.
    pub synced: bool,
}

/// Reads the frames of a segment.
pub(super) fn scan(file: Arc<dyn StorageFile>, extent: Extent) -> io::Result<Scan> {
    let Extent { base, limit, .. } = extent;
    let mut scanner = Scanner {
        window: Window::patient(file),
        salt: extent.salt,
        size: extent.size,
        later: extent.synced.then_some(u64::MAX),
    };
    let mut found = Scan {
        entries: Entries::default(),
        end: DATA,
        last_group: DATA,
        tail: Tail::Clean,
        bad: Vec::new(),
    };
    let mut next = base;
    loop {
        match scanner.window.frame(extent.salt, found.end, extent.size)? {
            At::Good(header) if header.kind == Kind::Footer => {
                found.tail = Tail::Footer;
                return Ok(found);
            }
            At::Good(header) if header.sequence >= limit => return Ok(found),
            At::Good(header) => {
                let payload = scanner.window.payload(found.end, &header);
                next = note(&mut found.entries, found.end, &header, payload).max(next);
                found.last_group = header.group;
                found.end += header.span();
            }
            _ if next >= limit => return Ok(found),
            bad => {
                let position = found.end;
                let Some((end, sequence)) = scanner.damage_end(position, bad)? else {
                    let blank = scanner.window.is_blank(position, extent.size)?;
                    found.tail = if blank { Tail::Clean } else { Tail::Torn };
                    return Ok(found);
                };
                found.bad.push(Bad {
                    position,
                    end,
                    from: next,
                    to: sequence.saturating_sub(1),
                });
                found.end = end;
            }
        }
    }
}

/// Enters a good frame; the sequence after it.
fn note(entries: &mut Entries, position: u64, header: &Header, payload: &[u8]) -> Sequence {
    let last = if header.kind == Kind::WrittenOff {
        let last = header.last(payload);
        entries.passed(header.sequence, last);
        last
    } else {
        let (tag, body) = payload
            .split_at_checked(usize::from(header.tag_length))
            .unwrap_or_default();
        entries.record(header.sequence, position, tag, body);
        header.sequence
    };
    last + 1
}

struct Scanner {
    window: Window,
    salt: u32,
    size: u64,
    /// The latest group seen ahead, so that many bad frames cost one look ahead.
    later: Option<u64>,
}

impl Scanner {
    /// If the bad bytes at `position` are damage: where the next good frame stands, and its sequence (a footer's: the one after its last).
    fn damage_end(&mut self, position: u64, bad: At) -> io::Result<Option<(u64, Sequence)>> {
        let from = match bad {
            At::BadPayload(header) => position + header.span(),
            _ => position + ALIGN,
        };
        let first = self.window.next_good(self.salt, from, self.size)?;
        let Some((end, header)) = first else {
            return Ok(None);
        };
        let after_footer = u64::from(header.kind == Kind::Footer);
        let found = (end, header.sequence + after_footer);
        if self.later.is_some_and(|group| group > position) {
            return Ok(Some(found));
        }
        let mut ahead = Some((end, header));
        while let Some((at, header)) = ahead {
            if header.group > position {
                self.later = Some(header.group);
                return Ok(Some(found));
            }
            let from = at + header.span();
            ahead = self.window.next_good(self.salt, from, self.size)?;
        }
        Ok(None)
    }
}
