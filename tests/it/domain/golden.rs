//! Records equal their golden files.

use crate::support::golden::{
    GoldenCase, assert_golden, cases, default_settings, folder, made, text, variants,
};
use icr_bridge::domain::record::{ContentMode, Record, RecordSettings};
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn every_record_equals_its_golden_file() {
    for case in cases() {
        assert_golden(&case.name, &text(&made(&case)));
    }
}

#[test]
fn every_golden_file_belongs_to_a_case() {
    let names: BTreeSet<String> = cases()
        .into_iter()
        .map(|case| format!("{}.json", case.name))
        .collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&file), "{file} belongs to no case");
    }
}

/// Every delivery once, under the defaults.
fn deliveries() -> Vec<GoldenCase> {
    let all = cases().into_iter();
    all.filter(|case| !case.name.contains('.')).collect()
}

/// The record of a delivery under these settings.
fn under(case: &GoldenCase, settings: &RecordSettings) -> Record {
    made(&GoldenCase {
        name: case.name.clone(),
        posted: case.posted.clone(),
        settings: settings.clone(),
    })
}

#[test]
fn no_setting_changes_what_is_quarantined_but_for_the_instance_s_name() {
    let mut count = 0;
    for case in deliveries() {
        let plain = under(&case, &default_settings());
        if plain.quarantined.is_none() {
            continue;
        }
        count += 1;
        assert_eq!(
            plain.value,
            case.posted.body.as_bytes(),
            "{}: whole",
            case.name
        );
        for (variant, settings) in variants() {
            let mut record = under(&case, &settings);
            record.headers.retain(|(name, _)| *name != "ce_instance");
            assert_eq!(record, plain, "{}.{variant}", case.name);
        }
    }
    assert!(count >= 15, "{count}");
}

#[test]
fn a_structured_record_holds_the_very_attributes_and_bytes_of_the_binary_one() {
    for case in deliveries() {
        for (variant, settings) in variants() {
            let binary = RecordSettings {
                content_mode: ContentMode::Binary,
                ..settings.clone()
            };
            let (binary, record) = (under(&case, &binary), under(&case, &settings));
            if settings.content_mode == ContentMode::Binary || record.quarantined.is_some() {
                continue;
            }
            let what = format!("{}.{variant}", case.name);
            assert_eq!(
                (&record.topic, &record.key),
                (&binary.topic, &binary.key),
                "{what}"
            );
            assert!(
                record.value.ends_with(&[&binary.value[..], b"}"].concat()),
                "{what}"
            );
            let envelope: Value = serde_json::from_slice(&record.value).unwrap();
            let attributes = envelope.as_object().unwrap();
            let mut headers = 0;
            for (name, value) in &binary.headers {
                let Some(attribute) = name.strip_prefix("ce_") else {
                    continue;
                };
                headers += 1;
                assert_eq!(attributes[attribute], **value, "{what} {attribute}");
            }
            // Beside them: the content type of the data, and the data.
            assert_eq!(attributes.len(), headers + 2, "{what}");
            assert_eq!(attributes["datacontenttype"], "application/json");
        }
    }
}

#[test]
fn dropping_the_sender_changes_the_sender_alone() {
    let (mut dropped, mut absent) = (0, 0);
    for case in deliveries() {
        let plain = under(&case, &default_settings());
        if plain.quarantined.is_some() {
            continue;
        }
        for (variant, settings) in variants() {
            if !settings.redaction.drop_sender {
                continue;
            }
            let what = format!("{}.{variant}", case.name);
            let record = under(&case, &settings);
            let value: Value = serde_json::from_slice(&record.value).unwrap();
            let event = match settings.content_mode {
                ContentMode::Binary => &value,
                ContentMode::Structured => &value["data"],
            };
            let mut expected: Value = serde_json::from_slice(&plain.value).unwrap();
            let sender = std::mem::take(&mut expected["sender"]);
            assert!(event.get("sender").is_some(), "{what}: null, not left out");
            assert_eq!(*event, expected, "{what}");
            let text = String::from_utf8(record.value).unwrap();
            for private in ["email", "fullName", "profilePicture"] {
                let Some(private) = sender[private].as_str().filter(|text| !text.is_empty()) else {
                    continue;
                };
                // The organization may be called like its only member.
                if !expected.to_string().contains(private) {
                    assert!(!text.contains(private), "{what}: {private}");
                }
            }
            if sender.is_null() {
                absent += 1;
            } else {
                dropped += 1;
            }
        }
    }
    assert!(dropped > 50 && absent >= 2, "{dropped} {absent}");
}
