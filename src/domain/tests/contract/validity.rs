//! Every record is valid, and what is no record is not.

use super::generator::asyncapi;
use super::generator::event::Event;
use super::generator::headers::{EventHeaders, QuarantineHeaders, StructuredEventHeaders};
use super::generator::quarantine::QuarantinedBody;
use super::generator::schema::SchemaDocument;
use super::generator::structured::StructuredEvent;
use super::{Form, complaints, golden_records};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[test]
fn every_golden_record_is_valid_under_the_schemas_and_under_the_asyncapi_document() {
    let mut seen = 0;
    for form in Form::ALL {
        let by_schema = form.validators();
        let by_asyncapi = form.asyncapi_validators();
        for (name, of, headers, value) in golden_records() {
            if of != form {
                continue;
            }
            for (headers_validator, value_validator) in [&by_schema, &by_asyncapi] {
                let found = complaints(headers_validator, &headers);
                assert!(found.is_empty(), "{name}, headers: {found:#?}");
                let found = complaints(value_validator, &value);
                assert!(found.is_empty(), "{name}: {found:#?}");
            }
            seen += 1;
        }
    }
    assert!(seen > 200, "{seen}");
}

/// Reads into the type and writes again; keys keep their order on the way.
fn read_and_written<T: Serialize + DeserializeOwned>(value: &Value) -> String {
    let typed: T = serde_json::from_value(value.clone()).unwrap();
    serde_json::to_string(&typed).unwrap()
}

#[test]
fn the_types_read_every_golden_record_and_write_it_back_field_by_field() {
    for (name, form, headers, value) in golden_records() {
        let (typed_headers, typed_value) = match form {
            Form::Binary => (
                read_and_written::<EventHeaders>(&headers),
                read_and_written::<Event>(&value),
            ),
            Form::Structured => (
                read_and_written::<StructuredEventHeaders>(&headers),
                read_and_written::<StructuredEvent>(&value),
            ),
            Form::Quarantine => (
                read_and_written::<QuarantineHeaders>(&headers),
                // Of the rest of a body no order is known.
                serde_json::to_string(&sorted(&read_and_written::<QuarantinedBody>(&value)))
                    .unwrap(),
            ),
        };
        assert_eq!(typed_headers, headers.to_string(), "{name}");
        let expected = match form {
            Form::Quarantine => sorted(&value.to_string()).to_string(),
            Form::Binary | Form::Structured => value.to_string(),
        };
        assert_eq!(typed_value, expected, "{name}");
    }
}

/// An object whose fields are in alphabetical order.
fn sorted(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap();
    value.as_object_mut().unwrap().sort_keys();
    value
}

/// A record, and what a change makes of it.
fn changed(record: &Value, pointer: &str, to: Option<Value>) -> Value {
    let mut record = record.clone();
    match to {
        Some(value) => *record.pointer_mut(pointer).unwrap() = value,
        None => {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let parent = record.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            parent.shift_remove(key).unwrap();
        }
    }
    record
}

fn golden(name: &str) -> (Value, Value) {
    let records = golden_records().into_iter();
    let mut found = records.filter(|(known, ..)| known == name);
    let (_, _, headers, value) = found.next().unwrap();
    (headers, value)
}

