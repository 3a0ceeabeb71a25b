//! An object taken apart into the fields that the contract names and those it doesn't, and written back in the contract's order.
//!
//! **Guarantee.** A named field is of its [`Kind`] or null, whatever ICR sent. A number or a boolean where a text belongs becomes its
//! text, exactly as it was spelled. What fits no text, time or permissions is not lost: it stands unchanged, at its place among the
//! other fields of the same object, under the field's name with an underscore in front, or with as many as no other field has.

use super::json;
use super::time::is_time;
use std::borrow::Cow;
use std::collections::HashSet;

/// What a named field may be beside null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A string that [`is_time`].
    Time,
    /// An object whose values are strings.
    Permissions,
    /// Anything: the caller judges it.
    Unjudged,
}

/// A value as its kind demands it.
pub(super) struct Fitted<'a> {
    /// The token to write under the field's own name; none for null.
    pub token: Option<Cow<'a, str>>,
    /// Whether the token says all that the value says. If not, the value must be kept beside it.
    pub is_whole: bool,
}

impl Kind {
    /// Fits a value's token.
    pub fn fit(self, value: &str) -> Fitted<'_> {
        let token = match self {
            Self::Unjudged => Some(Cow::Borrowed(value)),
            Self::Text => text_token(value),
            Self::Time => Some(Cow::Borrowed(value))
                .filter(|_| json::is_string(value) && is_time(&json::unescape(value))),
            Self::Permissions if json::is_object(value) => return permissions(value),
            Self::Permissions => None,
        };
        Fitted {
            is_whole: token.is_some() || value == "null",
            token,
        }
    }
}

/// The token of a scalar's text: a string as it is, a number or a boolean in quotation marks.
fn text_token(value: &str) -> Option<Cow<'_, str>> {
    if json::is_string(value) {
        return Some(Cow::Borrowed(value));
    }
    json::text(value).map(|text| Cow::Owned(format!("\"{text}\"")))
}

/// The entries that have a text.
fn permissions(object: &str) -> Fitted<'_> {
    let mut is_whole = true;
    if json::members(object).all(|member| json::is_string(member.value)) {
        return Fitted {
            token: Some(Cow::Borrowed(object)),
            is_whole,
        };
    }
    let mut token = String::with_capacity(object.len());
    for member in json::members(object) {
        match text_token(member.value) {
            Some(text) => {
                token.push(if token.is_empty() { '{' } else { ',' });
                token.push_str(member.key);
                token.push(':');
                token.push_str(&text);
            }
            None => is_whole = false,
        }
    }
    token.push_str(if token.is_empty() { "{}" } else { "}" });
    Fitted {
        token: Some(Cow::Owned(token)),
        is_whole,
    }
}

/// A field that is written as it came.
#[derive(Debug)]
pub(super) struct Further<'a> {
    /// The key's token.
    pub key: &'a str,
    /// The value's token.
    pub value: &'a str,
    /// The name that it had and the contract gives to something else, if so.
    pub displaced: Option<&'static str>,
}

/// Writes fields behind those that the contract names.
pub(super) fn write_further(fields: &[Further<'_>], out: &mut Vec<u8>) {
    for field in fields {
        out.push(b',');
        match field.displaced {
            Some(name) => write_name(&free_name(fields, name), out),
            None => {
                out.extend_from_slice(field.key.as_bytes());
                out.push(b':');
            }
        }
        json::copy_compact(field.value, out);
    }
}

/// `_<name>`, with as many more underscores as it takes not to collide with another field of the object.
fn free_name(fields: &[Further<'_>], name: &str) -> String {
    let underscores = |field: &Further<'_>| {
        let key = json::unescape(field.key);
        let before = key.strip_suffix(name)?;
        before
            .bytes()
            .all(|byte| byte == b'_')
            .then_some(before.len())
    };
    // One pass: an object full of such names must not take longer than another.
    let taken: HashSet<usize> = fields.iter().filter_map(underscores).collect();
    let free = (1..).find(|count| !taken.contains(count)).unwrap_or(1);
    "_".repeat(free) + name
}

/// The names of an object's fields, each with its kind.
pub(super) type Names<const N: usize> = [(&'static str, Kind); N];

/// The fields of an object: the named ones by position, the others in their order.
#[derive(Debug)]
pub(super) struct Fields<'a, const N: usize> {
    names: &'static Names<N>,
    /// The token of each named field that is there and fits, in the order of the names.
    pub known: [Option<Cow<'a, str>>; N],
    /// All other fields, as they stand.
    pub further: Vec<Further<'a>>,
}

impl<'a, const N: usize> Fields<'a, N> {
    /// Takes an object apart. Its keys are known not to repeat.
    pub fn split(object: &'a str, names: &'static Names<N>) -> Self {
        let mut fields = Self {
            names,
            known: std::array::from_fn(|_| None),
            further: Vec::new(),
        };
        for member in json::members(object) {
            let mut slots = names.iter().zip(&mut fields.known);
            let mut displaced = None;
            let named = position(names, member.key).and_then(|index| slots.nth(index));
            if let Some(((name, kind), slot)) = named {
                let fitted = kind.fit(member.value);
                *slot = fitted.token;
                if fitted.is_whole {
                    continue;
                }
                displaced = Some(*name);
            }
            fields.further.push(Further {
                key: member.key,
                value: member.value,
                displaced,
            });
        }
        fields
    }

    /// Writes the object: named fields first, `null` where there is none, then the others.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut separator = b'{';
        for ((name, _), value) in self.names.iter().zip(&self.known) {
            out.push(separator);
            write_name(name, out);
            json::copy_compact(value.as_deref().unwrap_or("null"), out);
            separator = b',';
        }
        write_further(&self.further, out);
        out.push(b'}');
    }
}

/// Which of the names a key's token says. ICR escapes none, so the token itself is compared first.
fn position<const N: usize>(names: &Names<N>, key: &str) -> Option<usize> {
    let is = |text: &str| names.iter().position(|(name, _)| *name == text);
    let content = json::content(key);
    is(content).or_else(|| match json::unescape(key) {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => is(&text),
    })
}

/// Writes a key that needs no escapes, and the colon.
pub(super) fn write_name(name: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}
