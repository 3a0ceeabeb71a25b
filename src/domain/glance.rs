//! The shallow look that ingress takes at a proven payload: for duplicates, the tag and two metrics. It may fail, and refuses nothing.
//!
//! It stands on the path of the 202, so it judges no syntax: on a payload that is no JSON it may see something or nothing.
//! Whoever acts on it (a duplicate is answered and not stored) has the payload understood first.
//!
//! The same look serves for what a body or payload that is *not* proven claims to be about: which app, which installation. Of these
//! only hashes are handed out, to be compared with those of proven deliveries.

use super::envelope::{Envelope, Outer};
use super::event::{self, EventKind};
use super::tag::Tag;
use super::{json, signed_data};
use std::borrow::Cow;

/// What a shallow look saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Glance {
    /// The kind of event; `None` where there is no well-formed event name to be seen.
    pub kind: Option<EventKind>,
    /// A hash of the installation's id, where there is one.
    pub installation: Option<u64>,
    /// A hash of the app's id, where there is one.
    pub app_id: Option<u64>,
    /// Whether a field that stands both outside and inside `signedData` differs.
    pub outer_mismatch: bool,
}

/// Looks at the payload in an envelope, and at what stands beside it.
pub fn glance(envelope: &Envelope<'_>) -> Glance {
    let payload = envelope.payload();
    let payload = payload.as_deref().and_then(as_text).unwrap_or_default();
    let inner = View::of(payload);
    Glance {
        kind: inner.kind(),
        installation: hash_of_id(inner.fields.get(field::INSTALLATION_ID).copied().flatten()),
        app_id: hash_of_id(inner.app_id),
        outer_mismatch: View::outside(&envelope.outer()).contradicts(&inner),
    }
}

/// What a payload calls itself, read as leniently as the glance: also of what cannot be normalized, for those who look for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// The event's name, whatever its form.
    pub event: Option<String>,
    /// The installation's id.
    pub installation: Option<String>,
    /// The organization's id.
    pub organization: Option<String>,
    /// The transaction's id.
    pub transaction: Option<String>,
}

/// Reads the names in a payload; what cannot be read is left out.
pub fn names(signed_data: &str) -> Names {
    let payload = signed_data::decode(signed_data);
    let view = View::of(payload.as_deref().and_then(as_text).unwrap_or_default());
    Names {
        event: view.text(field::EVENT),
        installation: view.text(field::INSTALLATION_ID),
        organization: view.text(field::ORGANIZATION_ID),
        transaction: view.text(field::TRANSACTION),
    }
}

/// What a delivery names, proven or not: hashes of its app's and its installation's id, where there are such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named {
    /// Of `installation.appId`.
    pub app_id: Option<u64>,
    /// Of `installation.id`.
    pub installation: Option<u64>,
}

impl Named {
    /// What stands outside, which nobody has signed: a hint, and cheap to have.
    pub fn outside(outer: &Outer<'_>) -> Self {
        Self::of(outer.installation())
    }

    /// What the payload in this `signedData` (already unescaped) names.
    pub fn inside(signed_data: &str) -> Self {
        let payload = signed_data::decode(signed_data);
        let text = payload.as_deref().and_then(as_text).unwrap_or_default();
        let installation =
            json::members(text).find(|member| json::string_is(member.key, "installation"));
        Self::of(installation.map(|member| member.value))
    }

    fn of(installation: Option<&str>) -> Self {
        let mut view = View::default();
        view.see_installation(installation.unwrap_or_default());
        Self {
            app_id: hash_of_id(view.app_id),
            installation: hash_of_id(view.fields.get(field::INSTALLATION_ID).copied().flatten()),
        }
    }
}

impl From<&Glance> for Named {
    fn from(glance: &Glance) -> Self {
        Self {
            app_id: glance.app_id,
            installation: glance.installation,
        }
    }
}

/// Of a text that is not empty, as a record has it; nothing else is an id.
fn hash_of_id(token: Option<&str>) -> Option<u64> {
    let id = json::text(token?)?;
    (!id.is_empty()).then(|| Tag::id_hash(&id))
}

fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// How many fields are compared.
const FIELDS: usize = 9;

/// Where each compared field stands in [`View::fields`].
mod field {
    pub(super) const EVENT: usize = 0;
    pub(super) const INSTALLATION_ID: usize = 1;
    pub(super) const ORGANIZATION_ID: usize = 2;
    pub(super) const TRANSACTION: usize = 3;
    pub(super) const SENDER_ID: usize = 8;
}