#[test]
fn a_value_that_the_bridge_would_never_write_is_refused() {
    let (_, value) = golden("matrix_warehouseTransaction_processed_transfer");
    let changes = [
        ("/event", Some(json!(7))),
        ("/event", Some(json!(""))),
        ("/event", Some(json!("two words"))),
        ("/event", Some(json!("x".repeat(101)))),
        ("/transaction/amount", Some(json!(12.5))),
        ("/transaction/amount", Some(json!("1e-7"))),
        ("/transaction/amount", Some(json!("+1"))),
        ("/transaction/amount", Some(json!("01"))),
        ("/transaction/amount", Some(json!(".5"))),
        ("/transaction/amount", Some(json!("1."))),
        ("/transaction/amount", Some(json!(""))),
        ("/transaction/amount", Some(json!("1".repeat(101)))),
        ("/transaction/amount", Some(json!("1\n"))),
        ("/transaction/id", Some(json!(7))),
        ("/transaction/id", Some(json!(""))),
        ("/transaction/id", Some(json!(null))),
        ("/transaction", Some(json!(null))),
        ("/transaction", Some(json!("t1"))),
        ("/organization", Some(json!(null))),
        ("/organization", Some(json!([]))),
        ("/organization/id", Some(json!(null))),
        ("/organization/id", Some(json!(""))),
        ("/organization/id", Some(json!(7))),
        ("/installation", Some(json!(null))),
        ("/installation/id", Some(json!(""))),
        ("/installation/id", Some(json!({}))),
        ("/sender", Some(json!("somebody"))),
        ("/state", Some(json!(7))),
        ("/organization/name", Some(json!({"en": "x"}))),
        ("/organization/url", Some(json!(true))),
        ("/installation/appId", Some(json!(7))),
        ("/installation/createdAt", Some(json!(1_710_414_115))),
        ("/installation/createdAt", Some(json!(""))),
        ("/installation/updatedAt", Some(json!("yesterday"))),
        ("/installation/permissions", Some(json!("all"))),
        ("/installation/permissions", Some(json!(["VIEW"]))),
        (
            "/installation/permissions/organization_info",
            Some(json!(null)),
        ),
        (
            "/installation/permissions",
            Some(json!({"organization_audit": 7})),
        ),
        ("/transaction/status", Some(json!(7))),
        ("/transaction/type", Some(json!([]))),
        ("/transaction/creditId", Some(json!(1.5))),
        (
            "/transaction/createdAt",
            Some(json!("2024-13-02T08:15:00Z")),
        ),
        ("/transaction/createdAt", Some(json!("2024-09-02T08:15:00"))),
        (
            "/transaction/updatedAt",
            Some(json!("2024-09-02t08:15:00z")),
        ),
        (
            "/transaction/updatedAt",
            Some(json!("2024-09-02T08:15:00.1234567890Z")),
        ),
        ("/sender/email", Some(json!(7))),
        ("/sender/fullName", Some(json!(["Jane"]))),
    ];
    let named = [
        "/event",
        "/state",
        "/organization",
        "/organization/id",
        "/organization/name",
        "/organization/url",
        "/installation",
        "/installation/id",
        "/installation/appId",
        "/installation/appNameId",
        "/installation/createdAt",
        "/installation/updatedAt",
        "/installation/permissions",
        "/installation/accessTokensUrl",
        "/transaction",
        "/transaction/id",
        "/transaction/status",
        "/transaction/type",
        "/transaction/amount",
        "/transaction/creditId",
        "/transaction/createdAt",
        "/transaction/updatedAt",
        "/sender",
        "/sender/id",
        "/sender/fullName",
        "/sender/email",
        "/sender/profilePicture",
    ];
    let missing = named.map(|pointer| (pointer, None));
    let (_, by_schema) = Form::Binary.validators();
    let (_, by_asyncapi) = Form::Binary.asyncapi_validators();
    assert!(by_schema.is_valid(&value) && by_asyncapi.is_valid(&value));
    for (pointer, to) in changes.into_iter().chain(missing) {
        let wrong = changed(&value, pointer, to.clone());
        assert!(!by_schema.is_valid(&wrong), "{pointer} as {to:?}");
        assert!(
            !by_asyncapi.is_valid(&wrong),
            "AsyncAPI: {pointer} as {to:?}"
        );
    }
}

#[test]
fn open_sets_are_open() {
    let (headers, value) = golden("matrix_warehouseTransaction_processed_transfer");
    let (headers_validator, value_validator) = Form::Binary.validators();
    for (pointer, to) in [
        ("/event", json!("projectValidated")),
        ("/transaction/status", json!("reversed")),
        ("/transaction/status", json!("")),
        ("/transaction/type", json!("swap")),
        ("/transaction/type", json!(null)),
        ("/transaction/createdAt", json!(null)),
        ("/transaction/createdAt", json!("2024-09-02T08:15:00+05:30")),
        ("/transaction/amount", json!(null)),
        (
            "/installation/permissions",
            json!({"organization_audit": "ADMIN"}),
        ),
        ("/installation/permissions", json!({})),
        ("/installation/permissions", json!(null)),
        (
            "/installation/permissions/organization_info",
            json!("EVERYTHING"),
        ),
        ("/organization/name", json!(null)),
        ("/state", json!(null)),
        ("/sender", json!(null)),
        ("/sender/email", json!("")),
    ] {
        let value = changed(&value, pointer, Some(to.clone()));
        let found = complaints(&value_validator, &value);
        assert!(found.is_empty(), "{pointer} as {to}: {found:#?}");
    }
    for object in [
        "",
        "/organization",
        "/installation",
        "/transaction",
        "/sender",
    ] {
        let mut value = value.clone();
        let object = value.pointer_mut(object).unwrap().as_object_mut().unwrap();
        object.insert("added".to_owned(), json!({"later": [1, null]}));
        assert!(value_validator.is_valid(&value));
    }
    let mut headers = headers;
    headers["traceparent"] = json!("00-…");
    assert!(headers_validator.is_valid(&headers));
}

