//! The outer JSON of a delivery.
//!
//! **Guarantee.** A body is read just far enough to find the one string `signedData`: nothing else in it is authenticated, so
//! nothing else in it can make an authentic delivery fail. It may be nested to any depth and repeat any other key. What must
//! hold is that the body is one JSON object in UTF-8 (a byte order mark before it is ignored) and that there is no doubt about which
//! string was signed.

use super::json;
use super::reasons::Rejection;
use super::signed_data;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::ops::Range;

/// The outer JSON, read just far enough: nothing outside `signedData` is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The value of `signedData`, JSON escapes resolved: what ICR signs.
    pub(crate) signed_data: Cow<'a, str>,
    /// Where its raw JSON token (quotes included) stands in the body.
    pub(crate) token: Range<usize>,
    /// What stands beside it.
    outer: Outer<'a>,
}

/// What a body says of itself beside `signedData`, as raw tokens: nobody has signed it. A repeated key keeps its first value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outer<'a> {
    event: Option<&'a str>,
    installation: Option<&'a str>,
    transaction: Option<&'a str>,
    sender: Option<&'a str>,
}

impl<'a> Outer<'a> {
    fn see(&mut self, name: &str, value: &'a str) {
        let place = match name {
            "event" => &mut self.event,
            "installation" => &mut self.installation,
            "transaction" => &mut self.transaction,
            "sender" => &mut self.sender,
            _ => return,
        };
        place.get_or_insert(value);
    }

    /// Those that are there, by their names.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let all = [
            ("event", self.event),
            ("installation", self.installation),
            ("transaction", self.transaction),
            ("sender", self.sender),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }

    pub(super) fn installation(&self) -> Option<&'a str> {
        self.installation
    }
}

impl<'a> Envelope<'a> {
    /// Parses a body (already inflated).
    ///
    /// The `signedData` key is compared decoded. A lone surrogate escape in the value becomes U+FFFD, as in the UTF-8 that
    /// ICR's Node signs.
    ///
    /// # Errors
    /// `body_not_json`, `body_not_object`, `duplicate_key`, `signed_data_missing` or `signed_data_not_string`.
    pub fn parse(body: &'a [u8]) -> Result<Self, Rejection> {
        let text = std::str::from_utf8(body).map_err(|_| Rejection::BodyNotJson)?;
        // RFC 8259, section 8.1: a parser may ignore it. What is signed is a string inside, so nothing is weakened.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let begin = body.len() - text.len();
        if !json::is_json(text) {
            return Err(Rejection::BodyNotJson);
        }
        if !json::is_object(text) {
            return Err(Rejection::BodyNotObject);
        }
        let (mut found, mut outer) = (None, Outer::default());
        for member in json::members(text) {
            match &*json::unescape(member.key) {
                "signedData" if found.is_some() => return Err(Rejection::DuplicateKey),
                "signedData" => found = Some(member),
                name => outer.see(name, member.value),
            }
        }
        let member = found.ok_or(Rejection::SignedDataMissing)?;
        if !json::is_string(member.value) {
            return Err(Rejection::SignedDataNotString);
        }
        Ok(Self {
            signed_data: json::unescape(member.value),
            token: begin + member.at..begin + member.at + member.value.len(),
            outer,
        })
    }

    /// Takes the envelope of a body that was parsed before, from where its token stood; `None` if no string stands there. Nothing else
    /// of the body is looked at.
    pub fn restore(body: &'a [u8], token: Range<usize>) -> Option<Self> {
        let raw = std::str::from_utf8(body.get(token.clone())?).ok()?;
        if raw.len() < 2 || !raw.starts_with('"') || !raw.ends_with('"') {
            return None;
        }
        Some(Self {
            signed_data: json::unescape(raw),
            token,
            outer: Outer::default(),
        })
    }

    /// The value of `signedData`.
    pub fn signed_data(&self) -> &str {
        &self.signed_data
    }

