//! Whatever ICR may send: what becomes of it is valid, every named field being of its type, and nothing of it is lost.

use super::{Form, complaints, headers_of};
use crate::support::deliveries::posted;
use crate::support::golden::{Found, GoldenCase, Making, default_settings, made};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use icr_domain::normalize::{Redaction, normalize};
use icr_domain::record::{ContentMode, RecordSettings};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

/// What looks like a time: some are, some are not.
const LIKE_TIMES: [&str; 16] = [
    "2024-09-02T08:15:00.120Z",
    "2024-09-02T08:15:00Z",
    "2024-09-02T08:15:00.123456789+05:30",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "2024-09-02T08:15:00.1234567890Z",
    "2024-09-02t08:15:00z",
    "2024-09-02 08:15:00Z",
    "2024-09-02T08:15:00",
    "2024-13-02T08:15:00Z",
    "2023-02-29T08:15:00Z",
    "2016-12-31T23:59:60Z",
    "2024-09-02T08:15:00+24:00",
    "2024-09-02",
    "1710414115",
    "",
];

/// Any JSON value, not deep.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["", "VIEW", "none", "1e-7", "-0.0"]).prop_map(Value::from),
        prop::sample::select(&LIKE_TIMES[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-z_$é]{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Mostly what a known event needs, now and then anything or nothing.
fn mostly(usual: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        20 => usual.prop_map(Some),
        2 => anything().prop_map(Some),
        1 => Just(None),
    ]
}

/// An object with these fields where they are present, and further ones.
fn object(
    fields: Vec<(&'static str, BoxedStrategy<Option<Value>>)>,
) -> impl Strategy<Value = Value> {
    let names = prop_oneof![
        4 => "[_a-zA-Z]{1,12}".boxed(),
        1 => prop::sample::select(vec!["_id", "__id", "_name", "_createdAt", "_permissions", "_state", "_sender"])
            .prop_map(str::to_owned)
            .boxed(),
    ];
    let further = btree_map(names, anything(), 0..3);
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    (values, further).prop_map(move |(values, further)| {
        let mut object: Map<String, Value> = further.into_iter().collect();
        for (name, value) in names.iter().zip(values) {
            if let Some(value) = value {
                object.insert((*name).to_owned(), value);
            }
        }
        Value::Object(object)
    })
}

fn text(of: &'static str) -> BoxedStrategy<Option<Value>> {
    mostly(of.prop_map(Value::from)).boxed()
}

/// A time, mostly; else something that looks like one, or anything.
fn time() -> BoxedStrategy<Option<Value>> {
    let digits = "[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,10})?(Z|[+-][01][0-9]:[0-5][0-9])";
    mostly(prop_oneof![
        prop::sample::select(&LIKE_TIMES[..]).prop_map(Value::from),
        digits.prop_map(Value::from),
    ])
    .boxed()
}

fn names(of: &'static [&'static str]) -> BoxedStrategy<Option<Value>> {
    mostly(prop::sample::select(of).prop_map(Value::from)).boxed()
}

fn payload() -> impl Strategy<Value = Value> {
    let organization = object(vec![
        ("id", text("[a-z0-9-]{1,8}")),
        ("name", text(".{0,8}")),
        ("fullName", text(".{0,8}")),
        ("url", text(".{0,8}")),
    ]);
    let installation = object(vec![
        ("id", text("[a-z0-9-]{1,8}")),
        ("appId", text(".{0,8}")),
        ("appNameId", text(".{0,8}")),
        ("createdAt", time()),
        ("updatedAt", time()),
        ("accessTokensUrl", text(".{0,8}")),
        ("organization", mostly(organization).boxed()),
        (
            "permissions",
            mostly(object(vec![("organization_info", names(&["VIEW", "X"]))])).boxed(),
        ),
    ]);
    let amount = mostly(prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?".prop_map(Value::from),
        Just(Value::Null),
    ]);
    let transaction = object(vec![
        ("id", text("[a-z0-9-]{1,8}")),
        (
            "status",
            names(&["pending_queue", "processed", "failed", "reversed"]),
        ),
        ("type", names(&["transfer", "retire", "swap"])),
        ("amount", amount.boxed()),
        ("creditId", text(".{0,8}")),
        ("createdAt", time()),
        ("updatedAt", time()),
    ]);
    let sender = object(vec![
        ("id", text(".{0,8}")),
        ("fullName", text(".{0,8}")),
        ("email", text(".{0,8}")),
        ("profilePicture", text(".{0,8}")),
    ]);
    let event = names(&[
        "installed",
        "uninstalled",
        "suspended",
        "unsuspended",
        "newPermissionsAccepted",
        "warehouseTransaction",
        "organizationTransaction",
        "projectValidated",
        "a.b-c_9",
        "Installed",
    ]);
    object(vec![
        ("event", event),
        ("state", text(".{0,8}")),
        ("installation", mostly(installation).boxed()),
        ("transaction", mostly(transaction).boxed()),
        ("sender", mostly(sender).boxed()),
        (
            "organization",
            prop_oneof![Just(None), anything().prop_map(Some)].boxed(),
        ),
    ])
}

