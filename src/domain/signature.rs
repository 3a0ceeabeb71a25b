//! ICR's signature: HMAC-SHA256 over the text of `signedData`.
//!
//! **Guarantee.** A [`Verified`] exists only where the digest matched under a secret that is not empty, compared in constant
//! time. ICR documents the header as `x-icr-signature-256: sha256=<64 hex digits>`, and on one page without the prefix; the
//! key is the secret's UTF-8 bytes as typed. Secrets are kept as keyed hash states only, so no `Debug` and no core-file
//! search for the text finds them here.

use super::envelope::Envelope;
use super::reasons::Rejection;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// The 32 bytes that a delivery claims as its signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub(crate) [u8; 32]);

impl Signature {
    /// Reads the values of all `x-icr-signature-256` headers of a request (outer white space already trimmed, as HTTP does).
    ///
    /// # Errors
    /// `signature_missing` for no header or one empty one; `signature_malformed` for more than one header, or a value that is
    /// not 64 hex digits (either case) with or without `sha256=`.
    pub fn from_headers<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, Rejection> {
        let mut values = values.into_iter();
        let value = values.next().ok_or(Rejection::SignatureMissing)?;
        if values.next().is_some() {
            return Err(Rejection::SignatureMalformed);
        }
        if value.is_empty() {
            return Err(Rejection::SignatureMissing);
        }
        let digits = value.strip_prefix(b"sha256=").unwrap_or(value);
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| Rejection::SignatureMalformed)?;
        Ok(Self(bytes))
    }

    /// From stored bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lowercase hex digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", self.to_hex())
    }
}

/// One secret as a keyed hash state, so that the key is not hashed anew for each delivery.
#[derive(Clone)]
struct Key {
    state: Hmac<Sha256>,
    /// HMAC of nothing: tells equal keys apart from different ones without keeping the secret.
    check: [u8; 32],
}

impl Key {
    fn new(secret: &[u8]) -> Result<Self, NoSecret> {
        if secret.is_empty() {
            return Err(NoSecret);
        }
        // HMAC takes a key of any length; the error cannot happen.
        let state = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| NoSecret)?;
        let check = state.clone().finalize().into_bytes().into();
        Ok(Self { state, check })
    }

    fn over(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.state.clone();
        mac.update(message);
        mac
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.check == other.check
    }
}

impl Eq for Key {}

/// The secrets in force for one app: the current one first, then the earlier ones. Never empty, never printed. Sets are equal if they
/// hold the same secrets in the same order.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretSet {
    current: Key,
    earlier: Vec<Key>,
}

/// The secrets of a secret file: its lines, ended by LF or CRLF, without the empty ones. Nothing else is trimmed.
pub fn secret_lines(contents: &[u8]) -> impl Iterator<Item = &[u8]> {
    contents
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| match line {
            [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
            last => last,
        })
        .filter(|line| !line.is_empty())
}

/// Why a text holds no usable secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it holds no secret: every line is empty")]
pub struct NoSecret;

impl SecretSet {
    /// One secret, exactly as typed (nothing is trimmed); it must not be empty.
    ///
    /// # Errors
    /// [`NoSecret`] for an empty one: anybody can compute an HMAC under the empty key.
    pub fn single(secret: &[u8]) -> Result<Self, NoSecret> {
        Ok(Self {
            current: Key::new(secret)?,
            earlier: Vec::new(),
        })
    }

    /// A secret file: one secret a line, LF or CRLF, empty lines skipped, nothing else trimmed. Repeats are dropped.
    ///
    /// # Errors
    /// [`NoSecret`] if every line is empty.
    pub fn from_file(contents: &[u8]) -> Result<Self, NoSecret> {
        let mut lines = secret_lines(contents);
        let mut set = Self::single(lines.next().ok_or(NoSecret)?)?;
        for line in lines {
            set.add(Key::new(line)?);
        }
        Ok(set)
    }

    /// How many secrets are in force (at least 1).
    pub fn count(&self) -> usize {
        1 + self.earlier.len()
    }

    /// Whether one secret is in both sets.
    pub fn shares_with(&self, other: &Self) -> bool {
        self.keys()
            .any(|mine| other.keys().any(|theirs| theirs == mine))
    }

