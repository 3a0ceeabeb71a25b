//! Bytes that a sender chose, in the form in which they may be shown.

use crate::domain::privacy::{Layout, Mask};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

/// Why a text is not shown.
const NOT_JSON: &str = "it is not JSON and may hold personal data";

/// A text in `--json`: its length, and one of the four.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Shown {
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<&'static str>,
}

impl Shown {
    pub(super) fn new(bytes: &[u8], mask: &Mask) -> Self {
        let mut shown = Self {
            bytes: bytes.len(),
            ..Self::default()
        };
        let text = std::str::from_utf8(bytes);
        match text
            .ok()
            .map(|text| (text, mask.json(text, Layout::Compact)))
        {
            Some((_, Some(json))) => {
                // Not every parser takes a number out of range, a lone surrogate, or a thousand levels.
                if serde_json::from_str::<serde_json::Value>(&json).is_ok() {
                    shown.json = RawValue::from_string(json).ok();
                } else {
                    shown.text = Some(json);
                }
            }
            _ if !mask.is_open() => shown.withheld = Some(NOT_JSON),
            Some((text, None)) => shown.text = Some(text.to_owned()),
            None => shown.base64 = Some(STANDARD.encode(bytes)),
        }
        shown
    }
}

/// The same for people: each line after `margin` spaces.
pub(super) fn pretty(bytes: &[u8], mask: &Mask, margin: usize) -> String {
    let text = std::str::from_utf8(bytes);
    let json = text
        .ok()
        .and_then(|text| mask.json(text, Layout::Pretty(margin)));
    match json {
        Some(json) => json,
        None if mask.is_open() => crate::domain::printable::printable_bytes(bytes).into_owned(),
        None => format!("(withheld: {NOT_JSON}; --show-personal-data shows it)"),
    }
}
