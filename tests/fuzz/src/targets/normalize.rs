//! From a payload to a record's value, byte by byte, against a slow and plain statement of the contract.

use crate::domain::decimal::{self, DecimalError};
use crate::domain::event::EventKind;
use crate::domain::normalize::{Redaction, normalize};
use crate::domain::reasons::QuarantineReason as Reason;
use crate::json::{self, Kind, Value};
use base64::{Engine as _, prelude::BASE64_STANDARD};

const TRANSACTION_EVENTS: [&str; 2] = ["warehouseTransaction", "organizationTransaction"];
const LIFECYCLE_EVENTS: [&str; 5] = [
    "installed",
    "uninstalled",
    "suspended",
    "unsuspended",
    "newPermissionsAccepted",
];
const MAX_LEVELS: usize = 64;

pub fn check(payload: &[u8]) {
    let signed_data = BASE64_STANDARD.encode(payload);
    for drop_sender in [false, true] {
        let event = normalize(&signed_data, Redaction { drop_sender });
        let expected = understand(payload, drop_sender);
        match (event, expected) {
            (Ok(event), Ok(expected)) => {
                assert_eq!(event.name, expected.name);
                assert_eq!(event.organization, expected.organization);
                assert_eq!(event.kind, EventKind::of(&expected.name));
                assert_eq!(event.kind == EventKind::Other, expected.unknown);
                assert_eq!(String::from_utf8(event.value).unwrap(), expected.value);
                assert!(json::parse(&expected.value).is_some());
            }
            (event, expected) => assert_eq!(
                event.map(|event| event.name),
                expected.map(|expected| expected.name)
            ),
        }
    }
}

struct Expected {
    name: String,
    unknown: bool,
    organization: Option<String>,
    value: String,
}

fn understand(payload: &[u8], drop_sender: bool) -> Result<Expected, Reason> {
    let text = std::str::from_utf8(payload).map_err(|_| Reason::PayloadNotJson)?;
    let root = json::parse(text).ok_or(Reason::PayloadNotJson)?;
    let members = root.members().ok_or(Reason::PayloadNotObject)?;
    if root.depth() > MAX_LEVELS {
        return Err(Reason::TooDeep);
    }
    if root.repeats_a_key() {
        return Err(Reason::DuplicateKey);
    }
    let name = root.get("event").and_then(Value::text);
    let name = name.ok_or(Reason::EventMissing)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.is_empty() || name.len() > 100 || !name.chars().all(allowed) {
        return Err(Reason::EventMalformed);
    }
    let is_transaction = TRANSACTION_EVENTS.contains(&&*name);
    let unknown = !is_transaction && !LIFECYCLE_EVENTS.contains(&&*name);

    let object = |name| root.get(name).filter(|value| value.members().is_some());
    let installation = object("installation");
    let inner = installation.and_then(|installation| installation.get("organization"));
    let organization = inner.filter(|organization| organization.members().is_some());
    let organization_id = organization.and_then(id);
    if !unknown && installation.and_then(id).is_none() {
        return Err(Reason::InstallationMissing);
    }
    if !unknown && organization_id.is_none() {
        return Err(Reason::OrganizationMissing);
    }
    let transaction = match root.get("transaction").filter(|value| !value.is_null()) {
        Some(value) => transaction(value).map(Some),
        None => Err(Reason::TransactionMissing),
    };
    let transaction = match transaction {
        Err(reason) if is_transaction => return Err(reason),
        transaction => transaction.ok().flatten(),
    };

    let null = || "null".to_owned();
    let state = root.get("state").map(|state| fit("state", state));
    let lifted = inner.is_some_and(|inner| inner.is_null() || inner.members().is_some());
    let mut parts = vec![
        format!("\"event\":{}", root.get("event").unwrap().token),
        format!(
            "\"state\":{}",
            state
                .clone()
                .and_then(|(text, _)| text)
                .unwrap_or_else(null)
        ),
        format!(
            "\"organization\":{}",
            organization.map_or_else(null, write_organization)
        ),
        format!(
            "\"installation\":{}",
            installation.map_or_else(null, |installation| {
                let left_out: &[&str] = if lifted { &["organization"] } else { &[] };
                ordered(
                    installation,
                    &[
                        "id",
                        "appId",
                        "appNameId",
                        "createdAt",
                        "updatedAt",
                        "permissions",
                        "accessTokensUrl",
                    ],
                    left_out,
                    fitted,
                )
            })
        ),
        format!(
            "\"transaction\":{}",
            transaction.clone().unwrap_or_else(null)
        ),
        format!(
            "\"sender\":{}",
            object("sender")
                .filter(|_| !drop_sender)
                .map_or_else(null, |sender| {
                    ordered(
                        sender,
                        &["id", "fullName", "email", "profilePicture"],
                        &[],
                        fitted,
                    )
                })
        ),
    ];
    for (key, value) in members {
        let text = key.text().unwrap();
        if drop_sender && text.trim_start_matches('_') == "sender" {
            continue;
        }
        let occupied = [
            "event",
            "state",
            "organization",
            "installation",
            "transaction",
            "sender",
        ]
        .into_iter()
        .find(|name| key.says(name));
        let is_object = value.members().is_some();
        match occupied {
            None => parts.push(format!("{}:{}", key.token, value.compact())),
            Some("event") => {}
            Some("state") if state.as_ref().is_some_and(|(_, whole)| *whole) => {}
            Some("installation" | "sender" | "transaction") if value.is_null() => {}
            Some("installation" | "sender") if is_object => {}
            Some("transaction") if transaction.is_some() => {}
            Some(name) => {
                parts.push(format!(
                    "\"{}\":{}",
                    free_name(&root, name),
                    value.compact()
                ));
            }
        }
    }
    Ok(Expected {
        name,
        unknown,
        organization: organization_id,
        value: format!("{{{}}}", parts.join(",")),
    })
}

