//! Standard output and standard error that are full, or whose reader has gone.

use crate::support::app::SECRET;
use crate::support::http;
use crate::support::process::{Serving, command};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::simulator::Simulator;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Output, Stdio};

/// A running bridge with a delivery, and every command that prints something of it or of itself.
struct Rig {
    _folder: tempfile::TempDir,
    _bridge: Serving,
    settings: Vec<(&'static str, String)>,
    commands: Vec<Vec<String>>,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bridge = Serving::start(folder.path(), &[("KAFKA_BROKERS", "127.0.0.1:1")]);
        let secrets = SecretSet::single(SECRET.as_bytes()).unwrap();
        let request = Simulator::new(secrets, 1, 1).delivery(EventKind::Installed, 1);
        let headers = [("x-icr-signature-256", request.signature.as_str())];
        let accepted = http::post(bridge.ingress, "/webhook", &headers, &request.body);
        let id = accepted.json()["id"].as_str().unwrap().to_owned();
        let url = format!("http://{}/webhook", bridge.ingress);
        let commands = [
            "--help",
            "--version",
            "help inspect",
            "inspect --help",
            "completions bash",
            "completions zsh",
            "schema",
            "schema quarantine",
            "schema --format asyncapi",
            "check-config",
            "healthcheck",
            "stats",
            "stats --json",
            "journal verify",
            "inspect",
            "inspect --json",
            &format!("inspect --id {id}"),
            "replay --all --dry-run",
            "replay --all --dry-run --json",
            "reverify --dry-run",
            "reverify --json",
            &format!("send {url}"),
            &format!("send {url} --json"),
            "demo --deliveries 2 --pause 0",
        ];
        let words = |line: &str| line.split(' ').map(str::to_owned).collect();
        Self {
            commands: commands.map(words).to_vec(),
            settings: vec![
                ("JOURNAL_DIR", folder.path().to_str().unwrap().to_owned()),
                ("ADMIN_LISTEN", bridge.admin.to_string()),
                ("WEBHOOK_SECRET", SECRET.to_owned()),
                ("KAFKA_BROKERS", "127.0.0.1:1".to_owned()),
            ],
            _folder: folder,
            _bridge: bridge,
        }
    }

    fn run(&self, arguments: &[String], output: Stdio, errors: Stdio) -> Output {
        let settings: Vec<_> = self
            .settings
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut command = command(&arguments, &settings);
        let child = command.stdout(output).stderr(errors).spawn().unwrap();
        child.wait_with_output().unwrap()
    }
}

fn full() -> Stdio {
    OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// A pipe that nobody reads any more.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_full_standard_output_is_an_io_error_and_says_so_in_a_sentence() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let rig = Rig::new();
    for arguments in &rig.commands {
        let output = rig.run(arguments, full(), Stdio::piped());
        let errors = errors(&output);
        assert_eq!(output.status.code(), Some(74), "{arguments:?}: {errors}");
        assert!(
            errors.contains("No space left on device") && !errors.contains("panicked"),
            "{arguments:?}: {errors}"
        );
    }
}

#[test]
fn where_nobody_reads_standard_output_commands_end_quietly() {
    let rig = Rig::new();
    for arguments in &rig.commands {
        let output = rig.run(arguments, closed(), Stdio::piped());
        let errors = errors(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_standard_error_that_cannot_be_written_changes_nothing() {
    let rig = Rig::new();
    let ends: [fn() -> Stdio; 2] = [full, closed];
    let mut wrong: Vec<Vec<String>> = [
        "stats --nonsense",
        "replay",
        "schema --format asyncapi event",
    ]
    .map(|line| line.split(' ').map(str::to_owned).collect())
    .to_vec();
    for arguments in rig.commands.iter().chain(&wrong) {
        let expected = rig.run(arguments, Stdio::piped(), Stdio::piped()).status;
        for errors in ends {
            let output = rig.run(arguments, Stdio::piped(), errors());
            assert_eq!(output.status, expected, "{arguments:?}");
        }
        assert_ne!(expected.code(), Some(101), "{arguments:?}");
    }
    // The settings themselves are wrong; `serve` is the default command.
    let broken = Rig {
        settings: vec![
            ("KAFKA_BROKERS", String::new()),
            ("WORKERS", "many".to_owned()),
        ],
        ..rig
    };
    wrong = ["serve", "check-config", "drain --timeout 1s"]
        .map(|line| line.split(' ').map(str::to_owned).collect())
        .to_vec();
    for arguments in &wrong {
        for errors in ends {
            let output = broken.run(arguments, Stdio::piped(), errors());
            let code = output.status.code();
            assert!(
                code.is_some_and(|code| code != 0 && code != 101),
                "{arguments:?}: {code:?}"
            );
        }
    }
    assert_eq!(
        broken.run(&wrong[0], Stdio::piped(), full()).status.code(),
        Some(64)
    );
}

#[test]
fn both_may_be_full_at_once() {
    let rig = Rig::new();
    let null = || File::open("/dev/null").unwrap();
    for arguments in &rig.commands {
        // Open for reading only: every write fails.
        let output = rig.run(arguments, null().into(), null().into());
        let code = output.status.code();
        assert!(
            code == Some(74) || code == Some(0),
            "{arguments:?}: {code:?}"
        );
    }
}
