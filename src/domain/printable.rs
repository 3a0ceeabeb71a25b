//! Text for a terminal: nothing that a sender chose may move the cursor, change colours or reverse what is read.
//!
//! Besides the control characters (C0, DEL and C1, where U+009B alone begins a command) these are the characters that separate lines,
//! change the direction of writing or have no width, with which a text can pretend to be another.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal may do something other than show it.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A text with such characters written as escapes, `\u{1b}` for one.
pub fn printable(text: &str) -> Cow<'_, str> {
    replaced(text, |character, out| {
        // Writing to a string does not fail.
        let _ = write!(out, "{}", character.escape_unicode());
    })
}

/// Bytes of a text: as [`printable`], and what is no UTF-8 as `\xff`.
pub fn printable_bytes(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => printable(text),
        Err(_) => Cow::Owned(bytes.escape_ascii().to_string()),
    }
}

/// JSON (a text in one line, or a string's token) with such characters written as JSON's own escapes, so that it says the same as
/// before.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    replaced(json, |character, out| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

fn replaced(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hostile(character) {
            escape(character, &mut out);
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        for (text, shown) in [
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("a\r\nb\tc\u{7}", "a\\u{d}\\u{a}b\\u{9}c\\u{7}"),
            ("\u{202e}evil\u{7f}", "\\u{202e}evil\\u{7f}"),
            ("x\u{200d}\u{feff}y", "x\\u{200d}\\u{feff}y"),
        ] {
            assert_eq!(printable(text), shown);
        }
        let harmless = "Kolefnisjöfnun ehf. 日本 😀 \\u{1b} ~";
        assert!(matches!(printable(harmless), Cow::Borrowed(_)));
    }

    #[test]
    fn bytes_that_are_no_text_are_written_out() {
        assert_eq!(printable_bytes(b"a\xff\x1b"), "a\\xff\\x1b");
        assert_eq!(printable_bytes("é\u{1b}".as_bytes()), "é\\u{1b}");
    }

    #[test]
    fn a_json_token_says_the_same_afterwards() {
        let text = "a\u{7f}\u{9b}\u{2028}\u{202e}\u{e0041}é";
        let token = format!("\"{text}\"");
        let shown = printable_json(&token);
        assert_eq!(shown, "\"a\\u007f\\u009b\\u2028\\u202e\\udb40\\udc41é\"");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
}
