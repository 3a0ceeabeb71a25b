//! The commands as a shell sees them: output, exit codes, help.

mod completions;
mod inspect;
mod output;
mod send;

use crate::support::app::{SECRET, TestApp};
use crate::support::process::{Serving, run};
use std::process::Output;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn help_and_version_exit_0_and_wrong_usage_64() {
    for arguments in [
        ["--help"].as_slice(),
        &["--version"],
        &["serve", "--help"],
        &["journal", "verify", "--help"],
        &["replay", "--help"],
        &["drain", "--help"],
    ] {
        let output = run(arguments, &[]);
        assert_eq!(code(&output), 0, "{arguments:?}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
    for arguments in [
        ["--nonsense"].as_slice(),
        &["nonsense"],
        &["journal"],
        &["demo", "--deliveries", "many"],
    ] {
        assert_eq!(code(&run(arguments, &[])), 64, "{arguments:?}");
    }
    assert!(text(&run(&["--version"], &[])).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_names_every_command_and_every_exit_code() {
    let help = text(&run(&["--help"], &[]));
    for word in [
        "serve",
        "demo",
        "send",
        "completions",
        "check-config",
        "healthcheck",
        "inspect",
        "stats",
        "schema",
        "replay",
        "drain",
        "journal",
        "64",
        "65",
        "74",
        "75",
    ] {
        assert!(help.contains(word), "{word} in\n{help}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn check_config_says_that_a_folder_in_memory_does_not_survive() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
        return;
    };
    // Also before the first start, which makes the folder.
    for dir in [folder.path().to_owned(), folder.path().join("not/yet")] {
        let settings = [
            ("WEBHOOK_SECRET", "hunter2"),
            ("KAFKA_BROKERS", "kafka:9092"),
            ("JOURNAL_DIR", dir.to_str().unwrap()),
        ];
        let output = run(&["check-config"], &settings);
        assert_eq!(code(&output), 0);
        assert!(
            text(&output).contains("is in memory (tmpfs)"),
            "{}",
            text(&output)
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn check_config_prints_what_is_in_force_and_no_secret() {
    let output = run(
        &["check-config"],
        &[
            ("WEBHOOK_SECRET", "hunter2"),
            ("KAFKA_BROKERS", "kafka:9092"),
            ("KAFKA_BROKER", "x"),
        ],
    );
    let text = text(&output);
    assert_eq!(code(&output), 0, "{text}");
    assert!(
        text.contains("ICR_BRIDGE_KAFKA_TOPIC") && text.contains("icr.webhooks.quarantine"),
        "{text}"
    );
    assert!(
        text.contains("did you mean ICR_BRIDGE_KAFKA_BROKERS?"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_wrong_configuration_exits_64_from_serve_and_check_config() {
    for command in [["serve"].as_slice(), &["check-config"], &[]] {
        let output = run(command, &[("LISTEN", "nowhere"), ("WEBHOOK_SECRET", "")]);
        assert_eq!(code(&output), 64);
        let text = text(&output);
        assert!(
            text.contains("ICR_BRIDGE_LISTEN") && text.contains("ICR_BRIDGE_WEBHOOK_SECRET"),
            "{text}"
        );
    }
}

#[test]
fn healthcheck_asks_the_running_bridge() {
    let app = TestApp::start(&[]);
    let address = app.admin.to_string();
    assert_eq!(
        code(&run(&["healthcheck"], &[("ADMIN_LISTEN", &address)])),
        0
    );
    drop(app);
    assert_eq!(
        code(&run(&["healthcheck"], &[("ADMIN_LISTEN", &address)])),
        1
    );
    assert_eq!(
        code(&run(&["healthcheck"], &[("ADMIN_LISTEN", "nowhere")])),
        64
    );
}

#[test]
fn a_second_bridge_on_the_same_journal_exits_75() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path(), &[("KAFKA_BROKERS", "127.0.0.1:1")]);
    let journal = dir.path().to_str().unwrap();
    let settings = [
        ("JOURNAL_DIR", journal),
        ("KAFKA_BROKERS", "127.0.0.1:1"),
        ("WEBHOOK_SECRET", SECRET),
        ("LISTEN", "127.0.0.1:0"),
        ("ADMIN_LISTEN", "127.0.0.1:0"),
    ];
    let output = run(&["serve"], &settings);
    assert_eq!(code(&output), 75, "{}", text(&output));
    assert_eq!(code(&run(&["journal", "repair"], &settings)), 75);
    assert_eq!(code(&run(&["journal", "verify"], &settings)), 0);
    drop(serving);
}

#[test]
fn an_address_in_use_exits_74_and_names_the_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = [
        ("JOURNAL_DIR", dir.path().to_str().unwrap()),
        ("KAFKA_BROKERS", "127.0.0.1:1"),
        ("WEBHOOK_SECRET", SECRET),
        ("LISTEN", address.as_str()),
        ("ADMIN_LISTEN", "127.0.0.1:0"),
    ];
    let output = run(&["serve"], &settings);
    assert_eq!(code(&output), 74);
    assert!(
        text(&output).contains("ICR_BRIDGE_LISTEN"),
        "{}",
        text(&output)
    );
}

#[test]
fn stats_reads_the_ledger_beside_a_running_bridge() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::on(dir.path(), &[]).unwrap();
    for number in 0..3 {
        app.deliver(&app.simulator().delivery(
            icr_bridge::domain::event::EventKind::OrganizationTransaction,
            number,
        ));
    }
    let settings = [("JOURNAL_DIR", dir.path().to_str().unwrap())];
    let output = run(&["stats", "--json"], &settings);
    let stats: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&stats["accepted"], &stats["pending"], &stats["unaccounted"]),
        (&3.into(), &3.into(), &0.into())
    );
    assert!(text(&run(&["stats"], &settings)).contains("accepted"));
    assert_eq!(
        code(&run(&["stats"], &[("JOURNAL_DIR", "/nowhere/at/all")])),
        74
    );
}

#[test]
fn the_demo_shows_the_main_job_and_adds_up() {
    let output = run(&["demo", "--deliveries", "14", "--pause", "0"], &[]);
    let text = text(&output);
    assert_eq!(code(&output), 0, "{text}");
    for word in [
        "202 accepted",
        "202 duplicate",
        "403 signature_wrong",
        "payload_not_json",
        "icr.webhooks[",
        "/metrics",
        "It adds up",
    ] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "plain when piped");
}
