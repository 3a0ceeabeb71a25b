//! Records equal their golden files, and the files show everything there is.

use crate::support::golden::{
    Found, GoldenCase, Identity, assert_golden, cases, default_settings, folder, made, variants,
};
use icr_domain::event::EventKind;
use icr_domain::reasons::QuarantineReason;
use icr_domain::record::{ContentMode, Record, RecordSettings};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn every_record_equals_its_golden_file() {
    for case in cases() {
        assert_golden(&case.name, &Found::from(&made(&case)).text());
    }
}

#[test]
fn every_golden_file_belongs_to_a_case_and_reads_back_the_same() {
    let names: BTreeSet<String> = cases().into_iter().map(|case| case.name).collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if file == "README.md" {
            continue;
        }
        let name = file.strip_suffix(".json").unwrap_or(&file);
        assert!(names.contains(name), "{file} belongs to no case");
        let text = std::fs::read_to_string(folder().join(&file)).unwrap();
        assert_eq!(Found::read(name).text(), text, "{file}");
    }
}

#[test]
fn golden_deliveries_have_ids_and_sequences_of_their_own_and_their_variants_share_them() {
    let mut seen = BTreeMap::new();
    for case in cases() {
        let delivery = case.name.split('.').next().unwrap().to_owned();
        let identity = Identity::of(&case.name);
        let other = seen.insert((identity.id, identity.sequence), delivery.clone());
        assert!(other.is_none_or(|other| other == delivery), "{delivery}");
        assert_eq!(identity.id.get_version_num(), 7, "{delivery}");
    }
    let sequences: BTreeSet<u64> = seen.keys().map(|(_, sequence)| *sequence).collect();
    assert_eq!(sequences.len(), seen.len());
}

/// `(event, status, type)` of the golden record, if it is no quarantine record.
fn kind_of(golden: &Found) -> Option<(String, Value, Value)> {
    let value: Value = serde_json::from_str(&golden.value).unwrap();
    let data = if golden.is_structured() {
        &value["data"]
    } else {
        &value
    };
    let transaction = &data["transaction"];
    let event = data["event"].as_str().map(str::to_owned)?;
    Some((
        event,
        transaction["status"].clone(),
        transaction["type"].clone(),
    ))
}

#[test]
fn there_is_a_golden_record_for_every_event_status_and_type_in_both_content_modes() {
    let shown: BTreeSet<String> = cases()
        .iter()
        .map(|case| Found::read(&case.name))
        .filter(|golden| golden.header("ce_reason").is_none())
        .filter_map(|golden| Some((golden.is_structured(), kind_of(&golden)?)))
        .map(|(structured, (event, status, kind))| format!("{structured} {event} {status} {kind}"))
        .collect();
    let known = EventKind::ALL
        .iter()
        .filter(|kind| **kind != EventKind::Other);
    for kind in known {
        for structured in [false, true] {
            let event = kind.label();
            if kind.is_lifecycle() {
                let wanted = format!("{structured} {event} null null");
                assert!(shown.contains(&wanted), "{wanted}");
                continue;
            }
            for status in ["pending_queue", "processed", "failed"] {
                for kind in ["transfer", "transfer_retire", "retire", "cancel"] {
                    let wanted = format!("{structured} {event} \"{status}\" \"{kind}\"");
                    assert!(shown.contains(&wanted), "{wanted}");
                }
            }
        }
    }
}

#[test]
fn there_is_a_golden_record_for_every_reason_of_quarantine_and_it_is_the_same_in_both_content_modes()
 {
    let mut shown = BTreeSet::new();
    for case in cases() {
        let golden = Found::read(&case.name);
        if let Some(reason) = golden.header("ce_reason") {
            shown.insert(reason.to_owned());
            assert_eq!(golden.key, None);
            let delivery = case.name.strip_suffix(".structured");
            if let Some(delivery) = delivery {
                assert_eq!(golden.text(), Found::read(delivery).text());
            }
        }
    }
    let all = QuarantineReason::ALL.iter();
    let all: BTreeSet<_> = all.map(|reason| reason.name().to_owned()).collect();
    assert_eq!(shown, all);
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
        making: case.making,
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
            // What is no object.
            let odd = expected.as_object_mut().unwrap().shift_remove("_sender");
            assert!(event.get("sender").is_some(), "{what}: null, not left out");
            assert_eq!(*event, expected, "{what}");
            let text = String::from_utf8(record.value).unwrap();
            if let Some(odd) = &odd {
                assert!(!text.contains("sender\":\""), "{what}: {odd}");
                assert!(!text.contains(odd.as_str().unwrap()), "{what}: {odd}");
            }
            for private in ["email", "fullName", "profilePicture"] {
                let Some(private) = sender[private].as_str().filter(|text| !text.is_empty()) else {
                    continue;
                };
                // The organization may be called like its only member.
                if !expected.to_string().contains(private) {
                    assert!(!text.contains(private), "{what}: {private}");
                }
            }
            if sender.is_null() && odd.is_none() {
                absent += 1;
            } else {
                dropped += 1;
            }
        }
    }
    assert!(dropped > 50 && absent >= 2, "{dropped} {absent}");
}