    /// Whether `secret` is one of them, in a time that tells nothing about how much of it is right.
    pub fn holds(&self, secret: &[u8]) -> bool {
        let Ok(key) = Key::new(secret) else {
            return false;
        };
        let check = key.check.into();
        self.keys().fold(false, |known, mine| {
            known | mine.state.clone().verify(&check).is_ok()
        })
    }

    /// HMAC-SHA256 of `message` under the current secret: for the simulator and tests.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.current.over(message).finalize().into_bytes().into())
    }

    fn add(&mut self, key: Key) {
        if !self.keys().any(|known| *known == key) {
            self.earlier.push(key);
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.earlier)
    }
}

impl fmt::Debug for SecretSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSet({} in force)", self.count())
    }
}

/// A delivery that is proven to come from ICR. Only [`verify`] and the journal's own records make one.
#[derive(Debug)]
pub struct Verified<'a> {
    pub(crate) envelope: Envelope<'a>,
    pub(crate) signature: Signature,
    pub(crate) secret_position: u8,
}

impl<'a> Verified<'a> {
    /// The envelope that was proven.
    pub fn envelope(&self) -> &Envelope<'a> {
        &self.envelope
    }

    /// The signature that proved it.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Which secret matched: 0 is the current one.
    pub fn secret_position(&self) -> u8 {
        self.secret_position
    }
}

