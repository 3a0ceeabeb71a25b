//! The bridge hands out the contract's documents as `deploy/contract` holds them. That they are true is the domain's business:
//! `src/domain/tests/contract`.

use crate::support::app::TestApp;
use crate::support::golden::Found;
use crate::support::http::get;
use crate::support::process::run;
use icr_bridge::contract::{ASYNCAPI_FILE, SCHEMAS, bundle};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/contract")
}

fn file(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

#[test]
fn every_schema_in_the_folder_is_handed_out_under_its_own_id() {
    let in_folder: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".schema.json"))
        .collect();
    let handed_out: BTreeSet<String> = SCHEMAS.iter().map(|it| it.file.to_owned()).collect();
    assert_eq!(handed_out, in_folder);
    for schema in SCHEMAS {
        let json: Value = serde_json::from_str(schema.text).unwrap();
        assert_eq!(json["$id"], schema.id, "{}", schema.name);
        assert_eq!(schema.file, format!("{}.schema.json", schema.name));
    }
}

#[test]
fn the_command_prints_what_the_files_say() {
    let output = |arguments: &[&str]| {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for schema in SCHEMAS {
        assert_eq!(output(&["schema", schema.name]), file(schema.file));
    }
    assert_eq!(
        output(&["schema", "--format", "asyncapi"]),
        file(ASYNCAPI_FILE)
    );
    let printed = output(&["schema"]);
    let all: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed, serde_json::to_string_pretty(&all).unwrap() + "\n");
    assert_eq!(all["$defs"].as_object().unwrap().len(), SCHEMAS.len());
    for schema in SCHEMAS {
        let alone: Value = serde_json::from_str(&file(schema.file)).unwrap();
        assert_eq!(all["$defs"][schema.name], alone);
    }
    for wrong in [
        ["schema", "nonsense"].as_slice(),
        &["schema", "--format", "xml"],
        &["schema", "--format", "asyncapi", "event"],
    ] {
        assert_eq!(run(wrong, &[]).status.code(), Some(64), "{wrong:?}");
    }
}

#[test]
fn all_schemas_in_one_document_are_the_schema_of_an_event() {
    let bundle: Value = serde_json::from_str(&bundle()).unwrap();
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&bundle)
        .unwrap();
    let golden = Found::read("matrix_installed");
    let mut event: Value = serde_json::from_str(&golden.value).unwrap();
    assert!(validator.is_valid(&event));
    event.as_object_mut().unwrap().remove("sender");
    assert!(!validator.is_valid(&event));
}

#[test]
fn the_admin_listener_serves_what_the_files_say() {
    let app = TestApp::start(&[]);
    let index = get(app.admin, "/schema/").json();
    let listed = index["schemas"].as_array().unwrap();
    assert_eq!(listed.len(), SCHEMAS.len());
    let paths = listed.iter().map(|schema| schema["path"].as_str().unwrap());
    for path in paths.chain(index["asyncapi"].as_str()) {
        let name = path.strip_prefix("/schema/").unwrap();
        let response = get(app.admin, path);
        assert_eq!(response.status, 200, "{path}");
        let expected = if name == ASYNCAPI_FILE {
            "application/vnd.aai.asyncapi+yaml;version=3.1.0"
        } else {
            "application/schema+json"
        };
        assert_eq!(response.header("content-type"), Some(expected));
        assert_eq!(response.body, std::fs::read(folder().join(name)).unwrap());
    }
    for path in ["/schema/nonsense", "/schema/event", "/schema/../metrics"] {
        assert_eq!(get(app.admin, path).status, 404, "{path}");
    }
}
