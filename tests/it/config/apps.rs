//! Several apps: their names, their topics, their secrets.

use super::{read, refused};
use crate::support::app::variables;
use icr_bridge::config::Config;

/// `APP_SECRET_FILES` for these names, each with a secret of its own, and the folder that holds the files.
fn apps(names: &[&str]) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let entries: Vec<String> = (0..)
        .zip(names)
        .map(|(number, name)| {
            let file = dir.path().join(number.to_string());
            std::fs::write(&file, format!("secret of {name}")).unwrap();
            format!("{name}={}", file.display())
        })
        .collect();
    (dir, entries.join(","))
}

#[test]
fn apps_may_not_share_a_topic_by_accident() {
    let (_dir, sandbox) = apps(&["sandbox"]);
    let error = refused(&[("APP_SECRET_FILES", &sandbox)]);
    assert!(
        error.contains("the apps default and sandbox would share the topic `icr.webhooks`")
            && error.contains("such as `icr.webhooks.{app}`"),
        "{error}"
    );
    for topic in ["icr.{app}", "{app}.{event}", "{event}.{app}", "{app}"] {
        assert!(
            read(&[("APP_SECRET_FILES", &sandbox), ("KAFKA_TOPIC", topic)]).is_ok(),
            "{topic}"
        );
    }
    assert!(
        refused(&[("APP_SECRET_FILES", &sandbox), ("KAFKA_TOPIC", "{event}")])
            .contains("would share the topic")
    );
    assert!(
        read(&[
            ("APP_SECRET_FILES", &sandbox),
            ("KAFKA_SHARED_TOPIC", "true")
        ])
        .is_ok()
    );
    let quarantines = [
        ("KAFKA_TOPIC", "icr.{app}"),
        ("KAFKA_QUARANTINE_TOPIC", "icr.quarantine"),
        ("APP_SECRET_FILES", sandbox.as_str()),
    ];
    assert!(read(&quarantines).is_ok(), "quarantine may be shared");
}

#[test]
fn a_template_in_which_two_apps_names_run_together_with_the_events_is_refused() {
    // x + uninstalled = xun + installed
    let (_dir, both) = apps(&["x", "xun"]);
    for topic in ["{app}{event}", "icr.{app}{event}.v1", "{app}.{app}{event}"] {
        let result = read(&[("APP_SECRET_FILES", &both), ("KAFKA_TOPIC", topic)]);
        if topic == "{app}.{app}{event}" {
            assert!(result.is_ok(), "{topic} tells them apart");
            continue;
        }
        let error = result
            .err()
            .unwrap_or_else(|| panic!("{topic} is accepted"));
        assert!(
            error.contains("the apps x and xun would share the topic")
                && error.contains("xuninstalled")
                && error.contains("such as `icr.{app}.{event}`"),
            "{error}"
        );
    }
    let (_dir, apart) = apps(&["x", "y"]);
    assert!(
        read(&[
            ("APP_SECRET_FILES", &apart),
            ("KAFKA_TOPIC", "{app}{event}")
        ])
        .is_ok()
    );
}

#[test]
fn the_quarantine_topic_is_none_of_any_app_s_topics() {
    let (_dir, quarantine) = apps(&["quarantine"]);
    let settings = [
        ("APP_SECRET_FILES", quarantine.as_str()),
        ("KAFKA_TOPIC", "icr.{app}"),
        ("KAFKA_QUARANTINE_TOPIC", "icr.quarantine"),
    ];
    assert!(refused(&settings).contains("`icr.quarantine` is also a topic of KAFKA_TOPIC"));
    assert!(
        refused(&[("KAFKA_QUARANTINE_TOPIC", "icr_webhooks")])
            .contains("does not allow `icr_webhooks` beside the topic `icr.webhooks`")
    );
}

