//! The value of any payload, byte by byte, against a slow and plain statement of the contract.

use super::tree::{TIMES, Tree, objects, scalars, trees};
use base64::{Engine as _, prelude::*};
use icr_domain::normalize::{Redaction, normalize};
use icr_domain::reasons::QuarantineReason;
use proptest::prelude::*;

/// What a named field holds of a value, and whether that is all of it.
fn fitted(name: &str, value: &Tree) -> (Tree, bool) {
    let text = |value: &Tree| match value {
        Tree::Scalar(token) if token.starts_with('"') => Some(value.clone()),
        Tree::Scalar(token) if token != "null" => Some(Tree::Scalar(format!("\"{token}\""))),
        _ => None,
    };
    let fitting = match (name, value) {
        (_, value) if value.is_null() => return (Tree::null(), true),
        // Judged elsewhere.
        ("amount", _) => Some(value.clone()),
        ("createdAt" | "updatedAt", Tree::Scalar(token)) => {
            let is_time = TIMES.iter().any(|time| *token == format!("\"{time}\""));
            is_time.then(|| value.clone())
        }
        ("createdAt" | "updatedAt", _) | ("permissions", Tree::Scalar(_) | Tree::Array(_)) => None,
        ("permissions", Tree::Object(members)) => {
            let fits = |(key, token, value): &(String, String, Tree)| {
                Some((key.clone(), token.clone(), text(value)?))
            };
            let entries: Vec<_> = members.iter().filter_map(fits).collect();
            let all = entries.len() == members.len();
            return (Tree::Object(entries), all);
        }
        (_, value) => text(value),
    };
    let fits = fitting.is_some();
    (fitting.unwrap_or_else(Tree::null), fits)
}

/// The name with one underscore in front, or with as many as no other field has.
fn free_name(object: &Tree, name: &str) -> String {
    let mut free = format!("_{name}");
    while object.get(&free).is_some() {
        free.insert(0, '_');
    }
    free
}

