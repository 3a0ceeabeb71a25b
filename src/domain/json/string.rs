//! String tokens: where they end, what they say, whether two say the same.
//!
//! Comparison works on decoded text in which a lone surrogate keeps its identity (as three bytes, the encoding known as
//! WTF-8), so that `"\ud800"` and `"\ud801"` differ although neither is a Unicode string.

use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// What becomes of a surrogate escape without its partner.
#[derive(Clone, Copy, PartialEq)]
enum Lone {
    /// U+FFFD: what Node writes when such a string becomes UTF-8, hence what ICR signs.
    Replaced,
    /// Its three bytes: for comparison only.
    Kept,
}

/// Whether a token is a string.
pub(crate) fn is_string(token: &str) -> bool {
    token.starts_with('"')
}

/// The text of a string token: escapes resolved, a lone surrogate replaced by U+FFFD.
pub(crate) fn unescape(token: &str) -> Cow<'_, str> {
    let content = content(token);
    if memchr(b'\\', content.as_bytes()).is_none() {
        return Cow::Borrowed(content);
    }
    let decoded = decode(content, Lone::Replaced);
    Cow::Owned(match String::from_utf8(decoded) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// The text of a scalar: what a string says, and a number or a boolean as it is spelled. `None` for null, an object and an array.
pub(crate) fn text(token: &str) -> Option<Cow<'_, str>> {
    match token.as_bytes().first()? {
        b'"' => Some(unescape(token)),
        b'-' | b'0'..=b'9' | b't' | b'f' => Some(Cow::Borrowed(token)),
        _ => None,
    }
}

/// The text of a string token in a form fit for comparison.
pub(super) fn comparable(token: &str) -> Cow<'_, [u8]> {
    let content = content(token);
    if memchr(b'\\', content.as_bytes()).is_none() {
        Cow::Borrowed(content.as_bytes())
    } else {
        Cow::Owned(decode(content, Lone::Kept))
    }
}

/// Whether a string token says `text`.
pub fn string_is(token: &str, text: &str) -> bool {
    let content = content(token);
    content == text
        || (memchr(b'\\', content.as_bytes()).is_some()
            && decode(content, Lone::Kept) == text.as_bytes())
}

/// Whether two string tokens say the same.
pub(crate) fn same_string(one: &str, other: &str) -> bool {
    one == other || comparable(one) == comparable(other)
}

/// The end of a string whose first byte after the opening quote is at `at`: one past the closing quote.
pub(super) fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(rest) = bytes.get(at..) {
        match memchr2(b'"', b'\\', rest) {
            None => break,
            Some(length) if rest.get(length) == Some(&b'"') => return at + length + 1,
            Some(length) => at += length + 2,
        }
    }
    bytes.len()
}

/// What stands between the quotation marks of a string token, escapes as they are.
pub(crate) fn content(token: &str) -> &str {
    let opened = token.strip_prefix('"').unwrap_or(token);
    opened.strip_suffix('"').unwrap_or(opened)
}

fn decode(content: &str, lone: Lone) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len());
    let mut rest = content.as_bytes();
    while let Some(plain) = memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(plain);
        out.extend_from_slice(before);
        rest = decode_escape(escape, lone, &mut out);
    }
    out.extend_from_slice(rest);
    out
}

/// Decodes the escape at the start of `escape` and returns what follows it.
fn decode_escape<'a>(escape: &'a [u8], lone: Lone, out: &mut Vec<u8>) -> &'a [u8] {
    let (letter, rest) = match escape {
        [b'\\', letter, rest @ ..] => (*letter, rest),
        _ => return &[],
    };
    let byte = match letter {
        b'u' => return decode_unicode(rest, lone, out),
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        other => other,
    };
    out.push(byte);
    rest
}

