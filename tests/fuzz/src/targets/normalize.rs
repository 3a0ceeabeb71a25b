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
    let lifted = inner.is_some_and(|inner| inner.is_null() || inner.members().is_some());
    let mut parts = vec![
        format!("\"event\":{}", root.get("event").unwrap().token),
        format!(
            "\"state\":{}",
            root.get("state").map_or_else(null, Value::compact)
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
                    |_, value| value.map_or_else(null, Value::compact),
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
                        |_, value| value.map_or_else(null, Value::compact),
                    )
                })
        ),
    ];
    for (key, value) in members {
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
            Some("event" | "state") => {}
            Some("installation" | "sender" | "transaction") if value.is_null() => {}
            Some("installation" | "sender") if is_object => {}
            Some("transaction") if transaction.is_some() => {}
            Some("sender") if drop_sender => {}
            Some(name) => {
                let mut free = format!("_{name}");
                while root.get(&free).is_some() {
                    free.insert(0, '_');
                }
                parts.push(format!("\"{free}\":{}", value.compact()));
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

/// A string that is not empty.
fn id(object: &Value<'_>) -> Option<String> {
    object.get("id")?.text().filter(|id| !id.is_empty())
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
        |name, value| match (name, value) {
            ("amount", _) => amount.clone(),
            (_, None) => "null".to_owned(),
            (_, Some(value)) => value.compact(),
        },
    ))
}

/// `name` is `name`, else `fullName`, else null.
fn write_organization(organization: &Value<'_>) -> String {
    ordered(organization, &["id", "name", "url"], &[], |name, value| {
        let given = value.filter(|value| !value.is_null());
        let value = match name {
            "name" => given.or_else(|| organization.get("fullName")),
            _ => value,
        };
        value.map_or_else(|| "null".to_owned(), Value::compact)
    })
}

/// Known fields in order (null where absent), then the others in theirs.
fn ordered(
    object: &Value<'_>,
    names: &[&str],
    left_out: &[&str],
    write: impl Fn(&str, Option<&Value<'_>>) -> String,
) -> String {
    let known = names
        .iter()
        .map(|name| format!("\"{name}\":{}", write(name, object.get(name))));
    let others = object
        .members()
        .unwrap()
        .iter()
        .filter(|(key, _)| !names.iter().chain(left_out).any(|name| key.says(name)))
        .map(|(key, value)| format!("{}:{}", key.token, value.compact()));
    format!("{{{}}}", known.chain(others).collect::<Vec<_>>().join(","))
}
