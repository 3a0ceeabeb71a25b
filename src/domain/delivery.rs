//! The journal's record of a delivery: its versioned encoding.
//!
//! **On-disk format**, version 1, little-endian. Version N of the bridge reads the records of N-1. The journal's checksum covers
//! the record; the lengths here only delimit it.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | version: 1 |
//! | 1 | 1 | position of the secret that proved it, 0 the current one |
//! | 2 | 1 | length of the app's name |
//! | 3 | 1 | number of headers |
//! | 4 | 8 | acceptance, milliseconds since 1970-01-01 UTC |
//! | 12 | 16 | id, a UUIDv7 |
//! | 28 | 32 | signature |
//! | 60 | 4 | where the raw token of `signedData` starts in the body |
//! | 64 | 4 | where it ends |
//! | 68 | 4 | length of the body |
//! | 72 | | the app's name |
//! | | | the headers, each: length of the name (1), length of the value (2), name, value |
//! | | | the body, up to the end of the record |
//!
//! The token's place is kept so that publishing need not parse the outer JSON again.

use super::envelope::Envelope;
use super::signature::{Signature, Verified};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use uuid::Uuid;

const VERSION: u8 = 1;
const FIXED_LENGTH: usize = 72;

/// The most headers that a record keeps: a handful is selected, for people to read.
pub const MAX_HEADERS: usize = 16;

/// A point in time: milliseconds since 1970-01-01 UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

/// A proven delivery as the journal keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// UUIDv7, given at acceptance; `ce_id` of every publication.
    pub id: Uuid,
    /// When it was accepted.
    pub accepted_at: Millis,
    /// The app whose path took it; `default` for `/webhook`. At most 255 bytes (the contract allows 32).
    pub app: &'a str,
    /// Which secret proved it: 0 was the current one.
    pub secret_position: u8,
    /// The signature that proved it.
    pub signature: Signature,
    /// Where the raw JSON token of `signedData` stands in `body`.
    pub token: Range<usize>,
    /// Selected request headers (lowercase name, value), for a reader of quarantine and `inspect`.
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// The body as it came, inflated. At most 4 GiB.
    pub body: &'a [u8],
}

impl std::fmt::Debug for Delivery<'_> {
    /// Leaves out the body and the headers' values: they hold personal data, and a debug text may end in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("accepted_at", &self.accepted_at)
            .field("app", &self.app)
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why stored bytes are no delivery that this version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer bridge.
    #[error("its record version {0} is newer than this bridge knows")]
    NewerVersion(u8),
    /// Shorter than its own lengths say, or not of the form.
    #[error("it is not of the form of a delivery record")]
    Malformed,
}

impl<'a> Delivery<'a> {
    /// So many first bytes of a record hold its id.
    pub const ID_PREFIX: usize = 28;

    /// Puts the id into an encoded record that has none yet: ids are given later than the rest is known.
    pub fn set_id(record: &mut [u8], id: Uuid) {
        if let Some(place) = record.get_mut(12..Self::ID_PREFIX) {
            place.copy_from_slice(id.as_bytes());
        }
    }

    /// The id, read from a record's first [`Self::ID_PREFIX`] bytes; `None` for another version.
    pub fn peek_id(prefix: &[u8]) -> Option<Uuid> {
        prefix.first().filter(|version| **version == VERSION)?;
        Some(Uuid::from_bytes(
            prefix.get(12..Self::ID_PREFIX)?.try_into().ok()?,
        ))
    }

    /// `prefix`, and the encoded record behind it.
    pub fn encode_behind(&self, prefix: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(prefix.len() + self.encoded_length());
        out.extend_from_slice(prefix);
        self.encode(&mut out);
        out
    }

    /// Appends the encoded record to `out`.
    ///
    /// Headers beyond [`MAX_HEADERS`], and those with a name over 255 or a value over 65,535 bytes, are left out: they inform
    /// and promise nothing.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let app = clip(self.app);
        out.reserve(self.encoded_length());
        out.extend_from_slice(&[
            VERSION,
            self.secret_position,
            app.len() as u8,
            self.kept_headers().count() as u8,
        ]);
        out.extend_from_slice(&self.accepted_at.0.to_le_bytes());
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(self.signature.as_bytes());
        for length in [self.token.start, self.token.end, self.body.len()] {
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_le_bytes());
        }
        out.extend_from_slice(app.as_bytes());
        for (name, value) in self.kept_headers() {
            out.push(name.len() as u8);
            out.extend_from_slice(&(value.len() as u16).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value);
        }
        out.extend_from_slice(self.body);
    }

    fn kept_headers(&self) -> impl Iterator<Item = &(&'a str, &'a [u8])> {
        let fits = |(name, value): &&(&str, &[u8])| name.len() <= 0xFF && value.len() <= 0xFFFF;
        self.headers.iter().filter(fits).take(MAX_HEADERS)
    }

    fn encoded_length(&self) -> usize {
        let headers = self.kept_headers();
        let headers = headers.map(|(name, value)| 3 + name.len() + value.len());
        FIXED_LENGTH + clip(self.app).len() + headers.sum::<usize>() + self.body.len()
    }

    /// Reads a record back.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match bytes.first() {
            Some(&VERSION) => Self::decode_fields(bytes).ok_or(DecodeError::Malformed),
            Some(&version) if version > VERSION => Err(DecodeError::NewerVersion(version)),
            _ => Err(DecodeError::Malformed),
        }
    }

    fn decode_fields(bytes: &'a [u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let [_, secret_position, app_length, header_count] = input.array()?;
        let accepted_at = Millis(u64::from_le_bytes(input.array()?));
        let id = Uuid::from_bytes(input.array()?);
        let signature = Signature::from_bytes(input.array()?);
        let token = input.length()?..input.length()?;
        let body_length = input.length()?;
        let app = input.text(usize::from(app_length))?;
        let mut headers = Vec::with_capacity(usize::from(header_count));
        for _ in 0..header_count {
            let [name_length] = input.array()?;
            let value_length = u16::from_le_bytes(input.array()?);
            let name = input.text(usize::from(name_length))?;
            headers.push((name, input.take(usize::from(value_length))?));
        }
        let body = input.0;
        (body.len() == body_length && body.get(token.clone()).is_some()).then_some(Self {
            id,
            accepted_at,
            app,
            secret_position,
            signature,
            token,
            headers,
            body,
        })
    }

    /// The proof, as it was when the delivery was taken: the journal holds proven deliveries only.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if no JSON string stands where the record says.
    pub fn verified(&self) -> Result<Verified<'a>, DecodeError> {
        let envelope =
            Envelope::restore(self.body, self.token.clone()).ok_or(DecodeError::Malformed)?;
        Ok(Verified {
            envelope,
            signature: self.signature,
            secret_position: self.secret_position,
        })
    }
}