#[test]
fn the_record_of_an_arbitrary_payload_is_valid() {
    let validators: BTreeMap<_, _> = Form::ALL
        .map(|form| (form, (form.validators(), form.asyncapi_validators())))
        .into();
    let seen: RefCell<BTreeMap<String, u32>> = RefCell::default();
    // For the code that generators make: `tests/run contract`.
    let random_records = std::env::var_os("RANDOM_RECORDS").map(|path| File::create(path).unwrap());
    let mut runner = TestRunner::new(Config::with_cases(500));
    let outcome = runner.run(&payload(), |payload| {
        for content_mode in [ContentMode::Binary, ContentMode::Structured] {
            let record = Found::from(&made(&GoldenCase {
                name: "arbitrary".to_owned(),
                posted: posted("arbitrary", &payload.to_string()),
                settings: RecordSettings {
                    content_mode,
                    ..default_settings()
                },
                making: Making::Ordinary,
            }));
            let form = Form::of(&record);
            let value: Value = serde_json::from_str(&record.value).unwrap();
            if form == Form::Binary
                && let Some(file) = &random_records
            {
                writeln!(&*file, "{}", record.value).unwrap();
            }
            let (by_schema, by_asyncapi) = &validators[&form];
            for (headers_validator, value_validator) in [by_schema, by_asyncapi] {
                let found = complaints(headers_validator, &headers_of(&record));
                prop_assert!(found.is_empty(), "{:#?}", found);
                let found = complaints(value_validator, &value);
                prop_assert!(found.is_empty(), "{value}: {:#?}", found);
            }
            let kind = match form {
                Form::Binary => record.header("ce_type").unwrap().to_owned(),
                Form::Structured => "structured".to_owned(),
                Form::Quarantine => record.header("ce_reason").unwrap().to_owned(),
            };
            *seen.borrow_mut().entry(kind).or_default() += 1;
        }
        Ok(())
    });
    outcome.unwrap();
    let seen = seen.into_inner();
    for kind in [
        "com.carbonregistry.installed",
        "com.carbonregistry.warehouseTransaction",
        "com.carbonregistry.projectValidated",
        "structured",
        "event_missing",
        "organization_missing",
        "transaction_invalid",
    ] {
        assert!(seen.contains_key(kind), "{kind}: {seen:#?}");
    }
}

/// Every scalar of a payload, as its text, with how often it stands there.
fn scalars(value: &Value, found: &mut BTreeMap<String, i32>, by: i32) {
    match value {
        Value::Null => {}
        Value::Array(list) => list.iter().for_each(|value| scalars(value, found, by)),
        Value::Object(object) => object.values().for_each(|value| scalars(value, found, by)),
        Value::String(text) => *found.entry(text.clone()).or_default() += by,
        scalar => *found.entry(scalar.to_string()).or_default() += by,
    }
}

#[test]
fn nothing_of_an_arbitrary_payload_is_lost() {
    let mut runner = TestRunner::new(Config::with_cases(500));
    let outcome = runner.run(&payload(), |mut payload| {
        let signed_data = BASE64_STANDARD.encode(payload.to_string());
        let Ok(event) = normalize(&signed_data, Redaction::default()) else {
            return Ok(());
        };
        // The amount alone is spelled otherwise.
        let mut value: Value = serde_json::from_slice(&event.value).unwrap();
        for value in [&mut payload, &mut value] {
            if let Some(amount) = value.pointer_mut("/transaction/amount") {
                *amount = Value::Null;
            }
        }
        let mut found = BTreeMap::new();
        scalars(&payload, &mut found, 1);
        scalars(&value, &mut found, -1);
        let lost: Vec<_> = found.iter().filter(|(_, count)| **count > 0).collect();
        prop_assert!(lost.is_empty(), "{payload} became {value}: {lost:?}");
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn an_unknown_event_may_be_of_any_shape() {
    let (_, validator) = Form::Binary.validators();
    for payload in [
        json!({"event": "x"}),
        json!({"event": "x", "installation": 7, "sender": [], "transaction": "t", "organization": {}}),
        json!({"event": "x", "installation": {"organization": "o", "id": null}}),
        json!({"event": "x", "installation": {"organization": {"id": ""}}}),
        json!({"event": "x", "transaction": {"id": "t", "amount": "12"}}),
        json!({"event": "x", "transaction": {"id": "t", "amount": "much"}}),
        json!({"event": "x", "transaction": {"id": [], "amount": 1}}),
        json!({"event": "x", "state": [], "installation": {"permissions": {"a": null}, "createdAt": 7}}),
    ] {
        let record = Found::from(&made(&GoldenCase {
            name: "arbitrary".to_owned(),
            posted: posted("arbitrary", &payload.to_string()),
            settings: default_settings(),
            making: Making::Ordinary,
        }));
        assert_eq!(Form::of(&record), Form::Binary, "{payload}");
        let value = serde_json::from_str(&record.value).unwrap();
        let found = complaints(&validator, &value);
        assert!(found.is_empty(), "{value}: {found:#?}");
    }
}
