//! From a proven payload to the record's value: a pure function of the signed bytes.
//!
//! **Guarantee.** The same `signedData` always gives the same bytes. The fields that the contract names come first and in a
//! fixed order, `null` where absent; every other field follows at its own level, unchanged. Strings and numbers are copied as
//! raw tokens (only `transaction.amount` is rewritten, exactly), so nothing is lost to re-encoding. What cannot be understood
//! is said in one word of a closed vocabulary: the first that applies in the order of [`QuarantineReason`], except that
//! `too_deep` goes before `duplicate_key`, since keys are not compared beyond the levels that are allowed.
//!
//! ICR counts added fields and added enum values as non-breaking, so no type and no value is checked beyond what the key, the
//! subject and the amount need.

use super::event::{self, EventKind};
use super::fields::{Fields, write_name};
use super::json::{self, Flaw, Member};
use super::reasons::QuarantineReason;
use super::{decimal, decimal::DecimalError, signed_data};
use std::borrow::Cow;
use std::collections::HashSet;

/// A payload that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event's name as ICR wrote it.
    pub name: String,
    /// Its kind.
    pub kind: EventKind,
    /// The organization's id; an unknown event may have none.
    pub organization: Option<String>,
    /// The record's value: compact UTF-8 JSON.
    pub value: Vec<u8>,
}

/// What an operator may leave out of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redaction {
    /// `DROP_SENDER`: `sender` becomes null (and `_sender` is dropped).
    pub drop_sender: bool,
}

/// Understands `signed_data`, or says why it cannot be.
///
/// # Errors
/// Every reason but `record_too_large` and `record_invalid`, which only a broker finds out.
pub fn normalize(signed_data: &str, redaction: Redaction) -> Result<Event, QuarantineReason> {
    let bytes = signed_data::decode(signed_data).ok_or(QuarantineReason::SignedDataUndecodable)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| QuarantineReason::PayloadNotJson)?;
    check_syntax(text)?;

    let mut root = Root::split(text);
    let (name, kind) = root.event()?;
    let installation = root.installation.map(Installation::split);
    let organization = organization_id(kind, installation.as_ref())?;
    let transaction = root.transaction(kind)?;

    let mut value = Vec::with_capacity(text.len() + 256);
    root.write(installation, transaction, redaction, &mut value);
    Ok(Event {
        name: name.into_owned(),
        kind,
        organization,
        value,
    })
}

fn check_syntax(text: &str) -> Result<(), QuarantineReason> {
    if !json::is_json(text) {
        return Err(QuarantineReason::PayloadNotJson);
    }
    if !json::is_object(text) {
        return Err(QuarantineReason::PayloadNotObject);
    }
    json::check_shape(text).map_err(|flaw| match flaw {
        Flaw::TooDeep => QuarantineReason::TooDeep,
        Flaw::DuplicateKey => QuarantineReason::DuplicateKey,
    })
}

/// A root field that the contract doesn't name, or whose name it gives to something else.
struct Extra<'a> {
    key: &'a str,
    value: &'a str,
    /// The name that is occupied, if it is.
    displaced: Option<&'static str>,
}

/// The payload's own fields, as raw tokens.
#[derive(Default)]
struct Root<'a> {
    event: Option<&'a str>,
    state: Option<&'a str>,
    /// An object, if present.
    installation: Option<&'a str>,
    /// Neither absent nor null, if present; with the number of extra fields before it.
    transaction: Option<(Member<'a>, usize)>,
    /// An object, if present.
    sender: Option<&'a str>,
    extra: Vec<Extra<'a>>,
}

impl<'a> Root<'a> {
    fn split(text: &'a str) -> Self {
        let mut root = Self::default();
        for member in json::members(text) {
            let value = member.value;
            let name = json::unescape(member.key);
            let displaced = match &*name {
                "event" => {
                    root.event = Some(value);
                    continue;
                }
                "state" => {
                    root.state = Some(value);
                    continue;
                }
                "transaction" => {
                    let place = root.extra.len();
                    root.transaction = Some((member, place)).filter(|_| value != "null");
                    continue;
                }
                "installation" | "sender" if value == "null" => continue,
                "installation" if json::is_object(value) => {
                    root.installation = Some(value);
                    continue;
                }
                "sender" if json::is_object(value) => {
                    root.sender = Some(value);
                    continue;
                }
                "organization" => Some("organization"),
                "installation" => Some("installation"),
                "sender" => Some("sender"),
                _ => None,
            };
            root.extra.push(Extra {
                key: member.key,
                value,
                displaced,
            });
        }
        root
    }

