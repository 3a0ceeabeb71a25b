//! Reads a request's body within its size and time limits.

use super::problem::Failure;
use crate::domain::reasons::Rejection;
use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

/// A body that nobody wants is still read for this long, so that its sender sees the answer instead of a reset, and the connection
/// stays usable.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// And up to this many times the limit.
const DRAINED_LIMITS: usize = 4;

/// Reads the whole body as it comes over the wire, `limit` bytes at most, within `time`.
pub(super) async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: usize,
    time: Duration,
) -> Result<Bytes, Failure> {
    let read = {
        let mut reading = pin!(read_all(payload, declared_length(request), limit));
        // Most bodies have come with the head: only a body that must be waited for needs a timer.
        match poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await {
            Poll::Ready(read) => read,
            Poll::Pending => {
                let read = tokio::time::timeout(time, reading).await;
                read.unwrap_or(Err(Failure::TimedOut))
            }
        }
    };
    if read == Err(Failure::Rejected(Rejection::BodyTooLarge)) {
        discard(payload, limit).await;
    }
    read
}

/// Throws away what still comes, within bounds; whether that was all of it.
pub(super) async fn discard(payload: &mut Payload, limit: usize) -> bool {
    let mut left = limit.saturating_mul(DRAINED_LIMITS);
    let all = async {
        while let Ok(Some(chunk)) = next(payload).await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    tokio::time::timeout(DRAIN_TIME, all).await.unwrap_or(false)
}

fn declared_length(request: &HttpRequest) -> Option<usize> {
    request
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

async fn read_all(
    payload: &mut Payload,
    declared: Option<usize>,
    limit: usize,
) -> Result<Bytes, Failure> {
    const TOO_LARGE: Failure = Failure::Rejected(Rejection::BodyTooLarge);
    if declared.is_some_and(|length| length > limit) {
        return Err(TOO_LARGE);
    }
    let Some(first) = next(payload).await? else {
        return Ok(Bytes::new());
    };
    if first.len() <= limit && declared == Some(first.len()) {
        return Ok(first);
    }
    let mut body = BytesMut::with_capacity(declared.unwrap_or_default().max(first.len()));
    let mut chunk = first;
    loop {
        if body.len() + chunk.len() > limit {
            return Err(TOO_LARGE);
        }
        body.extend_from_slice(&chunk);
        match next(payload).await? {
            Some(more) => chunk = more,
            None => return Ok(body.freeze()),
        }
    }
}

async fn next(payload: &mut Payload) -> Result<Option<Bytes>, Failure> {
    match poll_fn(|context| futures_core::Stream::poll_next(Pin::new(&mut *payload), context)).await
    {
        Some(Ok(chunk)) => Ok(Some(chunk)),
        Some(Err(_)) => Err(Failure::BrokenOff),
        None => Ok(None),
    }
}