/// Known fields in order (null where absent), then the others in theirs, among them what does not fit its name.
fn ordered(object: &Tree, names: &[&'static str], left_out: &[&str]) -> Tree {
    let null = Tree::null();
    let mut members = Vec::new();
    for name in names {
        let (value, _) = fitted(name, object.get(name).unwrap_or(&null));
        members.push(((*name).to_owned(), format!("\"{name}\""), value));
    }
    for (key, token, value) in object.members().unwrap() {
        if left_out.contains(&key.as_str()) {
            continue;
        }
        if !names.contains(&key.as_str()) {
            members.push((key.clone(), token.clone(), value.clone()));
        } else if !fitted(key, value).1 {
            let free = free_name(object, key);
            members.push((free.clone(), format!("\"{free}\""), value.clone()));
        }
    }
    Tree::Object(members)
}

/// What the contract says of a payload that is intelligible.
fn expected(payload: &Tree, amount: Option<&str>, drop_sender: bool) -> Tree {
    let object = |name: &str| payload.get(name).filter(|value| value.members().is_some());
    let installation = object("installation");
    let inner = installation.and_then(|installation| installation.get("organization"));
    let organization = inner.filter(|organization| organization.members().is_some());

    let null = Tree::null();
    let state = payload.get("state").unwrap_or(&null);
    let mut parts = vec![
        ("event", payload.get("event").cloned().unwrap()),
        ("state", fitted("state", state).0),
    ];
    parts.push((
        "organization",
        organization.map_or_else(Tree::null, |organization| {
            let mut ordered = ordered(organization, &["id", "name", "url"], &[]);
            let full_name = organization.get("fullName").unwrap_or(&null);
            if let Tree::Object(members) = &mut ordered
                && organization.get("name").is_none_or(Tree::is_null)
            {
                members[1].2 = fitted("name", full_name).0;
            }
            ordered
        }),
    ));
    parts.push((
        "installation",
        installation.map_or_else(Tree::null, |installation| {
            let gone = organization.is_some() || inner.is_some_and(Tree::is_null);
            let names = [
                "id",
                "appId",
                "appNameId",
                "createdAt",
                "updatedAt",
                "permissions",
                "accessTokensUrl",
            ];
            ordered(
                installation,
                &names,
                if gone { &["organization"] } else { &[] },
            )
        }),
    ));
    parts.push((
        "transaction",
        object("transaction").map_or_else(Tree::null, |transaction| {
            let names = [
                "id",
                "status",
                "type",
                "amount",
                "creditId",
                "createdAt",
                "updatedAt",
            ];
            let mut ordered = ordered(transaction, &names, &[]);
            if let Tree::Object(members) = &mut ordered {
                members[3].2 = amount.map_or_else(Tree::null, Tree::scalar);
            }
            ordered
        }),
    ));
    let sender = object("sender").filter(|_| !drop_sender);
    parts.push((
        "sender",
        sender.map_or_else(Tree::null, |sender| {
            ordered(sender, &["id", "fullName", "email", "profilePicture"], &[])
        }),
    ));

    let Tree::Object(mut members) = Tree::object(parts) else {
        unreachable!()
    };
    for (key, token, value) in payload.members().unwrap() {
        if drop_sender && key.trim_start_matches('_') == "sender" {
            continue;
        }
        let occupied = match key.as_str() {
            "event" | "transaction" => continue,
            "state" if fitted(key, value).1 => continue,
            "installation" | "sender" if value.is_null() || value.members().is_some() => continue,
            "state" | "organization" | "installation" | "sender" => true,
            _ => false,
        };
        let (key, token) = if occupied {
            let free = free_name(payload, key);
            (free.clone(), format!("\"{free}\""))
        } else {
            (key.clone(), token.clone())
        };
        members.push((key, token, value.clone()));
    }
    Tree::Object(members)
}

/// A valid amount's token, and the token that it becomes.
fn amounts() -> impl Strategy<Value = Option<(&'static str, &'static str)>> {
    prop::option::of(prop::sample::select(vec![
        ("1", r#""1""#),
        ("1.50", r#""1.50""#),
        ("1e-7", r#""0.0000001""#),
        (r#""2.5e1""#, r#""25""#),
        ("-0", r#""0""#),
        ("null", "null"),
    ]))
}

/// What a known event may have as an id.
fn ids() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "\"i\"",
        r#""o\ud800""#,
        "7",
        "-0.50",
        "1e400000000",
        "false",
    ])
}

/// An intelligible payload, and the token of its amount in the value.
fn payloads() -> impl Strategy<Value = (Tree, Option<&'static str>)> {
    let names = prop::sample::select(vec![
        "brandNew",
        "installed",
        "organizationTransaction",
        "inst\\u0061lled",
    ]);
    (
        objects(),
        names,
        objects(),
        objects(),
        prop::option::of(objects()),
        (amounts(), ids()),
        any::<[usize; 8]>(),
    )
        .prop_map(
            |(
                mut root,
                name,
                mut installation,
                mut organization,
                transaction,
                (amount, id),
                at,
            )| {
                root.set(at[0], "event", Tree::Scalar(format!("\"{name}\"")));
                let known = name != "brandNew";
                if known {
                    organization.set(at[1], "id", Tree::scalar(id));
                    installation.set(at[2], "id", Tree::scalar(id));
                    installation.set(at[3], "organization", organization);
                    root.set(at[4], "installation", installation);
                }
                let mut token = None;
                if transaction.is_some() || name == "organizationTransaction" {
                    let mut transaction = transaction.unwrap_or_else(|| Tree::Object(Vec::new()));
                    transaction.set(at[5], "id", Tree::scalar(id));
                    let (before, after) = amount.unwrap_or(("null", "null"));
                    transaction.set(at[6], "amount", Tree::scalar(before));
                    token = Some(after);
                    root.set(at[7], "transaction", transaction);
                } else {
                    root.set(at[7], "transaction", Tree::null());
                }
                (root, token)
            },
        )
}

fn value(signed_data: &str, drop_sender: bool) -> String {
    let event = normalize(signed_data, Redaction { drop_sender }).unwrap();
    String::from_utf8(event.value).unwrap()
}

/// White space of every kind, none most of the time.
fn spaces(seed: u64) -> impl FnMut() -> &'static str {
    let mut state = seed | 1;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ["", "", " ", "\n", "\t\r", "  "][(state >> 33) as usize % 6]
    }
}

proptest! {
    #[test]
    fn the_value_is_what_the_contract_says_byte_by_byte((payload, amount) in payloads(), seed: u64, drop_sender: bool) {
        let text = payload.text(&mut spaces(seed));
        let written = value(&BASE64_STANDARD.encode(text), drop_sender);
        prop_assert_eq!(written, expected(&payload, amount, drop_sender).compact());
    }

    #[test]
    fn equal_payloads_give_equal_bytes_however_they_are_spelled((payload, _) in payloads(), seeds: (u64, u64)) {
        let one = payload.text(&mut spaces(seeds.0));
        let other = payload.text(&mut spaces(seeds.1));
        let first = value(&BASE64_STANDARD.encode(&one), false);
        prop_assert_eq!(&first, &value(&BASE64_STANDARD.encode(&one), false));
        prop_assert_eq!(&first, &value(&BASE64_URL_SAFE_NO_PAD.encode(&other), false));
        let wrapped: Vec<u8> = BASE64_STANDARD.encode(&other).bytes().flat_map(|byte| [byte, b'\n']).collect();
        prop_assert_eq!(&first, &value(std::str::from_utf8(&wrapped).unwrap(), false));
    }

    #[test]
    fn a_value_is_one_json_object_without_repeats((payload, _) in payloads(), drop_sender: bool) {
        let written = value(&BASE64_STANDARD.encode(payload.compact()), drop_sender);
        prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&written).is_ok());
        // Wrapped as a payload's unknown field, a repeat at any level would be found.
        let again = normalize(&BASE64_STANDARD.encode(format!("{{\"event\":\"x\",\"value\":{written}}}")), Redaction::default());
        prop_assert!(again.is_ok(), "{:?}", again);
    }

    #[test]
    fn a_key_repeated_anywhere_is_found((payload, _) in payloads(), at in any::<prop::sample::Index>(), token in scalars()) {
        let mut payload = payload;
        let mut nth = at.index(count(&payload));
        prop_assert!(repeat_nth(&mut payload, &mut nth, &token));
        let found = normalize(&BASE64_STANDARD.encode(payload.compact()), Redaction::default());
        prop_assert_eq!(found, Err(QuarantineReason::DuplicateKey));
    }

    #[test]
    fn any_json_at_all_is_understood_or_has_its_reason(tree in trees(), drop_sender: bool) {
        let _ = normalize(&BASE64_STANDARD.encode(tree.compact()), Redaction { drop_sender });
    }
}

/// How many members there are at all levels.
fn count(tree: &Tree) -> usize {
    match tree {
        Tree::Scalar(_) => 0,
        Tree::Array(items) => items.iter().map(count).sum(),
        Tree::Object(members) => members.iter().map(|(_, _, value)| 1 + count(value)).sum(),
    }
}

/// Repeats the key of the `nth` member in the same object, with another value.
fn repeat_nth(tree: &mut Tree, nth: &mut usize, token: &str) -> bool {
    match tree {
        Tree::Scalar(_) => false,
        Tree::Array(items) => items.iter_mut().any(|item| repeat_nth(item, nth, token)),
        Tree::Object(members) => {
            for index in 0..members.len() {
                if *nth == 0 {
                    let (key, spelled, _) = members[index].clone();
                    members.push((key, spelled, Tree::scalar(token)));
                    return true;
                }
                *nth -= 1;
                if repeat_nth(&mut members[index].2, nth, token) {
                    return true;
                }
            }
            false
        }
    }
}