    fn event(&self) -> Result<(Cow<'a, str>, EventKind), QuarantineReason> {
        let token = self.event.filter(|token| json::is_string(token));
        let name = json::unescape(token.ok_or(QuarantineReason::EventMissing)?);
        if !event::is_well_formed(&name) {
            return Err(QuarantineReason::EventMalformed);
        }
        let kind = EventKind::of(&name);
        Ok((name, kind))
    }

    /// A transaction event must have one that can be understood. On any other event one that cannot is a field that we don't
    /// know, and passes through beside the name that we occupy.
    fn transaction(
        &mut self,
        kind: EventKind,
    ) -> Result<Option<Transaction<'a>>, QuarantineReason> {
        let Some((member, place)) = self.transaction else {
            return if kind.is_transaction() {
                Err(QuarantineReason::TransactionMissing)
            } else {
                Ok(None)
            };
        };
        match Transaction::split(member.value) {
            Err(_) if !kind.is_transaction() => {
                let extra = Extra {
                    key: member.key,
                    value: member.value,
                    displaced: Some("transaction"),
                };
                self.extra.insert(place, extra);
                Ok(None)
            }
            transaction => transaction.map(Some),
        }
    }

    fn write(
        &self,
        installation: Option<Installation<'a>>,
        transaction: Option<Transaction<'a>>,
        redaction: Redaction,
        out: &mut Vec<u8>,
    ) {
        let organization = installation.as_ref().and_then(|i| i.organization.as_ref());
        let sender = self.sender.filter(|_| !redaction.drop_sender);
        out.extend_from_slice(b"{\"event\":");
        json::copy_compact(self.event.unwrap_or("null"), out);
        out.extend_from_slice(b",\"state\":");
        json::copy_compact(self.state.unwrap_or("null"), out);
        out.extend_from_slice(b",\"organization\":");
        write_or_null(organization, out);
        out.extend_from_slice(b",\"installation\":");
        write_or_null(installation.as_ref().map(|i| &i.fields), out);
        out.extend_from_slice(b",\"transaction\":");
        write_or_null(transaction.as_ref().map(|t| &t.0), out);
        out.extend_from_slice(b",\"sender\":");
        write_or_null(sender.map(|s| Fields::split(s, &SENDER)).as_ref(), out);
        for extra in &self.extra {
            self.write_extra(extra, redaction, out);
        }
        out.push(b'}');
    }

    fn write_extra(&self, extra: &Extra<'a>, redaction: Redaction, out: &mut Vec<u8>) {
        if redaction.drop_sender && extra.displaced == Some("sender") {
            return;
        }
        out.push(b',');
        match extra.displaced {
            Some(name) => write_name(&self.free_name(name), out),
            None => {
                out.extend_from_slice(extra.key.as_bytes());
                out.push(b':');
            }
        }
        json::copy_compact(extra.value, out);
    }

    /// `_<name>`, with as many more underscores as it takes not to collide with another field of the payload.
    fn free_name(&self, name: &str) -> String {
        let underscores = |extra: &Extra<'a>| {
            let key = json::unescape(extra.key);
            let before = key.strip_suffix(name)?;
            before
                .bytes()
                .all(|byte| byte == b'_')
                .then_some(before.len())
        };
        // One pass: a payload full of such names must not take longer than another.
        let taken: HashSet<usize> = self.extra.iter().filter_map(underscores).collect();
        let free = (1..).find(|count| !taken.contains(count)).unwrap_or(1);
        "_".repeat(free) + name
    }
}

const INSTALLATION: [&str; 7] = [
    "id",
    "appId",
    "appNameId",
    "createdAt",
    "updatedAt",
    "permissions",
    "accessTokensUrl",
];
const ORGANIZATION: [&str; 3] = ["id", "name", "url"];
const TRANSACTION: [&str; 7] = [
    "id",
    "status",
    "type",
    "amount",
    "creditId",
    "createdAt",
    "updatedAt",
];
const SENDER: [&str; 4] = ["id", "fullName", "email", "profilePicture"];

