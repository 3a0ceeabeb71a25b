//! The lenient base64 of `signedData`, against a plain decoder.

use crate::domain::normalize::{Redaction, normalize};
use crate::domain::reasons::QuarantineReason;
use base64::{Engine as _, prelude::BASE64_STANDARD};

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let understood = normalize(text, Redaction::default());
    match expected(text) {
        None => assert_eq!(understood, Err(QuarantineReason::SignedDataUndecodable)),
        Some(bytes) => {
            let plainly = BASE64_STANDARD.encode(bytes);
            assert_ne!(understood, Err(QuarantineReason::SignedDataUndecodable));
            assert_eq!(understood, normalize(&plainly, Redaction::default()));
        }
    }
}

/// Either alphabet, padding complete or absent, ASCII white space anywhere, left-over bits ignored.
fn expected(text: &str) -> Option<Vec<u8>> {
    let mut sextets = Vec::new();
    let mut padding = 0;
    for character in text.chars() {
        let sextet = match character {
            'A'..='Z' => character as u32 - 'A' as u32,
            'a'..='z' => character as u32 - 'a' as u32 + 26,
            '0'..='9' => character as u32 - '0' as u32 + 52,
            '+' | '-' => 62,
            '/' | '_' => 63,
            ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' => continue,
            '=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        sextets.push(sextet);
    }
    let complete = match sextets.len() % 4 {
        0 => 0,
        2 => 2,
        3 => 1,
        _ => return None,
    };
    if padding != 0 && padding != complete {
        return None;
    }
    let mut bytes = Vec::new();
    for group in sextets.chunks(4) {
        let bits =
            group.iter().fold(0, |bits, sextet| bits << 6 | sextet) << (6 * (4 - group.len()));
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}