fn decode_unicode<'a>(digits: &'a [u8], lone: Lone, out: &mut Vec<u8>) -> &'a [u8] {
    let Some((unit, rest)) = code_unit(digits) else {
        return digits;
    };
    if let 0xD800..=0xDBFF = unit
        && let [b'\\', b'u', second @ ..] = rest
        && let Some((low @ 0xDC00..=0xDFFF, after)) = code_unit(second)
    {
        let code = 0x10000 + ((u32::from(unit) - 0xD800) << 10) + (u32::from(low) - 0xDC00);
        push_char(char::from_u32(code), out);
        return after;
    }
    match (char::from_u32(u32::from(unit)), lone) {
        (None, Lone::Kept) => out.extend_from_slice(&[
            0xE0 | (unit >> 12) as u8,
            0x80 | ((unit >> 6) & 0x3F) as u8,
            0x80 | (unit & 0x3F) as u8,
        ]),
        (character, _) => push_char(character, out),
    }
    rest
}

fn push_char(character: Option<char>, out: &mut Vec<u8>) {
    let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn code_unit(digits: &[u8]) -> Option<(u16, &[u8])> {
    let (four, rest) = digits.split_first_chunk::<4>()?;
    let mut unit = 0u16;
    for &digit in four {
        unit = (unit << 4) | (char::from(digit).to_digit(16)? as u16);
    }
    Some((unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_is_resolved() {
        assert_eq!(
            unescape(r#""a\"\\\/\b\f\n\r\t\u00e9\u0000\ud83d\ude00z""#),
            "a\"\\/\u{8}\u{c}\n\r\té\u{0}😀z"
        );
        assert!(matches!(unescape("\"plain é\""), Cow::Borrowed("plain é")));
        assert_eq!(unescape("\"\""), "");
    }

    #[test]
    fn a_scalar_has_a_text_and_nothing_else_has() {
        for (token, said) in [
            (r#""a\u0062""#, "ab"),
            (r#""""#, ""),
            ("1.50", "1.50"),
            ("-0", "-0"),
            ("1E+3", "1E+3"),
            ("true", "true"),
            ("false", "false"),
        ] {
            assert_eq!(text(token).as_deref(), Some(said), "{token}");
        }
        for token in ["null", "{}", "[1]", ""] {
            assert_eq!(text(token), None, "{token}");
        }
    }

    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character() {
        for (token, text) in [
            (r#""\ud800""#, "\u{fffd}"),
            (r#""\udc00x""#, "\u{fffd}x"),
            (r#""\ud800\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud800\u0041""#, "\u{fffd}A"),
            (r#""\ud800\n""#, "\u{fffd}\n"),
            (r#""\udfff\udbff""#, "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(unescape(token), text, "{token}");
        }
    }

    #[test]
    fn lone_surrogates_keep_their_identity_in_comparisons() {
        assert!(same_string(r#""\ud800""#, r#""\uD800""#));
        assert!(!same_string(r#""\ud800""#, r#""\ud801""#));
        assert!(!same_string(r#""\ud800""#, "\"\u{fffd}\""));
        assert!(same_string(r#""\ud83d\ude00""#, "\"😀\""));
    }

    #[test]
    fn a_key_is_compared_decoded() {
        assert!(string_is("\"signedData\"", "signedData"));
        assert!(string_is(r#""signed\u0044ata""#, "signedData"));
        assert!(!string_is("\"signeddata\"", "signedData"));
        assert!(!string_is(r#""signed\\u0044ata""#, "signedData"));
    }

    #[test]
    fn a_string_ends_at_its_own_quote() {
        assert_eq!(string_end(br#"a\\" "#, 0), 4);
        assert_eq!(string_end(br#"a\"" "#, 0), 4);
        assert_eq!(string_end(br#"unfinished\"#, 0), 11);
        assert_eq!(string_end(b"", 0), 0);
    }

    #[test]
    fn broken_escapes_of_an_unjudged_text_do_no_harm() {
        for token in [
            "\"\\",
            "\"\\u",
            "\"\\u12",
            "\"\\uzzzz\"",
            "\"\\ud800\\u12\"",
            "\\",
            "\"",
        ] {
            let _ = unescape(token);
            let _ = comparable(token);
        }
    }
}
