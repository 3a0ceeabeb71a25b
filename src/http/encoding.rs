//! Content encodings: `gzip` and `deflate` are inflated, and the body limit holds for the result.
//!
//! **Guarantee.** Inflating takes at most about [`MOST`] of a worker's CPU time, whatever the bytes are. A limit on the output alone does
//! not achieve that: a stream can consist of blocks or gzip members that put out nothing, and each of them makes the decoder build its
//! tables anew (up to 8 µs for 23 bytes). Counting blocks does not achieve it either, because a sender that flushes often writes many
//! blocks that cost little. So the CPU time itself is measured, once for every [`STRIDE`] bytes of input.
//!
//! A body that a compressor made from JSON stays far below the limit: half a mebibyte takes about 2 ms; 5 ms if its sender flushed after
//! every value, and 20 ms after every three bytes.

use crate::domain::reasons::Rejection;
use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use std::time::Duration;

/// The CPU time after which a body counts as one that does not inflate.
const MOST: Duration = Duration::from_millis(40);

/// Bytes of input between two looks at the clock. The most expensive stream known takes 1.4 ms for so many; a look takes 0.3 µs.
const STRIDE: usize = 4 << 10;

/// The largest window that deflate knows, as a power of two.
const WINDOW_BITS: u8 = 15;

/// A body is inflated into so many bytes first; more are added where these are not enough.
const FIRST_ROOM: usize = 8 << 10;

/// The body's one encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

/// The plain body, of at most `limit` bytes; `headers` are the values of all content-encoding headers.
pub(super) fn decode<'a>(
    headers: impl Iterator<Item = &'a [u8]>,
    body: Bytes,
    limit: usize,
) -> Result<Bytes, Rejection> {
    match encoding(headers)? {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => {
            let mut inflating = Inflating::new(&body, limit);
            // Any number of members may follow each other (RFC 1952, section 2.2).
            loop {
                inflating.stream(Decompress::new_gzip(WINDOW_BITS))?;
                if inflating.input.is_empty() {
                    return Ok(inflating.plain());
                }
            }
        }
        Encoding::Deflate => {
            let mut inflating = Inflating::new(&body, limit);
            inflating.stream(Decompress::new(is_zlib(&body)))?;
            Ok(inflating.plain())
        }
    }
}

/// `identity` counts for nothing; two encodings one over the other are not supported.
fn encoding<'a>(headers: impl Iterator<Item = &'a [u8]>) -> Result<Encoding, Rejection> {
    let mut found = Encoding::Identity;
    for value in headers {
        let value = std::str::from_utf8(value).map_err(|_| Rejection::EncodingUnsupported)?;
        for name in value.split(',').map(str::trim) {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            let next = match name {
                _ if name.is_empty() || is("identity") => continue,
                _ if is("gzip") || is("x-gzip") => Encoding::Gzip,
                _ if is("deflate") => Encoding::Deflate,
                _ => return Err(Rejection::EncodingUnsupported),
            };
            if found != Encoding::Identity {
                return Err(Rejection::EncodingUnsupported);
            }
            found = next;
        }
    }
    Ok(found)
}

/// RFC 9110 means zlib by `deflate`; some senders mean the bare stream. A bare stream that began with these two bytes would begin with a
/// stored block whose padding is not zero, which no compressor writes: one attempt is enough.
fn is_zlib(body: &[u8]) -> bool {
    const DEFLATE: u8 = 8;
    const SMALLEST_WINDOW_TOO_LARGE: u8 = 8;
    match body {
        [method, flags, ..] => {
            method & 0x0f == DEFLATE
                && method >> 4 < SMALLEST_WINDOW_TOO_LARGE
                && u16::from_be_bytes([*method, *flags]) % 31 == 0
        }
        _ => false,
    }
}

/// A body on its way from compressed to plain.
struct Inflating<'a> {
    input: &'a [u8],
    /// The plain bytes, and room for more.
    output: Vec<u8>,
    length: usize,
    limit: usize,
    work: Work,
}

impl<'a> Inflating<'a> {
    fn new(input: &'a [u8], limit: usize) -> Self {
        Self {
            input,
            output: Vec::new(),
            length: 0,
            limit,
            work: Work::default(),
        }
    }

    /// Inflates one stream, up to its end.
    fn stream(&mut self, mut inflate: Decompress) -> Result<(), Rejection> {
        loop {
            self.make_room();
            let piece = self.input.get(..STRIDE).unwrap_or(self.input);
            let room = self.output.get_mut(self.length..).unwrap_or_default();
            let before = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(piece, room, FlushDecompress::None)
                .map_err(|_| Rejection::BodyNotJson)?;
            let taken = difference(inflate.total_in(), before.0);
            let put = difference(inflate.total_out(), before.1);
            self.input = self.input.get(taken..).unwrap_or_default();
            self.length += put;
            if self.length > self.limit {
                return Err(Rejection::BodyTooLarge);
            }
            match status {
                Status::StreamEnd => return self.work.done(taken),
                // There is room, so what is missing is input.
                _ if taken == 0 && put == 0 => return Err(Rejection::BodyNotJson),
                _ => self.work.done(taken)?,
            }
        }
    }

    /// One byte more than allowed tells a bomb from a body of just the limit.
    fn make_room(&mut self) {
        if self.length == self.output.len() {
            let more = (2 * self.length).max(FIRST_ROOM).max(self.input.len());
            self.output.resize(more.min(self.limit + 1), 0);
        }
    }

    fn plain(mut self) -> Bytes {
        self.output.truncate(self.length);
        Bytes::from(self.output)
    }
}

fn difference(later: u64, earlier: u64) -> usize {
    usize::try_from(later.saturating_sub(earlier)).unwrap_or(usize::MAX)
}

/// The work that a body has caused so far.
#[derive(Default)]
struct Work {
    /// Input since the last look at the clock.
    unmeasured: usize,
    /// The thread's clock at the first look.
    since: Option<Duration>,
}

impl Work {
    /// So many bytes were taken in. Almost every body ends before the first look.
    fn done(&mut self, taken: usize) -> Result<(), Rejection> {
        // A member without content counts, too.
        self.unmeasured += taken.max(1);
        if self.unmeasured < STRIDE {
            return Ok(());
        }
        self.unmeasured = 0;
        let now = thread_time();
        let since = *self.since.get_or_insert(now);
        if now.saturating_sub(since) > MOST {
            return Err(Rejection::BodyNotJson);
        }
        Ok(())
    }
}

/// The CPU time of this thread. Time in which another thread had the core does not count, so a busy machine refuses nothing.
fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes into a `timespec` that is ours. It cannot fail with this clock; if it did, no time would pass.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}
