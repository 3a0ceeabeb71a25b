//! The documents are what the types say, and say it well. `UPDATE_CONTRACT=1 cargo test contract` writes the files.

use super::generator::asyncapi;
use super::generator::open::{KNOWN_PROPERTIES, KNOWN_VALUES};
use super::generator::reasons::KnownReason;
use super::generator::schema::{SCHEMAS, SchemaDocument};
use super::{Form, folder, validator};
use crate::support::golden::{Found, cases};
use icr_domain::cloudevent::{EVENT_SCHEMA, QUARANTINE_SCHEMA};
use icr_domain::event::EventKind;
use icr_domain::reasons::QuarantineReason;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Compares a text with its file in the folder of the contract, or writes the file.
pub fn assert_current(file: &str, text: &str) {
    let path = folder().join(file);
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if found != text && std::env::var_os("UPDATE_CONTRACT").is_some_and(|value| value == "1") {
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert!(
        found == text,
        "deploy/contract/{file} is not what the code says; UPDATE_CONTRACT=1 cargo test contract writes it anew"
    );
}

#[test]
fn the_files_are_what_the_types_say() {
    for schema in SCHEMAS {
        assert_current(&schema.file(), &schema.text());
    }
    assert_current(asyncapi::FILE, &asyncapi::yaml().unwrap());
}

/// One line for each delivery of which there are golden records, but those whose names say it all.
fn golden_index() -> String {
    let mut index = String::from("| file | record | shows | also under |\n|---|---|---|---|\n");
    let all = cases();
    let by_rule = |name: &str| name.contains('.') || name.starts_with("matrix_");
    for case in all.iter().filter(|case| !by_rule(&case.name)) {
        let record = Found::read(&case.name);
        let value: Value = serde_json::from_str(&record.value).unwrap();
        let what = match record.header("ce_reason") {
            Some(reason) => format!("quarantined: `{reason}`"),
            None => {
                let transaction = &value["transaction"];
                let parts = [
                    &value["event"],
                    &transaction["status"],
                    &transaction["type"],
                ];
                let parts: Vec<&str> = parts.iter().filter_map(|part| part.as_str()).collect();
                format!("`{}`", parts.join("` `"))
            }
        };
        let prefix = format!("{}.", case.name);
        let variants: Vec<String> = all
            .iter()
            .filter_map(|other| other.name.strip_prefix(&prefix))
            .map(|variant| format!("`{variant}`"))
            .collect();
        let shows = case.posted.shows.replace('|', "\\|");
        let name = &case.name;
        writeln!(
            index,
            "| [`{name}`]({name}.json) | {what} | {shows} | {} |",
            variants.join(" ")
        )
        .unwrap();
    }
    index
}

#[test]
fn the_golden_folder_has_an_index() {
    let file = "golden/README.md";
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let (begin, end) = ("<!-- index:begin -->\n", "<!-- index:end -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let index = golden_index();
    assert_current(file, &format!("{before}{begin}{index}{end}{after}"));
}

#[test]
fn the_yaml_says_the_same_as_the_document_and_needs_no_yaml_1_2() {
    let text = asyncapi::yaml().unwrap();
    let read: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(read, asyncapi::document());
    for line in text.lines() {
        let unquoted = line
            .split_once(": 20")
            .is_some_and(|(_, rest)| rest.contains('T'));
        assert!(!unquoted, "YAML 1.1 takes it for a time: {line}");
    }
}

#[test]
fn every_schema_is_a_valid_schema_of_its_draft_with_an_id_of_its_own() {
    let mut ids = Vec::new();
    for schema in SCHEMAS {
        let json = schema.schema();
        assert!(jsonschema::meta::is_valid(&json), "{}", schema.name);
        assert_eq!(
            json["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert_eq!(json["$id"], schema.id);
        assert!(!ids.contains(&schema.id));
        ids.push(schema.id);
    }
    assert!(ids.contains(&EVENT_SCHEMA) && ids.contains(&QUARANTINE_SCHEMA));
}

/// Each schema and each subschema, with the place where it stands.
fn subschemas<'a>(schema: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
    found.push((path.to_owned(), schema));
    let Some(object) = schema.as_object() else {
        return;
    };
    for (keyword, value) in object {
        let path = format!("{path}/{keyword}");
        match keyword.as_str() {
            // Described together.
            KNOWN_PROPERTIES => {
                let known = value.as_object().unwrap().values();
                assert!(known.clone().count() > 0);
                for meaning in known {
                    assert!(
                        meaning.as_str().is_some_and(|text| text.len() > 5),
                        "{path}"
                    );
                }
            }
            "properties" | "$defs" => {
                for (name, schema) in value.as_object().unwrap() {
                    subschemas(schema, &format!("{path}/{name}"), found);
                }
            }
            "anyOf" | "oneOf" | "allOf" => {
                for (index, schema) in value.as_array().unwrap().iter().enumerate() {
                    subschemas(schema, &format!("{path}/{index}"), found);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn every_field_is_described_and_has_examples_that_are_valid() {
    let (mut described, mut examples) = (0, 0);
    for document in SCHEMAS {
        let schema = document.schema();
        let mut all = Vec::new();
        subschemas(&schema, document.name, &mut all);
        for (path, part) in all {
            if path.contains("/allOf/") {
                continue;
            }
            let description = part["description"].as_str().unwrap_or_default();
            assert!(!description.contains("Examples"), "{path}: {description}");
            if path.rsplit('/').nth(1) != Some("properties") {
                continue;
            }
            assert!(description.len() > 5, "{path} has no description");
            described += 1;
            let mut whole = json!({"$schema": schema["$schema"], "allOf": [part]});
            if let Some(definitions) = schema.get("$defs") {
                whole["$defs"] = definitions.clone();
            }
            let validator = validator(&whole);
            for example in part["examples"].as_array().into_iter().flatten() {
                examples += 1;
                assert!(validator.is_valid(example), "{path}: {example}");
            }
            let is_object = part.to_string().contains("#/$defs/");
            let has_one_value = part.get("const").is_some() || path.ends_with("icr_signed_data");
            assert!(
                part.get("examples").is_some() || is_object || has_one_value,
                "{path} has no examples"
            );
        }
    }
    assert!(described > 80 && examples > 80, "{described}, {examples}");
}

/// The values that an open set documents: with their meaning, and first among the examples.
fn documented(schema: &Value) -> Vec<&str> {
    let known = schema[KNOWN_VALUES].as_object().unwrap();
    let examples = schema["examples"].as_array().unwrap();
    for (known, example) in known.iter().zip(examples) {
        assert_eq!(known.0, example);
        assert!(known.1.as_str().is_some_and(|text| text.len() > 5));
    }
    assert!(examples.len() >= known.len());
    known.keys().map(String::as_str).collect()
}

#[test]
fn the_schemas_document_the_vocabularies_of_the_code() {
    let event = SCHEMAS[0].schema();
    let kinds = EventKind::ALL
        .iter()
        .filter(|kind| **kind != EventKind::Other);
    let kinds: Vec<_> = kinds.map(|kind| kind.label()).collect();
    assert_eq!(documented(&event["properties"]["event"]), kinds);
    let headers = SCHEMAS[5].schema();
    let reasons: Vec<_> = QuarantineReason::ALL.iter().map(|it| it.name()).collect();
    let documented_reasons = &headers["properties"]["ce_reason"];
    assert_eq!(documented(documented_reasons), reasons);
    for reason in QuarantineReason::ALL {
        assert_eq!(json!(KnownReason::from(*reason)), reason.name());
        let sentence = &documented_reasons[KNOWN_VALUES][reason.name()];
        assert_eq!(sentence, reason.meaning());
    }
}

/// What a schema says of each of its fields and definitions, in one dialect.
fn in_one_dialect(schema: &Value) -> Value {
    let text = schema.to_string();
    let mut schema: Value =
        serde_json::from_str(&text.replace("#/$defs/", "#/components/schemas/")).unwrap();
    fn unwrap_references(schema: &mut Value) {
        // Draft 07 ignores what stands beside a reference.
        let wrapped = schema["allOf"].as_array().filter(|list| list.len() == 1);
        let wrapped = wrapped.and_then(|list| list[0].get("$ref").cloned());
        if let (Some(reference), Some(object)) = (wrapped, schema.as_object_mut()) {
            object.shift_remove("allOf");
            object.insert("$ref".to_owned(), reference);
        }
        match schema {
            Value::Object(object) => object.values_mut().for_each(unwrap_references),
            Value::Array(list) => list.iter_mut().for_each(unwrap_references),
            _ => {}
        }
    }
    unwrap_references(&mut schema);
    let object = schema.as_object_mut().unwrap();
    for keyword in ["$schema", "$id", "$defs"] {
        object.shift_remove(keyword);
    }
    schema
}

#[test]
fn the_asyncapi_document_has_the_very_schemas_of_the_files() {
    let document = asyncapi::document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut compared = BTreeSet::new();
    for (form, part) in Form::ALL
        .into_iter()
        .flat_map(|form| [(form, "headers"), (form, "payload")])
    {
        let (headers, payload) = form.schemas();
        let file = if part == "headers" { headers } else { payload };
        let by_file = SchemaDocument::named(file).unwrap().schema();
        let reference = &document["components"]["messages"][form.message()][part]["$ref"];
        let name = reference.as_str().unwrap().rsplit('/').next().unwrap();
        assert_eq!(
            in_one_dialect(&schemas[name]),
            in_one_dialect(&by_file),
            "{file}"
        );
        compared.insert(name.to_owned());
        for (name, definition) in by_file["$defs"].as_object().into_iter().flatten() {
            assert_eq!(
                in_one_dialect(&schemas[name]),
                in_one_dialect(definition),
                "{name}"
            );
            compared.insert(name.to_owned());
        }
    }
    let all: BTreeSet<String> = schemas.keys().cloned().collect();
    assert_eq!(compared, all);
}

/// Whether a schema leaves the type of what it describes open, or allows several.
fn is_untyped(schema: &Value) -> bool {
    if schema.get("$ref").is_some() {
        return false;
    }
    if let Some(alternatives) = schema["anyOf"].as_array() {
        let mut alternatives = alternatives.iter();
        let something = alternatives.next().is_none_or(is_untyped);
        return something || alternatives.any(|one| one != &json!({"type": "null"}));
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let types: Vec<_> = types.iter().filter(|one| **one != "null").collect();
    types != ["string"]
        || ["enum", "oneOf", "allOf"]
            .iter()
            .any(|keyword| schema.get(*keyword).is_some())
}

#[test]
fn every_named_field_has_one_type() {
    let mut seen = 0;
    for document in SCHEMAS {
        let mut all = Vec::new();
        let schema = document.schema();
        subschemas(&schema, document.name, &mut all);
        for (path, part) in all {
            let is_property = path.rsplit('/').nth(1) == Some("properties");
            if is_property && !path.contains("/allOf/") {
                assert!(!is_untyped(part), "{path}: {part}");
                seen += 1;
            }
        }
    }
    assert!(seen > 80, "{seen}");
    for open in [
        json!({}),
        json!({"description": "anything"}),
        json!({"type": ["string", "number"]}),
        json!({"anyOf": [{"type": ["string", "null"]}, {}]}),
        json!({"type": "string", "enum": ["a"]}),
    ] {
        assert!(is_untyped(&open), "{open}");
    }
}