#[test]
fn headers_that_the_bridge_would_never_write_are_refused() {
    let mut refused = 0;
    for (form, name) in [
        (Form::Binary, "doc_example_installed.replay"),
        (
            Form::Structured,
            "doc_example_installed.structured_signature_headers",
        ),
        (Form::Quarantine, "event_missing.replay"),
    ] {
        let (headers, _) = golden(name);
        let by_schema = form.validators().0;
        let by_asyncapi = form.asyncapi_validators().0;
        let (schema, _) = form.schemas();
        let schema = SchemaDocument::named(schema).unwrap().schema();
        let required = schema["required"].as_array().unwrap();
        for name in headers.as_object().unwrap().keys() {
            let pointer = format!("/{name}");
            let mut wrong = vec![changed(&headers, &pointer, Some(json!(7)))];
            if name != "icr_signed_data" && name != "ce_subject" {
                wrong.push(changed(&headers, &pointer, Some(json!("Not that!"))));
            }
            if name != "icr_signed_data" {
                wrong.push(changed(&headers, &pointer, Some(json!(""))));
            }
            if required.contains(&json!(name)) {
                wrong.push(changed(&headers, &pointer, None));
            }
            for wrong in wrong {
                assert!(!by_schema.is_valid(&wrong), "{name}: {wrong}");
                assert!(!by_asyncapi.is_valid(&wrong), "AsyncAPI, {name}: {wrong}");
                refused += 1;
            }
        }
    }
    assert!(refused > 80, "{refused}");
}

#[test]
fn structured_events_and_quarantined_bodies_are_checked_as_well() {
    let (_, event) = golden("matrix_installed.structured");
    let (_, by_schema) = Form::Structured.validators();
    for (pointer, to) in [
        ("/specversion", Some(json!("2.0"))),
        ("/id", Some(json!("0191b1e5-7e78-4000-8000-000000000001"))),
        ("/time", Some(json!("2024-09-02T08:15:00Z"))),
        ("/time", Some(json!("2024-13-02T08:15:00.000Z"))),
        ("/journalsequence", Some(json!("42"))),
        ("/dataschema", Some(json!("urn:icr-bridge:event:2"))),
        ("/fingerprint", Some(json!("00"))),
        ("/data", None),
        ("/data", Some(json!(null))),
        ("/data/sender", None),
        ("/data/event", Some(json!(1))),
        ("/source", Some(json!("/icr/Default"))),
        ("/type", Some(json!("installed"))),
    ] {
        let wrong = changed(&event, pointer, to.clone());
        assert!(!by_schema.is_valid(&wrong), "{pointer} as {to:?}");
    }
    let (_, body) = golden("event_missing");
    let (_, by_schema) = Form::Quarantine.validators();
    for to in [None, Some(json!(7)), Some(json!(null))] {
        assert!(!by_schema.is_valid(&changed(&body, "/signedData", to)));
    }
}

#[test]
fn the_examples_of_the_asyncapi_document_are_golden_records_and_valid() {
    let document = asyncapi::document();
    let records = golden_records();
    let mut compared = 0;
    for form in Form::ALL {
        let (headers_validator, value_validator) = form.asyncapi_validators();
        let message = &document["components"]["messages"][form.message()];
        for example in message["examples"].as_array().unwrap() {
            let name = example["name"].as_str().unwrap();
            let (_, of, headers, value) = records
                .iter()
                .find(|(known, ..)| known == name)
                .unwrap_or_else(|| panic!("{name} is no golden record"));
            assert_eq!(*of, form, "{name}");
            // As text, so that the order counts.
            assert_eq!(
                example["headers"].to_string(),
                headers.to_string(),
                "{name}"
            );
            assert_eq!(example["payload"].to_string(), value.to_string(), "{name}");
            assert!(complaints(&headers_validator, &example["headers"]).is_empty());
            assert!(complaints(&value_validator, &example["payload"]).is_empty());
            compared += 1;
        }
    }
    assert_eq!(compared, 16);
}

#[test]
fn the_key_of_every_golden_record_is_of_the_documented_form() {
    let document = asyncapi::document();
    for form in Form::ALL {
        let message = &document["components"]["messages"][form.message()];
        let validator = super::validator(&message["bindings"]["kafka"]["key"]);
        for case in crate::support::golden::cases() {
            let record = crate::support::golden::Found::read(&case.name);
            if Form::of(&record) == form {
                assert!(validator.is_valid(&json!(record.key)), "{}", case.name);
            }
        }
        assert!(!validator.is_valid(&json!(7)) && !validator.is_valid(&json!("no key")));
    }
}
