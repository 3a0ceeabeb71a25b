//! One record on disk.
//!
//! A frame is a header of 32 bytes, then the payload (tag, then body), then zeros up to a multiple of 8. Little-endian:
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | CRC-32C of the frame's position in the segment (u64) and of the header from byte 4 on |
//! | 4 | 4 | CRC-32C of the payload |
//! | 8 | 4 | length of the payload |
//! | 12 | 1 | kind: 1 record, 2 footer, 3 written off |
//! | 13 | 1 | length of the tag |
//! | 14 | 2 | zero |
//! | 16 | 8 | sequence |
//! | 24 | 8 | group: the position in the segment at which the frame's group starts |
//!
//! Both checksums start from the segment's salt, so that a frame of a file's former use never passes. The header's covers the
//! position as well: bytes copied out of a segment into some body (or hostile bytes in one, whose sender cannot know the
//! salt) never pass either. There are two checksums so that a damaged payload costs exactly its frame, and so that looking for
//! the next good frame (at steps of 8) reads a candidate's payload only when its header is surely genuine: the work is bounded.
//!
//! The group tells a torn tail from damage. A group is written only after the one before it is synced. A bad frame at `o` that is
//! followed by a good frame of a group > `o` was therefore synced once: **damage**. Followed only by frames of groups <= `o`, or
//! by nothing, it belongs to the last group, which nobody was promised: a **torn tail**.
use super::Sequence;
use super::bounds::HIGHEST;
use super::bytes::{u8_at, u16_at, u32_at, u64_at};

/// Bytes of a frame's header.
pub(super) const HEADER: usize = 32;
/// Frames start at multiples of this.
pub(super) const ALIGN: u64 = 8;
/// The longest payload; far above any webhook, and small enough to be held in memory.
pub(super) const MAX_PAYLOAD: usize = 1 << 30;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A record.
    Record,
    /// What a sealed segment ends in; see `segment`.
    Footer,
    /// Sequences that a repair has written off: from the frame's sequence to the payload's (u64), both included.
    WrittenOff,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Record => 1,
            Self::Footer => 2,
            Self::WrittenOff => 3,
        }
    }

    fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Record),
            2 => Some(Self::Footer),
            3 => Some(Self::WrittenOff),
            _ => None,
        }
    }
}

/// A frame's header, proven genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: Kind,
    pub tag_length: u8,
    pub length: u32,
    pub payload_crc: u32,
    pub sequence: Sequence,
    pub group: u64,
}

impl Header {
    /// The header at `position`, if these bytes are one.
    pub fn decode(bytes: &[u8], salt: u32, position: u64) -> Option<Self> {
        let bytes = bytes.get(..HEADER)?;
        // The cheap looks first: a search tries this at every eighth byte.
        let kind = Kind::of(u8_at(bytes, 12)?)?;
        if u16_at(bytes, 14)? != 0 {
            return None;
        }
        let tag_length = u8_at(bytes, 13)?;
        let length = u32_at(bytes, 8)?;
        if length as usize > MAX_PAYLOAD || u32::from(tag_length) > length {
            return None;
        }
        if u32_at(bytes, 0)? != header_crc(bytes.get(4..)?, salt, position) {
            return None;
        }
        let (sequence, group) = (u64_at(bytes, 16)?, u64_at(bytes, 24)?);
        if sequence > HIGHEST || group > position {
            return None;
        }
        Some(Self {
            kind,
            tag_length,
            length,
            payload_crc: u32_at(bytes, 4)?,
            sequence,
            group,
        })
    }

    /// The last sequence for which the frame stands: its own, or what a repair has written off with this payload.
    pub fn last(&self, payload: &[u8]) -> Sequence {
        let last = match self.kind {
            Kind::WrittenOff => u64_at(payload, 0),
            _ => None,
        };
        let last = last.filter(|last| (self.sequence..=HIGHEST).contains(last));
        last.unwrap_or(self.sequence)
    }

    /// Whether these bytes are the payload that the header speaks of.
    pub fn matches(&self, payload: &[u8], salt: u32) -> bool {
        payload.len() == self.length as usize
            && crc32c::crc32c_append(salt, payload) == self.payload_crc
    }

    /// Bytes that the frame takes.
    pub fn span(&self) -> u64 {
        span(self.length as usize)
    }
}

/// Bytes that a frame with this payload takes.
pub(super) fn span(payload: usize) -> u64 {
    ((HEADER + payload) as u64).next_multiple_of(ALIGN)
}

/// What [`append`] writes besides the payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meta {
    pub kind: Kind,
    pub tag_length: u8,
    pub sequence: Sequence,
    /// Where the frame will stand in its segment.
    pub position: u64,
    pub group: u64,
}

/// Appends a frame to a buffer.
pub(super) fn append(buffer: &mut Vec<u8>, salt: u32, meta: Meta, payload: &[u8]) {
    let mut header = [0; HEADER - 4];
    let fields = [
        crc32c::crc32c_append(salt, payload),
        payload.len() as u32,
        u32::from(meta.kind.code()) | u32::from(meta.tag_length) << 8,
    ];
    let (small, large) = header.split_at_mut(12);
    for (place, field) in small.chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    for (place, field) in large.chunks_exact_mut(8).zip([meta.sequence, meta.group]) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    buffer.extend_from_slice(&header_crc(&header, salt, meta.position).to_le_bytes());
    buffer.extend_from_slice(&header);
    buffer.extend_from_slice(payload);
    let padding = span(payload.len()) as usize - HEADER - payload.len();
    buffer.resize(buffer.len() + padding, 0);
}

fn header_crc(rest: &[u8], salt: u32, position: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &position.to_le_bytes()), rest)
}
