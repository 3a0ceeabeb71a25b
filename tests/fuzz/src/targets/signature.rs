//! The signature header, secret files, and the proof itself.
//!
//! Input: lines. They are taken for header values and for a secret file, the first one for `signedData` as well.

use crate::domain::envelope::Envelope;
use crate::domain::reasons::Rejection;
use crate::domain::signature::{SecretSet, Signature, verify};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub fn check(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
    headers(&lines);
    secrets(data);
    if let Ok(text) = std::str::from_utf8(lines[0]) {
        proof(text, data);
    }
}

fn headers(values: &[&[u8]]) {
    for count in 0..=values.len().min(3) {
        let values = &values[..count];
        let read = Signature::from_headers(values.iter().copied());
        let expected = match values {
            [] | [[]] => Err(Rejection::SignatureMissing),
            [value] => hexadecimal(value).ok_or(Rejection::SignatureMalformed),
            _ => Err(Rejection::SignatureMalformed),
        };
        assert_eq!(read.map(|signature| *signature.as_bytes()), expected);
    }
}

/// 64 hexadecimal digits in either case, with or without `sha256=` before them.
fn hexadecimal(value: &[u8]) -> Option<[u8; 32]> {
    let digits = match value.len() {
        64 => value,
        71 if &value[..7] == b"sha256=" => &value[7..],
        _ => return None,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(bytes)
}

/// The lines of a secret file as one would read them.
fn lines_of(file: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = Vec::new();
    let mut rest = file;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let line = &rest[..end];
        lines.push(line.strip_suffix(b"\r").unwrap_or(line));
        rest = &rest[end + 1..];
    }
    lines.push(rest);
    lines.retain(|line| !line.is_empty());
    lines
}

fn mac(secret: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn secrets(file: &[u8]) {
    let set = SecretSet::from_file(file);
    let lines = lines_of(file);
    let Some(current) = lines.first() else {
        assert!(set.is_err());
        return;
    };
    let set = set.unwrap();
    assert_eq!(set.sign(b"m").as_bytes(), &mac(current, b"m"));
    for (place, line) in lines.iter().enumerate() {
        // A secret's place is its first, among those that differ as keys of an HMAC.
        let mut earlier: Vec<_> = Vec::new();
        for other in &lines[..place] {
            let check = mac(other, b"");
            if !earlier.contains(&check) {
                earlier.push(check);
            }
        }
        let known = earlier.iter().position(|check| *check == mac(line, b""));
        let envelope = Envelope::parse(br#"{"signedData":"m"}"#).unwrap();
        let proven = verify(envelope, Signature::from_bytes(mac(line, b"m")), &set).unwrap();
        let expected = known.unwrap_or(earlier.len()).min(255);
        assert_eq!(usize::from(proven.secret_position()), expected);
    }
}

/// A delivery is proven by its own signature and by no other.
fn proof(signed_data: &str, data: &[u8]) {
    let secrets = SecretSet::single(b"secret").unwrap();
    let body = serde_json::to_vec(&serde_json::json!({ "signedData": signed_data })).unwrap();
    let right = mac(b"secret", signed_data.as_bytes());
    let verdict = |signature| {
        let envelope = Envelope::parse(&body).unwrap();
        verify(envelope, Signature::from_bytes(signature), &secrets).map(|_| ())
    };
    assert_eq!(verdict(right), Ok(()));
    let mut wrong = right;
    wrong[data.len() % 32] ^= data.last().copied().unwrap_or(0).max(1);
    assert_eq!(verdict(wrong), Err(Rejection::SignatureWrong));
}