/// An installation without its organization, which the value shows beside it.
struct Installation<'a> {
    fields: Fields<'a, 7>,
    organization: Option<Fields<'a, 3>>,
}

impl<'a> Installation<'a> {
    fn split(object: &'a str) -> Self {
        let mut fields = Fields::split(object, &INSTALLATION);
        let place = fields
            .unknown
            .iter()
            .position(|member| json::string_is(member.key, "organization"))
            .and_then(|index| Some((index, fields.unknown.get(index)?.value)));
        let organization = match place {
            Some((index, value)) if json::is_object(value) => {
                fields.unknown.remove(index);
                Some(split_organization(value))
            }
            Some((index, "null")) => {
                fields.unknown.remove(index);
                None
            }
            // Of an unknown event: what is no object stays where it stood.
            _ => None,
        };
        Self {
            fields,
            organization,
        }
    }
}

/// ICR documents `name`; the one public real delivery has `fullName` instead. An empty string is a name.
fn split_organization(object: &str) -> Fields<'_, 3> {
    let mut fields = Fields::split(object, &ORGANIZATION);
    let full_name = fields
        .unknown
        .iter()
        .find(|member| json::string_is(member.key, "fullName"));
    let [_, name, _] = &mut fields.known;
    if name.as_deref().is_none_or(|token| token == "null") {
        *name = full_name.map(|member| Cow::Borrowed(member.value));
    }
    fields
}

/// The organization's id, for key and subject; a known event must have one, and an installation with an id.
fn organization_id(
    kind: EventKind,
    installation: Option<&Installation<'_>>,
) -> Result<Option<String>, QuarantineReason> {
    let organization = installation.and_then(|i| i.organization.as_ref());
    let organization_id = organization.and_then(|o| id(&o.known));
    if kind != EventKind::Other {
        if installation.and_then(|i| id(&i.fields.known)).is_none() {
            return Err(QuarantineReason::InstallationMissing);
        }
        if organization_id.is_none() {
            return Err(QuarantineReason::OrganizationMissing);
        }
    }
    Ok(organization_id.map(|token| json::unescape(token).into_owned()))
}

/// The token of an id, the first of the known fields: a string that is not empty.
fn id<'f>(known: &'f [Option<Cow<'_, str>>]) -> Option<&'f str> {
    let token = known.first()?.as_deref()?;
    (json::is_string(token) && token != "\"\"").then_some(token)
}

/// A transaction whose amount is a decimal string or null.
struct Transaction<'a>(Fields<'a, 7>);

impl<'a> Transaction<'a> {
    fn split(token: &'a str) -> Result<Self, QuarantineReason> {
        if !json::is_object(token) {
            return Err(QuarantineReason::TransactionInvalid);
        }
        let mut fields = Fields::split(token, &TRANSACTION);
        if id(&fields.known).is_none() {
            return Err(QuarantineReason::TransactionInvalid);
        }
        let [_, _, _, amount, ..] = &mut fields.known;
        *amount = amount
            .as_deref()
            .map(plain_amount)
            .transpose()?
            .map(Cow::Owned);
        Ok(Self(fields))
    }
}

/// The token of an amount: a quoted decimal in plain notation, or null.
fn plain_amount(token: &str) -> Result<String, QuarantineReason> {
    if token == "null" {
        return Ok(token.to_owned());
    }
    let number = if json::is_string(token) {
        json::unescape(token)
    } else {
        Cow::Borrowed(token)
    };
    match decimal::plain(&number) {
        Ok(plain) => Ok(format!("\"{plain}\"")),
        Err(DecimalError::NotANumber) => Err(QuarantineReason::TransactionInvalid),
        Err(DecimalError::OutOfRange) => Err(QuarantineReason::AmountOutOfRange),
    }
}

fn write_or_null<const N: usize>(fields: Option<&Fields<'_, N>>, out: &mut Vec<u8>) {
    match fields {
        Some(fields) => fields.write(out),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests;
