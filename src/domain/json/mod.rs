//! JSON cut into raw tokens, never re-encoded.
//!
//! **Guarantee.** `is_json` is the only judge of syntax: `serde_json`, in one pass without recursion, so that neither 100,000
//! levels nor `1e400000000` cost more than reading them. Everything else here walks a text that this judge has accepted and
//! hands out slices of it. Strings, numbers and literals therefore reach the record as ICR wrote them: lone surrogates,
//! `\u0000`, number spelling and escapes included, which no decode-and-encode would keep. On a text that nobody judged, the
//! walk still ends, in one pass and without a panic; what it yields is then without meaning.

mod shape;
mod string;
mod tokens;

pub(crate) use shape::{Flaw, check_shape};
pub use string::string_is;
pub(crate) use string::{content, is_string, same_string, text, unescape};
pub(crate) use tokens::{Token, tokens};

use serde::de::IgnoredAny;
use string::string_end;

/// Whether `text` is exactly one JSON text (RFC 8259), white space around it allowed.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Whether a JSON text or token is an object.
pub fn is_object(text: &str) -> bool {
    text.trim_start_matches(is_space_char).starts_with('{')
}

/// One member of an object, as raw tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key's token, quotes included.
    pub key: &'a str,
    /// The value's token, with the white space that may stand inside it.
    pub value: &'a str,
    /// Where `value` starts in the text that was walked.
    pub at: usize,
}

/// The members of an object in their order; none for a text that is no object.
pub fn members(object: &str) -> Members<'_> {
    let start = skip_space(object.as_bytes(), 0);
    let at = match object.as_bytes().get(start) {
        Some(b'{') => start + 1,
        _ => object.len(),
    };
    Members { text: object, at }
}

/// See [`members`].
pub struct Members<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let bytes = self.text.as_bytes();
        let mut key_start = skip_space(bytes, self.at);
        if bytes.get(key_start) == Some(&b',') {
            key_start = skip_space(bytes, key_start + 1);
        }
        if bytes.get(key_start) != Some(&b'"') {
            self.at = bytes.len();
            return None;
        }
        let key_end = string_end(bytes, key_start + 1);
        let colon = skip_space(bytes, key_end);
        let at = skip_space(bytes, colon + 1);
        let end = value_end(bytes, at);
        self.at = end;
        Some(Member {
            key: self.text.get(key_start..key_end)?,
            value: self.text.get(at..end)?,
            at,
        })
    }
}

/// Appends a token with the white space between its inner tokens dropped, and nothing else changed.
pub(crate) fn copy_compact(token: &str, out: &mut Vec<u8>) {
    let bytes = token.as_bytes();
    if !matches!(bytes.first(), Some(b'{' | b'[')) {
        out.extend_from_slice(bytes);
        return;
    }
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' {
            at = string_end(bytes, at + 1);
        } else if is_space(byte) {
            out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
            at = skip_space(bytes, at);
            copied = at;
        } else {
            at += 1;
        }
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn is_space_char(character: char) -> bool {
    matches!(character, ' ' | '\n' | '\r' | '\t')
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|&byte| is_space(byte)) {
        at += 1;
    }
    at
}

/// The end of the value that starts at `at`.
fn value_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at + 1),
        Some(b'{' | b'[') => container_end(bytes, at),
        _ => {
            let rest = bytes.get(at..).unwrap_or_default();
            let length = rest
                .iter()
                .position(|&byte| matches!(byte, b',' | b'}' | b']') || is_space(byte));
            at.min(bytes.len()) + length.unwrap_or(rest.len())
        }
    }
}

/// Counts brackets outside strings instead of recursing: the outer body may be nested to any depth.
fn container_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compact(text: &str) -> String {
        let mut out = Vec::new();
        copy_compact(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn members_come_in_order_as_raw_tokens() {
        let text = " { \"a\" : 1e400000000 ,\n\"b\\u0063\":\"x\\\"}\",\"d\":[1,{\"e\":\"]\"} ] , \"f\":null} ";
        let found: Vec<_> = members(text).map(|m| (m.key, m.value)).collect();
        assert_eq!(
            found,
            [
                ("\"a\"", "1e400000000"),
                ("\"b\\u0063\"", "\"x\\\"}\""),
                ("\"d\"", "[1,{\"e\":\"]\"} ]"),
                ("\"f\"", "null"),
            ]
        );
        for member in members(text) {
            assert!(text[member.at..].starts_with(member.value));
        }
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for text in ["", " ", "[]", "\"{\"", "null", "{}", " { } "] {
            assert_eq!(members(text).count(), 0, "{text}");
        }
    }

    #[test]
    fn compact_copying_drops_white_space_between_tokens_only() {
        assert_eq!(
            compact("{ \"a b\" : [ 1 , \" \\\" \" ,\t{ } ] ,\r\n\"c\":1.50E+3 }"),
            "{\"a b\":[1,\" \\\" \",{}],\"c\":1.50E+3}"
        );
        assert_eq!(compact("\" a \""), "\" a \"");
        assert_eq!(compact("-0.0"), "-0.0");
    }

    #[test]
    fn the_judge_takes_one_text_and_nothing_around_it() {
        for good in ["{}", " [1] ", "1e400000000", "\"\\ud800\"", "null"] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            "{}{}",
            "\u{feff}{}",
            "{a:1}",
            "01",
            "\"\n\"",
            "{\"a\":1,}",
            "NaN",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn a_hundred_thousand_levels_are_walked_without_recursion() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(is_json(&deep));
        assert_eq!(members(&deep).next().unwrap().value.len(), 200_000);
    }
}
