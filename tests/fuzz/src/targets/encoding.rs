//! Content encodings: whatever comes, what goes out stays within the limit, and what was compressed comes back.
//!
//! Input: a byte for the encoding's name, a byte for what the rest is (a compressed stream, or a body to compress), the rest.

use super::Choices;
use crate::domain::reasons::Rejection;
use crate::encoding::decode;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};
use std::io::Read;

const LIMIT: usize = 4096;

const NAMES: [&[u8]; 9] = [
    b"gzip",
    b"deflate",
    b"x-gzip",
    b"identity",
    b"GZip, identity",
    b"gzip,deflate",
    b"br",
    b"",
    b"\xff",
];

pub fn check(data: &[u8]) {
    let mut choices = Choices(data);
    let name = NAMES[choices.below(NAMES.len())];
    let compresses = choices.byte();
    let rest = choices.0;
    inflates_within_the_limit(name, rest);
    if let Some(factor) = compresses.checked_sub(1) {
        let body = rest.repeat(usize::from(factor) % 64 + 1);
        gives_back(
            &body,
            b"gzip",
            GzEncoder::new(&body[..], Compression::fast()),
        );
        gives_back(
            &body,
            b"deflate",
            ZlibEncoder::new(&body[..], Compression::fast()),
        );
        gives_back(
            &body,
            b"deflate",
            DeflateEncoder::new(&body[..], Compression::fast()),
        );
    }
}

fn inflates_within_the_limit(name: &[u8], body: &[u8]) {
    let decoded = decode(std::iter::once(name), Bytes::copy_from_slice(body), LIMIT);
    let unsupported = matches!(name, b"gzip,deflate" | b"br" | b"\xff");
    assert_eq!(decoded == Err(Rejection::EncodingUnsupported), unsupported);
    match decoded {
        Ok(plain) if matches!(name, b"identity" | b"") => assert_eq!(plain, body),
        Ok(plain) => assert!(plain.len() <= LIMIT),
        Err(reason) => assert!(matches!(
            reason,
            Rejection::BodyNotJson | Rejection::BodyTooLarge | Rejection::EncodingUnsupported
        )),
    }
}

fn gives_back(body: &[u8], name: &[u8], mut encoder: impl Read) {
    let mut compressed = Vec::new();
    encoder.read_to_end(&mut compressed).unwrap();
    let decoded = decode(std::iter::once(name), compressed.into(), LIMIT);
    if body.len() > LIMIT {
        assert_eq!(decoded, Err(Rejection::BodyTooLarge));
    } else {
        assert_eq!(decoded.unwrap(), body);
    }
}