/// Proves `envelope` with `secrets`, in constant time per secret.
///
/// # Errors
/// `signature_wrong` if no secret in force yields `signature`.
pub fn verify<'a>(
    envelope: Envelope<'a>,
    signature: Signature,
    secrets: &SecretSet,
) -> Result<Verified<'a>, Rejection> {
    let message = envelope.signed_data.as_bytes();
    let claimed = signature.0.into();
    let position = secrets
        .keys()
        .position(|key| key.over(message).verify(&claimed).is_ok())
        .ok_or(Rejection::SignatureWrong)?;
    Ok(Verified {
        envelope,
        signature,
        secret_position: u8::try_from(position).unwrap_or(u8::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn read(values: &[&str]) -> Result<Signature, Rejection> {
        Signature::from_headers(values.iter().map(|value| value.as_bytes()))
    }

    fn position(
        signed_data: &str,
        signature: Signature,
        secrets: &SecretSet,
    ) -> Result<u8, Rejection> {
        let body = format!("{{\"signedData\":\"{signed_data}\"}}");
        let envelope = Envelope::parse(body.as_bytes()).unwrap();
        verify(envelope, signature, secrets).map(|verified| verified.secret_position())
    }

    #[test]
    fn a_set_holds_its_secrets_and_nothing_else() {
        let set = SecretSet::from_file(b"new\r\n\nold\n").unwrap();
        for (secret, expected) in [
            ("new", true),
            ("old", true),
            ("", false),
            ("ne", false),
            ("newer", false),
            ("NEW", false),
            ("new\r", false),
            ("new old", false),
        ] {
            assert_eq!(set.holds(secret.as_bytes()), expected, "{secret:?}");
        }
    }

    #[test]
    fn the_prefix_is_optional_and_hex_comes_in_either_case() {
        for value in [
            HEX.to_owned(),
            format!("sha256={HEX}"),
            HEX.to_uppercase(),
            format!("sha256={}", HEX.to_uppercase()),
        ] {
            assert_eq!(read(&[&value]).unwrap().to_hex(), HEX);
        }
    }

    #[test]
    fn no_header_and_one_empty_header_are_missing() {
        assert_eq!(read(&[]), Err(Rejection::SignatureMissing));
        assert_eq!(read(&[""]), Err(Rejection::SignatureMissing));
    }

    #[test]
    fn everything_else_is_malformed() {
        let good = format!("sha256={HEX}");
        for values in [
            vec![good.as_str(), good.as_str()],
            vec!["", ""],
            vec![good.as_str(), ""],
            vec!["sha256="],
            vec!["x"],
        ] {
            assert_eq!(
                read(&values),
                Err(Rejection::SignatureMalformed),
                "{values:?}"
            );
        }
        for value in [
            format!("SHA256={HEX}"),
            format!("sha1={}", &HEX[..40]),
            format!("sha256= {HEX}"),
            format!("sha256={HEX},sha256={HEX}"),
            format!("{HEX}0"),
            format!("{HEX}00"),
            HEX[1..].to_owned(),
            HEX[2..].to_owned(),
            format!("{}g", &HEX[1..]),
            format!("sha256=sha256={HEX}"),
        ] {
            assert_eq!(
                read(&[&value]),
                Err(Rejection::SignatureMalformed),
                "{value}"
            );
        }
    }

    #[test]
    fn the_published_known_answer_is_computed() {
        // GitHub's documentation of its webhooks gives this triple.
        let secrets = SecretSet::single(b"It's a Secret to Everybody").unwrap();
        assert_eq!(secrets.sign(b"Hello, World!").to_hex(), HEX);
        assert_eq!(
            position("Hello, World!", read(&[HEX]).unwrap(), &secrets),
            Ok(0)
        );
        assert_eq!(
            position("Hello, World?", read(&[HEX]).unwrap(), &secrets),
            Err(Rejection::SignatureWrong)
        );
    }

    #[test]
    fn every_bit_of_the_signature_counts() {
        let secrets = SecretSet::single(b"k").unwrap();
        let right = secrets.sign(b"abc");
        for bit in 0..256 {
            let mut bytes = *right.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                position("abc", Signature::from_bytes(bytes), &secrets),
                Err(Rejection::SignatureWrong)
            );
        }
    }

    #[test]
    fn a_delivery_signed_with_an_earlier_secret_is_accepted() {
        let secrets = SecretSet::from_file(b"new\nold\r\nolder").unwrap();
        for (secret, expected) in [("new", 0), ("old", 1), ("older", 2)] {
            let signature = SecretSet::single(secret.as_bytes()).unwrap().sign(b"abc");
            assert_eq!(
                position("abc", signature, &secrets),
                Ok(expected),
                "{secret}"
            );
        }
        let other = SecretSet::single(b"other").unwrap().sign(b"abc");
        assert_eq!(
            position("abc", other, &secrets),
            Err(Rejection::SignatureWrong)
        );
    }

    #[test]
    fn nothing_but_line_ends_is_trimmed_from_a_secret_file() {
        let same = |contents: &[u8], secret: &[u8]| {
            SecretSet::from_file(contents).unwrap().sign(b"m")
                == SecretSet::single(secret).unwrap().sign(b"m")
        };
        assert!(same(b"\r\n\n s \t\r\n", b" s \t"));
        assert!(same(b"s\r", b"s\r"));
        assert!(same(b"s\r\r\n", b"s\r"));
        assert!(same("\u{feff}s\n".as_bytes(), "\u{feff}s".as_bytes()));
        assert!(same(
            "Þetta er leyndarmál".as_bytes(),
            "Þetta er leyndarmál".as_bytes()
        ));
        assert_eq!(SecretSet::from_file(b"a\n\n\r\nb\na\n").unwrap().count(), 2);
    }

    #[test]
    fn an_empty_secret_cannot_be_made() {
        assert_eq!(SecretSet::single(b"").err(), Some(NoSecret));
        for contents in [&b""[..], b"\n", b"\r\n\n\r\n"] {
            assert_eq!(SecretSet::from_file(contents).err(), Some(NoSecret));
        }
    }

    #[test]
    fn sets_are_equal_where_secrets_and_order_are_and_share_what_is_in_both() {
        let set = |contents: &str| SecretSet::from_file(contents.as_bytes()).unwrap();
        assert!(set("a\nb") == set("a\r\n\nb\na\n"));
        assert!(set("a\nb") != set("b\na"), "positions count");
        assert!(set("a\nb") != set("a"));
        assert!(set("a\nb").shares_with(&set("c\nb")) && set("c\nb").shares_with(&set("a\nb")));
        assert!(!set("a\nb").shares_with(&set("ab\nc")));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let printed = format!("{:?}", SecretSet::from_file(b"hunter2\nhunter3").unwrap());
        assert_eq!(printed, "SecretSet(2 in force)");
    }
}
