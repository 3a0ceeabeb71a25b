//! Content encodings: `gzip` and `deflate` are inflated, the body limit holding for what comes out.

use crate::domain::reasons::Rejection;
use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::Read;

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
        Encoding::Gzip => inflate(MultiGzDecoder::new(&body[..]), limit),
        // RFC 9110 means zlib by `deflate`; some senders mean the bare stream.
        Encoding::Deflate => match inflate(ZlibDecoder::new(&body[..]), limit) {
            Err(Rejection::BodyNotJson) => inflate(DeflateDecoder::new(&body[..]), limit),
            plain => plain,
        },
    }
}

/// `identity` counts for nothing; two encodings one over the other are not supported.
fn encoding<'a>(headers: impl Iterator<Item = &'a [u8]>) -> Result<Encoding, Rejection> {
    let mut found = Encoding::Identity;
    for value in headers {
        let value = std::str::from_utf8(value).map_err(|_| Rejection::EncodingUnsupported)?;
        for name in value.split(',') {
            let next = match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Encoding::Gzip,
                "deflate" => Encoding::Deflate,
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

fn inflate(stream: impl Read, limit: usize) -> Result<Bytes, Rejection> {
    let mut plain = Vec::new();
    // One byte more than allowed tells a bomb from a body of just the limit.
    stream
        .take(limit as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|_| Rejection::BodyNotJson)?;
    if plain.len() > limit {
        Err(Rejection::BodyTooLarge)
    } else {
        Ok(Bytes::from(plain))
    }
}