/// A text that is not empty.
fn id(object: &Value<'_>) -> Option<String> {
    text(object.get("id")?).filter(|id| !id.is_empty())
}

/// The text of a scalar: of a number or a boolean its spelling.
fn text(value: &Value<'_>) -> Option<String> {
    match value.kind {
        Kind::String => value.text(),
        Kind::Number | Kind::Literal if !value.is_null() => Some(value.token.to_owned()),
        _ => None,
    }
}

/// The token of that text.
fn text_token(value: &Value<'_>) -> Option<String> {
    match value.kind {
        Kind::String => Some(value.token.to_owned()),
        _ => text(value).map(|text| format!("\"{text}\"")),
    }
}

/// What a named field holds of a value, and whether that is all of it.
fn fit(name: &str, value: &Value<'_>) -> (Option<String>, bool) {
    let token = match name {
        "createdAt" | "updatedAt" => value
            .text()
            .filter(|text| is_time(text))
            .map(|_| value.token.to_owned()),
        "permissions" => match value.members() {
            None => None,
            Some(members) => {
                let entry = |(key, value): &(Value<'_>, Value<'_>)| {
                    Some(format!("{}:{}", key.token, text_token(value)?))
                };
                let entries: Vec<_> = members.iter().filter_map(entry).collect();
                let all = entries.len() == members.len();
                return (Some(format!("{{{}}}", entries.join(","))), all);
            }
        },
        _ => text_token(value),
    };
    let whole = token.is_some() || value.is_null();
    (token, whole)
}

/// What is written under a field's own name.
fn fitted(name: &str, value: Option<&Value<'_>>) -> String {
    let token = value.and_then(|value| fit(name, value).0);
    token.unwrap_or_else(|| "null".to_owned())
}