#[test]
fn app_names_are_checked() {
    let long = "x".repeat(33);
    let (_dir, twice) = apps(&["a", "b", "a"]);
    // Found by trying: FNV-1a gives both the same 32 bits.
    let (_other_dir, hashes) = apps(&["gwzx", "16cd"]);
    for (apps, said) in [
        ("Sandbox=/x", "`Sandbox` is no app name"),
        ("sand_box=/x", "`sand_box` is no app name"),
        ("a/b=/x", "`a/b` is no app name"),
        ("=/x", "`` is no app name"),
        (&format!("{long}=/x"), "what it names is no app name"),
        ("default=/x", "`default` is reserved"),
        ("none=/x", "`none` is reserved"),
        ("sandbox", "entry 1 is not of the form name=/path/to/file"),
        ("sandbox=", "entry 1 is not of the form name=/path/to/file"),
        ("a=/nowhere", "app a: the file cannot be read"),
        (&twice, "entry 3: `a` is named twice"),
        (&hashes, "cannot be told apart in the journal"),
        (",", "names no app"),
    ] {
        let error = refused(&[("APP_SECRET_FILES", apps), ("KAFKA_TOPIC", "icr.{app}")]);
        assert_eq!(error.lines().count(), 1, "{apps}: {error}");
        assert!(
            error.starts_with("ICR_BRIDGE_APP_SECRET_FILES: ") && error.contains(said),
            "{apps}: {error}"
        );
    }
    let (_dir, good) = apps(&["0", "-", "a-b-2", &"x".repeat(32)]);
    let spaced = good.replace(',', " , ").replace('=', " = ");
    for apps in [good, spaced] {
        let config = read(&[("APP_SECRET_FILES", &apps), ("KAFKA_TOPIC", "icr.{app}")]).unwrap();
        let names: Vec<&str> = config.apps.iter().map(|app| app.name.as_str()).collect();
        assert_eq!(names, ["default", "0", "-", "a-b-2", &"x".repeat(32)]);
    }
}

#[test]
fn a_secret_typed_where_its_file_belongs_is_not_repeated() {
    // As `openssl rand -hex 32` and `openssl rand -base64 32` make them.
    for secret in [
        "5f0d3a6f1f7e4a0b8c2d9e6f7a1b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d",
        "m1xEvWq7YHcZk0oD4nJp2sRtUaBcDeFgHiJkLmNoPqR=",
        "m1xEvWq7YHcZk0oD4nJp2sRtUaBcDeFgHiJkLmNoPq==",
    ] {
        for apps in [secret.to_owned(), format!("sandbox={secret}")] {
            let error = refused(&[("APP_SECRET_FILES", &apps)]);
            assert!(!error.contains(&secret[..20]), "{error}");
        }
        let error = Config::read(variables(&[
            ("KAFKA_BROKERS", "kafka:9092"),
            ("WEBHOOK_SECRET_FILE", secret),
        ]));
        let error = error.unwrap_err().to_string();
        assert!(!error.contains(&secret[..20]), "{error}");
    }
}

#[test]
fn without_a_secret_of_its_own_there_is_no_default_app() {
    let (_dir, sandbox) = apps(&["sandbox"]);
    let only = variables(&[
        ("KAFKA_BROKERS", "kafka:9092"),
        ("APP_SECRET_FILES", &sandbox),
    ]);
    let config = Config::read(only).unwrap();
    assert_eq!(config.apps.len(), 1, "and it needs no {{app}} in the topic");
    assert!(
        config
            .effective()
            .iter()
            .all(|(_, value)| !value.contains("/webhook,"))
    );
}

#[test]
fn doubts_about_secrets_are_told_without_them() {
    let (dir, sandbox) = apps(&["sandbox"]);
    assert!(read(&[]).unwrap().warnings.is_empty());
    std::fs::write(dir.path().join("0"), "s3cret\n").unwrap();
    let config = read(&[("APP_SECRET_FILES", &sandbox), ("KAFKA_TOPIC", "{app}")]).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(
        config.warnings[0].contains("the apps default and sandbox have a secret in common"),
        "{:?}",
        config.warnings
    );
    let config = read(&[("WEBHOOK_SECRET", "s3cret ")]).unwrap();
    assert_eq!(
        config.warnings,
        ["app default: its secret begins or ends with white space, which counts as a part of it"]
    );
}
