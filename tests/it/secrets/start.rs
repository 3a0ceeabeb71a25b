//! A start without good secrets fails closed: exit code 64, the variable's name, and never a secret.

use super::make_pipe;
use crate::support::eventually::eventually;
use crate::support::process::{command, run};
use std::process::Stdio;

/// Runs a command with a secret file; its exit code and what it said. It must not take long, whatever the file is.
fn outcome(arguments: &[&str], variable: &str, value: &str) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("KAFKA_BROKERS", "127.0.0.1:1"),
        ("KAFKA_TOPIC", "icr.{app}"),
        ("LISTEN", "127.0.0.1:0"),
        ("ADMIN_LISTEN", "127.0.0.1:0"),
        ("JOURNAL_DIR", dir.path().to_str().unwrap()),
        (variable, value),
    ];
    let mut child = command(arguments, &settings)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it ends", || child.try_wait().unwrap());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    (output.status.code().unwrap(), said)
}

#[test]
fn a_start_without_a_good_secret_file_exits_64_and_names_the_variable() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("empty"), "").unwrap();
    std::fs::write(path("only-newlines"), "\n\r\n\n").unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    make_pipe(&path("pipe"));
    std::os::unix::fs::symlink("nowhere", path("dangling")).unwrap();
    std::os::unix::fs::symlink("loop", path("loop")).unwrap();
    std::fs::File::create(path("huge"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    std::fs::write(path("a-file"), "x").unwrap();
    for (name, said) in [
        ("empty", "the file is empty"),
        ("only-newlines", "the file is empty"),
        ("folder", "this is no regular file"),
        ("pipe", "this is no regular file"),
        ("dangling", "No such file or directory"),
        ("loop", "symbolic links"),
        ("missing", "No such file or directory"),
        ("huge", "larger than 64 KiB"),
        ("a-file/in-a-file", "Not a directory"),
    ] {
        let file = path(name);
        let apps = format!("sandbox={}", file.display());
        for arguments in [["serve"], ["check-config"]] {
            for (variable, value) in [
                ("WEBHOOK_SECRET_FILE", file.to_str().unwrap()),
                ("APP_SECRET_FILES", &apps),
            ] {
                let (code, text) = outcome(&arguments, variable, value);
                assert_eq!(code, 64, "{name} {arguments:?} {variable}: {text}");
                assert!(
                    text.contains(&format!("ICR_BRIDGE_{variable}: ")) && text.contains(said),
                    "{name} {arguments:?}: {text}"
                );
            }
        }
    }
}

#[test]
fn an_empty_secret_in_the_variable_and_none_at_all_exit_64() {
    for (variable, value) in [
        ("WEBHOOK_SECRET", ""),
        ("WEBHOOK_SECRET_FILE", ""),
        ("APP_SECRET_FILES", ""),
        ("APP_SECRET_FILES", ", ,"),
    ] {
        for arguments in [["serve"], ["check-config"]] {
            let (code, text) = outcome(&arguments, variable, value);
            assert_eq!(code, 64, "{variable}={value}: {text}");
            assert!(text.contains("ICR_BRIDGE_"), "{text}");
        }
    }
}

#[test]
fn apps_with_the_same_secret_are_warned_of_by_serve_and_check_config() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("a"), "first-4e07408562bedb8b\ncommon-4b227777d4dd1fc6").unwrap();
    std::fs::write(path("b"), "common-4b227777d4dd1fc6").unwrap();
    std::fs::write(path("c"), "third-ef2d127de37b942b").unwrap();
    let apps = format!("b={},c={}", path("b"), path("c"));
    let settings = [
        ("KAFKA_BROKERS", "127.0.0.1:1"),
        ("KAFKA_TOPIC", "icr.{app}"),
        ("WEBHOOK_SECRET_FILE", &path("a")),
        ("APP_SECRET_FILES", &apps),
    ];
    let output = run(&["check-config"], &settings);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    let warning = "the apps default and b have a secret in common";
    assert!(said.contains(warning), "{said}");
    assert_eq!(said.matches("in common").count(), 1, "{said}");
    let bridge = crate::support::process::Serving::start(&dir.path().join("journal"), &settings);
    let log = bridge.log().join("\n");
    assert!(log.contains(warning), "{log}");
    for text in [said, log] {
        assert!(!text.contains("4b227777d4dd1fc6"), "{text}");
    }
}

#[test]
fn a_secret_that_was_hardly_meant_so_is_warned_of() {
    let settings = [
        ("KAFKA_BROKERS", "127.0.0.1:1"),
        ("WEBHOOK_SECRET", "\"quoted-e7f6c011776e8db7\""),
    ];
    let output = run(&["check-config"], &settings);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("app default: its secret stands in quotation marks"),
        "{said}"
    );
    assert!(!said.contains("e7f6c011776e8db7"), "{said}");
}
