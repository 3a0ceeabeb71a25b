//! From the text of `signedData` to the bytes of the payload.
//!
//! ICR writes standard padded base64. The HMAC covers that text untouched, so decoding may be lenient without weakening the
//! proof, and an authentic delivery should not be lost to its spelling: either alphabet (mixed, too), padding complete or
//! absent, ASCII white space anywhere. Bits left over in the last digit are ignored, as Node, ICR's own language, does.

use base64::Engine as _;
use base64::engine::{GeneralPurposeConfig, general_purpose::GeneralPurpose};
use std::sync::LazyLock;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
type FastEngine = base64::engine::Simd;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type FastEngine = GeneralPurpose;

/// What ICR sends, at the speed of the machine's vector instructions where it has them.
static FAST: LazyLock<FastEngine> = LazyLock::new(|| {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    let engine = FastEngine::standard(config);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let engine = FastEngine::new(&base64::alphabet::STANDARD, config);
    engine
});

/// What is left after the lenient rules have been applied: the standard alphabet without padding.
static PLAIN: LazyLock<GeneralPurpose> = LazyLock::new(|| {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&base64::alphabet::STANDARD, config)
});

/// Decodes `signedData`; `None` if it is not base64 even by the lenient rules.
pub(crate) fn decode(signed_data: &str) -> Option<Vec<u8>> {
    FAST.decode(signed_data)
        .ok()
        .or_else(|| decode_leniently(signed_data))
}

fn decode_leniently(signed_data: &str) -> Option<Vec<u8>> {
    let mut digits = Vec::with_capacity(signed_data.len());
    let mut padding = 0;
    for byte in signed_data.bytes() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {}
            b'=' => padding += 1,
            _ if padding > 0 => return None,
            b'-' => digits.push(b'+'),
            b'_' => digits.push(b'/'),
            digit => digits.push(digit),
        }
    }
    if padding > 0 && (padding > 2 || (digits.len() + padding) % 4 != 0) {
        return None;
    }
    PLAIN.decode(&digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_any_padding_and_white_space_are_decoded() {
        let bytes = [0xfb, 0xff, 0xbf, 0x01];
        for text in [
            "+/+/AQ==",
            "-_-_AQ==",
            "+_-/AQ==",
            "+/+/AQ",
            "-_-_AQ",
            " +/+/\r\nAQ\t=\n= ",
            "+/\u{b}+/\u{c}AQ==",
        ] {
            assert_eq!(decode(text).as_deref(), Some(&bytes[..]), "{text:?}");
        }
        assert_eq!(decode("").as_deref(), Some(&[][..]));
        assert_eq!(decode(" \n").as_deref(), Some(&[][..]));
    }

    #[test]
    fn left_over_bits_are_ignored_on_both_paths() {
        assert_eq!(decode("YR==").as_deref(), Some(&b"a"[..]));
        assert_eq!(decode("YR").as_deref(), Some(&b"a"[..]));
    }

    #[test]
    fn anything_else_is_undecodable() {
        for text in [
            "Hello, World!",
            "A",
            "AAAAA",
            "AQ=",
            "AQ===",
            "AQ==AQ==",
            "AAA==",
            "AAAA=",
            "=",
            "==",
            "====",
            "AQ=\u{0}=",
            "AQ\u{a0}==",
            "é",
            "AA.A",
        ] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
