//! Personal data only where it is asked for, and nothing of a sender's that a terminal would obey.

use super::*;
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Everything that names the sender: as such, and as base64 writes it inside `signedData` at each of its three alignments.
fn traces() -> Vec<String> {
    let mut traces: Vec<String> = [EMAIL, NAME, PICTURE, "person-1"]
        .map(str::to_owned)
        .to_vec();
    for shift in 0..3 {
        let shifted = format!("{}{EMAIL}", " ".repeat(shift));
        let encoded = BASE64_STANDARD.encode(shifted);
        traces.push(encoded[4..encoded.len() - 4].to_owned());
    }
    traces
}

fn everything(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &told(output)
}

/// Every way in which a delivery can be looked at, but for `--follow`.
fn ways(stage: &Stage) -> Vec<Vec<String>> {
    let all = stage.ids().join(",");
    [
        vec![],
        vec!["--json"],
        vec!["--last", "8"],
        vec!["--id", &all],
        vec!["--id", &all, "--json"],
    ]
    .into_iter()
    .map(|arguments| arguments.into_iter().map(str::to_owned).collect())
    .collect()
}

#[test]
fn no_way_of_looking_shows_personal_data_unless_it_is_asked_for() {
    let stage = Stage::played();
    let journal = stage.journal();
    let forms = [
        vec![],
        vec![("CONTENT_MODE", "structured")],
        vec![("SIGNATURE_HEADERS", "true")],
        vec![
            ("SIGNATURE_HEADERS", "true"),
            ("CONTENT_MODE", "structured"),
        ],
    ];
    for arguments in ways(&stage) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        for form in &forms {
            let settings = [
                &[("JOURNAL_DIR", journal.to_str().unwrap())],
                form.as_slice(),
            ]
            .concat();
            let output = run(&[&["inspect"], arguments.as_slice()].concat(), &settings);
            assert_eq!(output.status.code(), Some(0), "{}", told(&output));
            let text = everything(&output);
            assert!(text.contains(&stage.held), "{text}");
            for trace in traces() {
                assert!(
                    !text.contains(&trace),
                    "{trace} with {arguments:?} and {form:?} in\n{text}"
                );
            }
        }
    }
}

#[test]
fn who_asks_for_personal_data_is_shown_all_of_it() {
    let stage = Stage::played();
    let detail = |id: &str| printed(&stage.inspect(&["--show-personal-data", "--id", id]));
    let text = detail(&stage.installed);
    for trace in [EMAIL, NAME, PICTURE] {
        assert_eq!(
            text.matches(trace).count(),
            3,
            "body, payload and record:\n{text}"
        );
    }
    assert!(text.contains("\"signedData\": \"ey"), "{text}");
    assert!(!text.contains("masked"), "{text}");
    let text = detail(&stage.no_json);
    assert!(
        text.contains(&format!("{NAME} <{EMAIL}> wrote this")),
        "{text}"
    );
    let object =
        &objects(&stage.inspect(&["--show-personal-data", "--json", "--id", &stage.no_json]))[0];
    let payload = format!("{NAME} <{EMAIL}> wrote this, which is no JSON");
    assert_eq!(object["proven"]["payload"]["text"], payload);
    assert_eq!(object["came"]["body"]["json"]["sender"]["email"], EMAIL);
}

#[test]
fn it_is_said_that_something_is_masked_and_how_to_see_it() {
    let stage = Stage::played();
    let text = printed(&stage.inspect(&["--id", &stage.installed]));
    assert!(
        text.contains("\"sender\": \"(masked)\"") && text.contains("--show-personal-data"),
        "{text}"
    );
    let text = printed(&stage.inspect(&["--id", &stage.no_json]));
    assert!(text.contains("(withheld: it is not JSON"), "{text}");
    let object = &objects(&stage.inspect(&["--json", "--id", &stage.no_json]))[0];
    let payload = &object["proven"]["payload"];
    assert!(
        payload["withheld"].is_string() && payload["text"].is_null(),
        "{payload}"
    );
}

/// Deliveries with control characters wherever a sender can put them.
fn hostile(dir: &Path) -> Vec<String> {
    let app = TestApp::on(dir, &[]).unwrap();
    let simulator = app.simulator();
    let evil = "\u{1b}[2J\u{9b}31m\r\n\u{202e}\u{7}x";
    let mut named = payload(evil, evil);
    named["sender"] = Value::Null;
    named[evil] = json!([evil]);
    named["installation"]["id"] = json!(evil);
    let raw = "{\"event\":\"installed\u{7f}\u{9b}2J\",\"\u{85}\":\"\u{2028}\"}";
    let requests = [
        simulator.sign(&named),
        simulator.sign_text(raw.as_bytes(), json!({ "\u{9b}": "\u{202e}\u{1b}" })),
        simulator.sign_text(format!("no JSON {evil}").as_bytes(), json!({})),
        simulator.sign_text(b"\xff\x1b[2J", json!({})),
    ];
    let signature = |request: &Request| request.signature.clone();
    requests
        .iter()
        .map(|request| {
            let headers = [
                ("x-icr-signature-256", signature(request)),
                ("user-agent", "\u{9b}2J\u{202e}agent".to_owned()),
            ];
            let headers = headers
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            let response =
                crate::support::http::post(app.ingress, "/webhook", &headers, &request.body);
            assert_eq!(response.status, 202);
            response.json()["id"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn nothing_that_a_sender_chose_reaches_the_terminal_as_a_command() {
    let dir = tempfile::tempdir().unwrap();
    let ids = hostile(dir.path()).join(",");
    for arguments in [
        ["--all"].as_slice(),
        &["--json"],
        &["--id", &ids],
        &["--id", &ids, "--json"],
        &["--id", &ids, "--show-personal-data"],
        &["--id", &ids, "--show-personal-data", "--json"],
    ] {
        let output = inspect(dir.path(), arguments);
        let text = printed(&output);
        let obeyed = |character: char| {
            (character.is_control() && character != '\n') || "\u{2028}\u{202e}".contains(character)
        };
        let at = text.find(obeyed);
        assert_eq!(
            at,
            None,
            "{arguments:?}: {:?}",
            text.escape_debug().to_string()
        );
        if arguments.contains(&"--json") {
            assert_eq!(objects(&output).len(), 4);
            assert_eq!(text.lines().count(), 4);
        }
    }
    let object = &objects(&inspect(dir.path(), &["--json"]))[0];
    assert_eq!(
        object["event"], "\u{1b}[2J\u{9b}31m\r\n\u{202e}\u{7}x",
        "exact, for a program"
    );
}

#[test]
fn json_that_not_every_parser_takes_is_given_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::on(dir.path(), &[]).unwrap();
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
    let requests = [
        r#"{"event":"x","n":1e400}"#.to_owned(),
        r#"{"event":"x","s":"\ud800"}"#.to_owned(),
        format!(r#"{{"event":"x","deep":{deep}}}"#),
    ]
    .map(|payload| app.simulator().sign_text(payload.as_bytes(), json!({})));
    for request in requests {
        let id = accepted(&app, "/webhook", &request);
        let object = &objects(&inspect(dir.path(), &["--json", "--id", &id]))[0];
        let payload = &object["proven"]["payload"];
        assert!(payload["text"].is_string(), "{payload}");
        let text = printed(&inspect(dir.path(), &["--id", &id]));
        assert!(text.contains("What became of it"));
    }
}