    /// What the body says of itself beside it; nothing where the envelope was restored.
    pub fn outer(&self) -> Outer<'a> {
        self.outer
    }

    /// The payload's bytes: what `signedData` encodes; `None` where it is not base64, even by the lenient rules.
    pub fn payload(&self) -> Option<Vec<u8>> {
        signed_data::decode(&self.signed_data)
    }

    /// Where the raw token stands in the body.
    pub fn token(&self) -> Range<usize> {
        self.token.clone()
    }

    /// SHA-256 of `signedData`: the same whichever replica takes the delivery.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(self.signed_data.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(body: &str) -> Rejection {
        Envelope::parse(body.as_bytes()).unwrap_err()
    }

    fn signed_data(body: &str) -> String {
        Envelope::parse(body.as_bytes())
            .unwrap()
            .signed_data()
            .to_owned()
    }

    #[test]
    fn a_body_that_is_not_one_json_text_is_rejected() {
        for body in [
            "",
            " ",
            "{",
            "{}{}",
            "{\"signedData\":\"a\"}x",
            "\u{feff}\u{feff}{\"signedData\":\"a\"}",
            " \u{feff}{\"signedData\":\"a\"}",
            "{\"signedData\":\"a\"}\u{feff}",
            "\u{feff}",
            "{'signedData':'a'}",
        ] {
            assert_eq!(reason(body), Rejection::BodyNotJson, "{body}");
        }
        assert_eq!(
            Envelope::parse(b"{\"x\":\"\xff\",\"signedData\":\"a\"}"),
            Err(Rejection::BodyNotJson)
        );
    }

    #[test]
    fn a_body_that_is_no_object_is_rejected() {
        for body in [
            "[]",
            "\"signedData\"",
            "null",
            " 1 ",
            "[{\"signedData\":\"a\"}]",
        ] {
            assert_eq!(reason(body), Rejection::BodyNotObject, "{body}");
        }
    }

    #[test]
    fn signed_data_must_be_one_string_at_the_root() {
        for body in [
            "{}",
            "{\"a\":{\"signedData\":\"x\"}}",
            "{\"signeddata\":\"x\"}",
            "{\"a\":\"signedData\"}",
        ] {
            assert_eq!(reason(body), Rejection::SignedDataMissing, "{body}");
        }
        for body in [
            "{\"signedData\":null}",
            "{\"signedData\":1}",
            "{\"signedData\":[\"a\"]}",
            "{\"signedData\":{}}",
        ] {
            assert_eq!(reason(body), Rejection::SignedDataNotString, "{body}");
        }
        for body in [
            r#"{"signedData":"a","signedData":"a"}"#,
            r#"{"signedData":"a","x":1,"signed\u0044ata":"b"}"#,
            r#"{"signedData":1,"signedData":"b"}"#,
        ] {
            assert_eq!(reason(body), Rejection::DuplicateKey, "{body}");
        }
    }

    #[test]
    fn signed_data_is_unescaped_and_its_token_located() {
        let body = r#" {"x":[1], "signed\u0044ata" : "a\/b\u003d\ud83d\ude00" }"#;
        let envelope = Envelope::parse(body.as_bytes()).unwrap();
        assert_eq!(envelope.signed_data(), "a/b=😀");
        assert_eq!(&body[envelope.token()], r#""a\/b\u003d\ud83d\ude00""#);
        assert_eq!(
            Envelope::restore(body.as_bytes(), envelope.token()),
            Some(envelope)
        );
        assert_eq!(signed_data(r#"{"signedData":""}"#), "");
        assert_eq!(signed_data(r#"{"signedData":"\ud800"}"#), "\u{fffd}");
    }

    #[test]
    fn a_byte_order_mark_before_the_body_is_ignored_and_the_token_is_found_behind_it() {
        let body = "\u{feff} {\"event\":\"x\",\"signedData\":\"a\\/b\"} ".as_bytes();
        let envelope = Envelope::parse(body).unwrap();
        assert_eq!(envelope.signed_data(), "a/b");
        assert_eq!(&body[envelope.token()], br#""a\/b""#);
        let restored = Envelope::restore(body, envelope.token()).unwrap();
        assert_eq!(restored.signed_data(), "a/b");
    }

    #[test]
    fn other_keys_may_repeat_and_nest_to_any_depth() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let body = format!(
            "{{\"a\":{deep},\"a\":1e400000000,\"a\":\"\\ud800\",\"signedData\":\"x\",\"a\":{{\"b\":1,\"b\":2}}}}"
        );
        assert_eq!(signed_data(&body), "x");
    }

    #[test]
    fn what_stands_beside_is_kept_as_raw_tokens_a_repeated_key_with_its_first_value() {
        let body = br#"{"event":1,"signedData":"x","e\u0076ent":2,"other":3,"sender":{ "id":4}}"#;
        let envelope = Envelope::parse(body).unwrap();
        let members: Vec<_> = envelope.outer().members().collect();
        assert_eq!(members, [("event", "1"), ("sender", r#"{ "id":4}"#)]);
        let restored = Envelope::restore(body, envelope.token()).unwrap();
        assert_eq!(restored.outer(), Outer::default());
    }

    #[test]
    fn a_token_that_is_no_string_restores_nothing() {
        let body = b"{\"signedData\":\"x\xff\"}";
        for token in [0..1, 14..15, 14..16, 14..100, 14..18] {
            assert_eq!(Envelope::restore(body, token), None);
        }
        let reversed = Range { start: 20, end: 14 };
        assert_eq!(Envelope::restore(body, reversed), None);
    }

    #[test]
    fn the_fingerprint_is_the_sha_256_of_the_unescaped_value() {
        let envelope = Envelope::parse(br#"{"signedData":"\u0061bc"}"#).unwrap();
        assert_eq!(
            hex::encode(envelope.fingerprint()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