fn clip(app: &str) -> &str {
    app.get(..app.floor_char_boundary(0xFF)).unwrap_or_default()
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn text(&mut self, length: usize) -> Option<&'a str> {
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"signedData":"\u0061bc"}"#;

    fn delivery() -> Delivery<'static> {
        Delivery {
            id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
            accepted_at: Millis(0x0102_0304),
            app: "sandbox",
            secret_position: 2,
            signature: Signature::from_bytes([0xab; 32]),
            token: 14..24,
            headers: vec![
                ("content-type", b"application/json"),
                ("user-agent", b"\xff"),
            ],
            body: BODY,
        }
    }

    fn encoded(delivery: &Delivery<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        delivery.encode(&mut out);
        out
    }

    #[test]
    fn the_layout_on_disk_does_not_move() {
        let expected = [
            "01020702",
            "0403020100000000",
            "01900000000070008000000000000001",
            &"ab".repeat(32),
            "0e0000001800000019000000",
            &hex::encode("sandbox"),
            "0c1000",
            &hex::encode("content-typeapplication/json"),
            "0a0100",
            &hex::encode("user-agent"),
            "ff",
            &hex::encode(BODY),
        ];
        assert_eq!(hex::encode(encoded(&delivery())), expected.concat());
    }

    #[test]
    fn a_record_survives_encoding_and_remembers_its_proof() {
        let bytes = encoded(&delivery());
        let read = Delivery::decode(&bytes).unwrap();
        assert_eq!(read, delivery());
        let verified = read.verified().unwrap();
        assert_eq!(verified.envelope(), &Envelope::parse(BODY).unwrap());
        assert_eq!(verified.signature(), &delivery().signature);
        assert_eq!(verified.secret_position(), 2);
    }

    #[test]
    fn the_length_is_known_before_the_bytes_are() {
        let bytes = delivery().encode_behind(b"prefix");
        assert_eq!(bytes, [b"prefix", &encoded(&delivery())[..]].concat());
        assert_eq!(bytes.len(), 6 + delivery().encoded_length());
    }

    #[test]
    fn every_shortened_record_is_malformed() {
        let bytes = encoded(&delivery());
        for length in 0..bytes.len() {
            assert_eq!(
                Delivery::decode(&bytes[..length]),
                Err(DecodeError::Malformed),
                "{length}"
            );
        }
        assert_eq!(
            Delivery::decode(&[&bytes[..], b"x"].concat()),
            Err(DecodeError::Malformed)
        );
    }

    #[test]
    fn a_newer_record_is_told_from_a_malformed_one() {
        let mut bytes = encoded(&delivery());
        bytes[0] = 2;
        assert_eq!(Delivery::decode(&bytes), Err(DecodeError::NewerVersion(2)));
        bytes[0] = 0;
        assert_eq!(Delivery::decode(&bytes), Err(DecodeError::Malformed));
    }

    #[test]
    fn a_token_outside_the_body_or_not_on_a_string_proves_nothing() {
        let outside = Delivery {
            token: 14..26,
            ..delivery()
        };
        assert_eq!(
            Delivery::decode(&encoded(&outside)),
            Err(DecodeError::Malformed)
        );
        let elsewhere = Delivery {
            token: 0..5,
            ..delivery()
        };
        let bytes = encoded(&elsewhere);
        let read = Delivery::decode(&bytes).unwrap();
        assert_eq!(read.verified().err(), Some(DecodeError::Malformed));
    }

    #[test]
    fn headers_that_do_not_fit_are_left_out() {
        let long = vec![b'x'; 0x1_0000];
        let mut headers = vec![("a", &long[..]), ("b", &long[1..])];
        headers.extend(std::iter::repeat_n(("c", &b""[..]), 300));
        let bytes = encoded(&Delivery {
            headers,
            ..delivery()
        });
        let read = Delivery::decode(&bytes).unwrap();
        assert_eq!(read.headers.len(), MAX_HEADERS);
        assert_eq!(read.headers[0], ("b", &long[1..]));
        assert_eq!(read.body, BODY);
    }

    #[test]
    fn no_body_appears_in_a_debug_text() {
        let text = format!("{:?}", delivery());
        assert!(
            !text.contains("signedData") && text.contains("sandbox"),
            "{text}"
        );
    }
}