/// A time, by counting.
fn is_time(text: &str) -> bool {
    let form = |text: &str, form: &str| {
        let same = |(character, form): (char, char)| match form {
            '0' => character.is_ascii_digit(),
            form => character == form,
        };
        text.chars().count() == form.len() && text.chars().zip(form.chars()).all(same)
    };
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    if !text.is_ascii() || text.len() < 20 || !form(&text[..19], "0000-00-00T00:00:00") {
        return false;
    }
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let (hour, minute, second) = (number(11..13), number(14..16), number(17..19));
    let mut zone = &text[19..];
    if let Some(fraction) = zone.strip_prefix('.') {
        zone = fraction.trim_start_matches(|character: char| character.is_ascii_digit());
        if !(1..=9).contains(&(fraction.len() - zone.len())) {
            return false;
        }
    }
    let offset = if zone == "Z" {
        0
    } else if form(zone, "+00:00") || form(zone, "-00:00") {
        let part = |range: std::ops::Range<usize>| zone[range].parse::<i64>().unwrap();
        if part(4..6) > 59 || part(1..3) * 60 + part(4..6) > 840 {
            return false;
        }
        (part(1..3) * 60 + part(4..6)) * if zone.starts_with('-') { -1 } else { 1 }
    } else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    let in_utc = hour * 60 + minute - offset;
    let too_early = (year, month, day) == (1, 1, 1) && in_utc < 0;
    let too_late = (year, month, day) == (9999, 12, 31) && in_utc >= 24 * 60;
    let exists = year >= 1 && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    exists && !too_early && !too_late
}

/// The name with one underscore in front, or with as many as no other field has.
fn free_name(object: &Value<'_>, name: &str) -> String {
    let mut free = format!("_{name}");
    while object.get(&free).is_some() {
        free.insert(0, '_');
    }
    free
}

/// The transaction as it is written, or why it is none.
fn transaction(value: &Value<'_>) -> Result<String, Reason> {
    if value.members().is_none() || id(value).is_none() {
        return Err(Reason::TransactionInvalid);
    }
    let amount = match value.get("amount") {
        None => "null".to_owned(),
        Some(amount) if amount.is_null() => "null".to_owned(),
        Some(amount) => {
            let number = match amount.kind {
                Kind::Number => Some(amount.token.to_owned()),
                Kind::String => amount.text(),
                _ => None,
            };
            // How a number is written is the business of a target of its own.
            match decimal::plain(&number.ok_or(Reason::TransactionInvalid)?) {
                Ok(plain) => format!("\"{plain}\""),
                Err(DecimalError::NotANumber) => return Err(Reason::TransactionInvalid),
                Err(DecimalError::OutOfRange) => return Err(Reason::AmountOutOfRange),
            }
        }
    };
    Ok(ordered(
        value,
        &[
            "id",
            "status",
            "type",
            "amount",
            "creditId",
            "createdAt",
            "updatedAt",
        ],
        &[],
        |name, value| match name {
            "amount" => amount.clone(),
            _ => fitted(name, value),
        },
    ))
}

/// `name` is `name`, else `fullName`, else null.
fn write_organization(organization: &Value<'_>) -> String {
    ordered(organization, &["id", "name", "url"], &[], |name, value| {
        let given = value.filter(|value| !value.is_null());
        match name {
            "name" => fitted("name", given.or_else(|| organization.get("fullName"))),
            _ => fitted(name, value),
        }
    })
}

/// Known fields in order (null where absent), then the others in theirs, among them what does not fit its name.
fn ordered(
    object: &Value<'_>,
    names: &[&str],
    left_out: &[&str],
    write: impl Fn(&str, Option<&Value<'_>>) -> String,
) -> String {
    let known = names
        .iter()
        .map(|name| format!("\"{name}\":{}", write(name, object.get(name))));
    let others = object.members().unwrap().iter().filter_map(|(key, value)| {
        if left_out.iter().any(|name| key.says(name)) {
            return None;
        }
        let key = match names.iter().find(|name| key.says(name)) {
            None => key.token.to_owned(),
            Some(name) if *name == "amount" || fit(name, value).1 => return None,
            Some(name) => format!("\"{}\"", free_name(object, name)),
        };
        Some(format!("{key}:{}", value.compact()))
    });
    format!("{{{}}}", known.chain(others).collect::<Vec<_>>().join(","))
}
