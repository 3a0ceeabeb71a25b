//! From a proven payload to the record's value: a pure function of the signed bytes.
//!
//! **Guarantee.** The same `signedData` always gives the same bytes. The fields that the contract names come first and in a
//! fixed order, and each is of its one type or null, whatever ICR sent (`fields.rs` has the rule, and where the rest goes); every
//! other field follows at its own level, unchanged. Strings and numbers are copied as raw tokens (only `transaction.amount` is
//! rewritten, exactly), so nothing is lost to re-encoding. What cannot be understood is said in one word of a closed vocabulary: the
//! first that applies in the order of [`QuarantineReason`], except that `too_deep` goes before `duplicate_key`, since keys are not
//! compared beyond the levels that are allowed.
//!
//! ICR counts added fields and added enum values as non-breaking, so no text is compared with those that are known. The ids of a known
//! event are judged as they are written: a number counts as its text, an object is no id. Only `event` must be a string as ICR sends it.

use super::event::{self, EventKind};
use super::fields::{Fields, Further, Kind, Names, write_further};
use super::json::{self, Flaw, Member};
use super::reasons::QuarantineReason;
use super::{decimal, decimal::DecimalError, signed_data};
use std::borrow::Cow;

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
    /// `DROP_SENDER`: `sender` becomes null, and no field of that name with underscores in front is written, since a sender that is
    /// no object would stand there.
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

    let mut root = Root::split(text, redaction);
    let (name, kind) = root.event()?;
    let installation = root.installation.map(Installation::split);
    let organization = organization_id(kind, installation.as_ref())?;
    let transaction = root.transaction(kind)?;

    let mut value = Vec::with_capacity(text.len() + 256);
    root.write(installation, transaction, &mut value);
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

/// The payload's own fields, as raw tokens.
#[derive(Default)]
struct Root<'a> {
    event: Option<&'a str>,
    state: Option<Cow<'a, str>>,
    /// An object, if present.
    installation: Option<&'a str>,
    /// Neither absent nor null, if present; with the number of further fields before it.
    transaction: Option<(Member<'a>, usize)>,
    /// An object, if present and not left out.
    sender: Option<&'a str>,
    further: Vec<Further<'a>>,
}

impl<'a> Root<'a> {
    fn split(text: &'a str, redaction: Redaction) -> Self {
        let mut root = Self::default();
        for member in json::members(text) {
            let value = member.value;
            let name = json::unescape(member.key);
            if redaction.drop_sender && name.trim_start_matches('_') == "sender" {
                continue;
            }
            let displaced = match &*name {
                "event" => {
                    root.event = Some(value);
                    continue;
                }
                "state" => {
                    let fitted = Kind::Text.fit(value);
                    root.state = fitted.token;
                    if fitted.is_whole {
                        continue;
                    }
                    Some("state")
                }
                "transaction" => {
                    let place = root.further.len();
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
            root.further.push(Further {
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
                let odd = Further {
                    key: member.key,
                    value: member.value,
                    displaced: Some("transaction"),
                };
                self.further.insert(place, odd);
                Ok(None)
            }
            transaction => transaction.map(Some),
        }
    }

    fn write(
        &self,
        installation: Option<Installation<'a>>,
        transaction: Option<Transaction<'a>>,
        out: &mut Vec<u8>,
    ) {
        let organization = installation.as_ref().and_then(|i| i.organization.as_ref());
        out.extend_from_slice(b"{\"event\":");
        json::copy_compact(self.event.unwrap_or("null"), out);
        out.extend_from_slice(b",\"state\":");
        json::copy_compact(self.state.as_deref().unwrap_or("null"), out);
        out.extend_from_slice(b",\"organization\":");
        write_or_null(organization, out);
        out.extend_from_slice(b",\"installation\":");
        write_or_null(installation.as_ref().map(|i| &i.fields), out);
        out.extend_from_slice(b",\"transaction\":");
        write_or_null(transaction.as_ref().map(|t| &t.0), out);
        out.extend_from_slice(b",\"sender\":");
        let sender = self.sender.map(|sender| Fields::split(sender, &SENDER));
        write_or_null(sender.as_ref(), out);
        write_further(&self.further, out);
        out.push(b'}');
    }
}

const INSTALLATION: Names<7> = [
    ("id", Kind::Text),
    ("appId", Kind::Text),
    ("appNameId", Kind::Text),
    ("createdAt", Kind::Time),
    ("updatedAt", Kind::Time),
    ("permissions", Kind::Permissions),
    ("accessTokensUrl", Kind::Text),
];
const ORGANIZATION: Names<3> = [
    ("id", Kind::Text),
    ("name", Kind::Text),
    ("url", Kind::Text),
];
const TRANSACTION: Names<7> = [
    ("id", Kind::Text),
    ("status", Kind::Text),
    ("type", Kind::Text),
    // Judged by `plain_amount`, which may refuse it.
    ("amount", Kind::Unjudged),
    ("creditId", Kind::Text),
    ("createdAt", Kind::Time),
    ("updatedAt", Kind::Time),
];
const SENDER: Names<4> = [
    ("id", Kind::Text),
    ("fullName", Kind::Text),
    ("email", Kind::Text),
    ("profilePicture", Kind::Text),
];

/// An installation without its organization, which the value shows beside it.
struct Installation<'a> {
    fields: Fields<'a, 7>,
    organization: Option<Fields<'a, 3>>,
}

impl<'a> Installation<'a> {
    fn split(object: &'a str) -> Self {
        let mut fields = Fields::split(object, &INSTALLATION);
        let place = fields
            .further
            .iter()
            .position(|field| json::string_is(field.key, "organization"))
            .and_then(|index| Some((index, fields.further.get(index)?.value)));
        let organization = match place {
            Some((index, value)) if json::is_object(value) => {
                fields.further.remove(index);
                Some(split_organization(value))
            }
            Some((index, "null")) => {
                fields.further.remove(index);
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
    let [_, name, _] = &mut fields.known;
    let displaced = |field: &Further<'_>| field.displaced == Some("name");
    if name.is_none() && !fields.further.iter().any(displaced) {
        let mut others = fields.further.iter();
        let full_name = others.find(|field| json::string_is(field.key, "fullName"));
        // What is no text stays where it is, and nowhere else.
        *name = full_name.and_then(|field| Kind::Text.fit(field.value).token);
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

/// The token of an id, the first of the known fields: a text that is not empty.
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
