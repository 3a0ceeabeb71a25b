//! A JSON text token by token, without recursion: to show a text in another layout, or with some of its values left out.

use super::string::string_end;
use super::{is_space, skip_space, value_end};

/// A token of a text that is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// `{` or `[`.
    Open(char),
    /// `}` or `]`.
    Close(char),
    /// Between two members or elements.
    Comma,
    /// Between key and value.
    Colon,
    /// A key, quotes included.
    Key(&'a str),
    /// A string that is a value, quotes included.
    String(&'a str),
    /// A number, `true`, `false` or `null`.
    Literal(&'a str),
}

/// The tokens of a text.
pub(crate) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

/// See [`Tokens`].
pub(crate) fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0 }
}

impl<'a> Tokens<'a> {
    /// After a key: passes the colon and the whole value, and gives the value.
    pub fn value(&mut self) -> &'a str {
        let bytes = self.text.as_bytes();
        let start = skip_space(bytes, skip_space(bytes, self.at) + 1);
        let end = value_end(bytes, start);
        self.at = end;
        self.text.get(start..end).unwrap_or_default()
    }

    fn take(&mut self, end: usize) -> &'a str {
        let token = self.text.get(self.at..end).unwrap_or_default();
        self.at = end;
        token
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let bytes = self.text.as_bytes();
        self.at = skip_space(bytes, self.at);
        let byte = *bytes.get(self.at)?;
        let single = match byte {
            b'{' | b'[' => Token::Open(char::from(byte)),
            b'}' | b']' => Token::Close(char::from(byte)),
            b',' => Token::Comma,
            b':' => Token::Colon,
            b'"' => {
                let token = self.take(string_end(bytes, self.at + 1));
                // Only a key is followed by a colon.
                let is_key = bytes.get(skip_space(bytes, self.at)) == Some(&b':');
                return Some(match is_key {
                    true => Token::Key(token),
                    false => Token::String(token),
                });
            }
            _ => {
                let ends = |byte: &u8| is_space(*byte) || matches!(byte, b',' | b':' | b'}' | b']');
                let rest = bytes.get(self.at..).unwrap_or_default();
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                return Some(Token::Literal(self.take(self.at + length.max(1))));
            }
        };
        self.at += 1;
        Some(single)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_into_its_tokens() {
        use Token::{Close, Colon, Comma, Key, Literal, Open, String};
        let found: Vec<_> = tokens(" { \"a\" : [ 1e5,null , \"x:\" ] } ").collect();
        assert_eq!(
            found,
            [
                Open('{'),
                Key("\"a\""),
                Colon,
                Open('['),
                Literal("1e5"),
                Comma,
                Literal("null"),
                Comma,
                String("\"x:\""),
                Close(']'),
                Close('}'),
            ]
        );
    }

    #[test]
    fn a_value_is_passed_whole() {
        let mut tokens = tokens(r#"{"a" : {"b":[1,"}"]} ,"c":2}"#);
        assert_eq!(tokens.nth(1), Some(Token::Key("\"a\"")));
        assert_eq!(tokens.value(), r#"{"b":[1,"}"]}"#);
        assert_eq!(tokens.next(), Some(Token::Comma));
        assert_eq!(tokens.next(), Some(Token::Key("\"c\"")));
        assert_eq!(tokens.value(), "2");
        assert_eq!(tokens.next(), Some(Token::Close('}')));
        assert_eq!(tokens.next(), None);
    }

    #[test]
    fn a_text_that_nobody_judged_is_walked_to_its_end() {
        for text in ["é", "\"", "{\"a\":", "]]]", "nul\u{0}l :"] {
            assert!(tokens(text).count() <= text.len(), "{text}");
        }
        let mut short = tokens("\"a\":");
        short.next();
        assert_eq!(short.value(), "");
    }
}