/// What is compared of a transaction, from [`field::TRANSACTION`] on.
const TRANSACTION_FIELDS: [&str; 5] = ["id", "status", "type", "amount", "creditId"];

/// What is looked at outside and in a payload, as raw tokens. A repeated key keeps its first value.
#[derive(Default)]
struct View<'a> {
    fields: [Option<&'a str>; FIELDS],
    /// `installation`, `installation.organization`, `transaction`, `sender`: present and not an object.
    odd: [Option<&'a str>; 4],
    /// The same four: present and an object.
    objects: [bool; 4],
    /// `installation.appId`; not compared.
    app_id: Option<&'a str>,
}

impl<'a> View<'a> {
    fn of(text: &'a str) -> Self {
        let mut view = Self::default();
        for member in json::members(text) {
            view.see(&json::unescape(member.key), member.value);
        }
        view
    }

    fn outside(outer: &Outer<'a>) -> Self {
        let mut view = Self::default();
        for (name, value) in outer.members() {
            view.see(name, value);
        }
        view
    }

    fn see(&mut self, name: &str, value: &'a str) {
        match name {
            "event" => self.set(field::EVENT, value),
            "installation" if self.enter(0, value) => self.see_installation(value),
            "transaction" if self.enter(2, value) => self.see_transaction(value),
            "sender" if self.enter(3, value) => self.see_id(field::SENDER_ID, value),
            _ => {}
        }
    }

    fn see_installation(&mut self, installation: &'a str) {
        for member in json::members(installation) {
            match &*json::unescape(member.key) {
                "id" => self.set(field::INSTALLATION_ID, member.value),
                "appId" => {
                    self.app_id.get_or_insert(member.value);
                }
                "organization" if self.enter(1, member.value) => {
                    self.see_id(field::ORGANIZATION_ID, member.value);
                }
                _ => {}
            }
        }
    }

    fn see_transaction(&mut self, transaction: &'a str) {
        for member in json::members(transaction) {
            let key = json::unescape(member.key);
            if let Some(index) = TRANSACTION_FIELDS.iter().position(|&name| name == key) {
                self.set(field::TRANSACTION + index, member.value);
            }
        }
    }

    fn see_id(&mut self, field: usize, object: &'a str) {
        for member in json::members(object) {
            if json::string_is(member.key, "id") {
                self.set(field, member.value);
            }
        }
    }

    fn set(&mut self, field: usize, value: &'a str) {
        if let Some(slot) = self.fields.get_mut(field) {
            slot.get_or_insert(value);
        }
    }

    /// Notes what stands where an object is expected; true for an object that is to be looked into.
    fn enter(&mut self, index: usize, value: &'a str) -> bool {
        let is_object = json::is_object(value);
        if let (Some(odd), Some(seen)) = (self.odd.get_mut(index), self.objects.get_mut(index)) {
            if is_object {
                *seen = true;
            } else {
                odd.get_or_insert(value);
            }
        }
        is_object
    }

    /// The text of a field, as a record has it.
    fn text(&self, field: usize) -> Option<String> {
        let token = (*self.fields.get(field)?)?;
        json::text(token).map(Cow::into_owned)
    }

    fn kind(&self) -> Option<EventKind> {
        let [Some(token), ..] = self.fields else {
            return None;
        };
        let name = json::is_string(token).then(|| json::unescape(token))?;
        event::is_well_formed(&name).then(|| EventKind::of(&name))
    }

    /// Whether something that stands here differs from `signed`; what is absent here contradicts nothing.
    fn contradicts(&self, signed: &Self) -> bool {
        let fields = self.fields.iter().zip(&signed.fields);
        let odd = self.odd.iter().zip(signed.odd.iter().zip(&signed.objects));
        fields
            .into_iter()
            .any(|(outer, inner)| differs(*outer, *inner))
            || odd.into_iter().any(|(outer, (inner, object))| {
                outer.is_some() && (*object || differs(*outer, *inner))
            })
    }
}

/// A `null` outside agrees with a field that is absent inside.
fn differs(outer: Option<&str>, inner: Option<&str>) -> bool {
    let Some(outer) = outer else {
        return false;
    };
    let inner = inner.unwrap_or("null");
    let same = outer == inner
        || (json::is_string(outer) && json::is_string(inner) && json::same_string(outer, inner));
    !same
}

#[cfg(test)]
mod tests;
