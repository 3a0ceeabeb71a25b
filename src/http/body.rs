//! Reads a request's body within its size and time limits, and all bodies together within a limit of memory.

use super::connection::Busy;
use super::connections;
use super::meter::Metered;
use super::problem::Failure;
use crate::domain::reasons::Rejection;
use actix_http::Payload;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use bytes::{Bytes, BytesMut};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A body that nobody wants is still read for this long, so that its sender sees the answer instead of a reset, and the connection
/// stays usable.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// And up to this many times the limit.
const DRAINED_LIMITS: usize = 4;

/// A body of this length, as ICR's are, waits for nobody.
const SMALL: usize = 16 << 10;

/// What all larger bodies together may take that come in pieces.
const TOGETHER: usize = 32 << 20;

/// Memory is given to bodies in units of this many bytes.
const UNIT: usize = 1 << 10;

/// Between two attempts to make room for a body.
const PATIENCE: Duration = Duration::from_millis(100);

const TOO_LARGE: Failure = Failure::Rejected(Rejection::BodyTooLarge);

/// The limits that bodies are kept to.
pub struct Limits {
    /// Largest body in bytes, inflated.
    pub body: usize,
    /// Time for a request's body.
    pub time: Duration,
    memory: Semaphore,
}

impl Limits {
    /// `body` bytes at most for each, which may take `time`.
    pub fn new(body: usize, time: Duration) -> Self {
        let memory = TOGETHER.max(2 * body);
        Self {
            body,
            time,
            memory: Semaphore::new(memory / UNIT),
        }
    }

    /// Memory for so many bytes. Where there is none, the bodies that have been coming the longest give way.
    async fn room(&self, declared: Option<usize>, busy: &Busy) -> Option<SemaphorePermit<'_>> {
        let bytes = declared.unwrap_or(self.body);
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        let room = match self.memory.try_acquire_many(units) {
            Ok(room) => room,
            Err(_) => {
                busy.waits_for_memory();
                let mut waiting = pin!(self.memory.acquire_many(units));
                loop {
                    connections::end_longest_body();
                    if let Ok(room) = tokio::time::timeout(PATIENCE, &mut waiting).await {
                        break room.ok()?;
                    }
                }
            }
        };
        busy.fills(declared.unwrap_or_default());
        Some(room)
    }
}

/// Reads the whole body as it comes over the wire.
pub(super) async fn read(
    headers: &HeaderMap,
    payload: &mut Payload,
    limits: &Limits,
    (busy, metered): (&Busy, &Metered),
) -> Result<Bytes, Failure> {
    let limit = limits.body;
    let read = {
        let declared = declared_length(headers);
        let mut reading = pin!(read_all(payload, declared, limits, (busy, metered)));
        // Most bodies have come with the head: only a body that must be waited for needs a timer.
        match poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await {
            Poll::Ready(read) => read,
            Poll::Pending => {
                let read = busy.within(limits.time, reading).await;
                read.unwrap_or(Err(Failure::TimedOut))
            }
        }
    };
    if read == Err(TOO_LARGE) {
        discard(payload, limit, metered).await;
    }
    read
}

/// Throws away what still comes, within bounds; whether that was all of it.
pub(super) async fn discard(payload: &mut Payload, limit: usize, metered: &Metered) -> bool {
    let mut left = limit.saturating_mul(DRAINED_LIMITS);
    let all = async {
        while let Ok(Some(chunk)) = next(payload, metered).await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    tokio::time::timeout(DRAIN_TIME, all).await.unwrap_or(false)
}

/// Whether the declared length alone rules a body out.
pub(super) fn declared_too_large(headers: &HeaderMap, limits: &Limits) -> Option<Failure> {
    let too_large = declared_length(headers).is_some_and(|length| length > limits.body);
    too_large.then_some(TOO_LARGE)
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read_all(
    payload: &mut Payload,
    declared: Option<usize>,
    limits: &Limits,
    (busy, metered): (&Busy, &Metered),
) -> Result<Bytes, Failure> {
    let limit = limits.body;
    if declared.is_some_and(|length| length > limit) {
        return Err(TOO_LARGE);
    }
    let Some(first) = next(payload, metered).await? else {
        return Ok(Bytes::new());
    };
    if first.len() <= limit && declared == Some(first.len()) {
        return Ok(first);
    }
    // Given back when the body is complete: what is complete is judged at once.
    let small = declared.is_some_and(|length| length <= SMALL);
    let _room = match small {
        true => None,
        false => limits.room(declared, busy).await,
    };
    let mut body = BytesMut::with_capacity(declared.unwrap_or_default().max(first.len()));
    let mut chunk = first;
    loop {
        if body.len() + chunk.len() > limit {
            return Err(TOO_LARGE);
        }
        body.extend_from_slice(&chunk);
        match next(payload, metered).await? {
            Some(more) => chunk = more,
            None => return Ok(body.freeze()),
        }
    }
}

async fn next(payload: &mut Payload, metered: &Metered) -> Result<Option<Bytes>, Failure> {
    if !metered.piece() {
        return Err(Failure::BrokenOff);
    }
    match poll_fn(|context| futures_core::Stream::poll_next(Pin::new(&mut *payload), context)).await
    {
        Some(Ok(chunk)) => Ok(Some(chunk)),
        Some(Err(_)) => Err(Failure::BrokenOff),
        None => Ok(None),
    }
}
