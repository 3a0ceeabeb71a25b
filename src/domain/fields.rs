//! An object taken apart into the fields that the contract names and those it doesn't, and written back in the contract's order.
//!
//! Nothing is interpreted here: values are raw tokens, so a field of an unexpected type passes like any other.

use super::json::{self, Member};
use std::borrow::Cow;

/// The fields of an object: the named ones by position, the others in their order.
#[derive(Debug)]
pub(super) struct Fields<'a, const N: usize> {
    names: &'static [&'static str; N],
    /// The raw token of each named field that is present, in the order of the names.
    pub known: [Option<Cow<'a, str>>; N],
    /// All other fields, as they stand.
    pub unknown: Vec<Member<'a>>,
}

impl<'a, const N: usize> Fields<'a, N> {
    /// Takes an object apart. Its keys are known not to repeat.
    pub fn split(object: &'a str, names: &'static [&'static str; N]) -> Self {
        let mut fields = Self {
            names,
            known: std::array::from_fn(|_| None),
            unknown: Vec::new(),
        };
        for member in json::members(object) {
            let key = json::unescape(member.key);
            let slots = names.iter().zip(&mut fields.known);
            match slots.into_iter().find(|(name, _)| **name == key) {
                Some((_, slot)) => *slot = Some(Cow::Borrowed(member.value)),
                None => fields.unknown.push(member),
            }
        }
        fields
    }

    /// Writes the object: named fields first, `null` where absent, then the others.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut separator = b'{';
        for (name, value) in self.names.iter().zip(&self.known) {
            out.push(separator);
            write_name(name, out);
            json::copy_compact(value.as_deref().unwrap_or("null"), out);
            separator = b',';
        }
        for member in &self.unknown {
            out.push(separator);
            out.extend_from_slice(member.key.as_bytes());
            out.push(b':');
            json::copy_compact(member.value, out);
            separator = b',';
        }
        out.push(b'}');
    }
}

/// Writes a key that needs no escapes, and the colon.
pub(super) fn write_name(name: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}
