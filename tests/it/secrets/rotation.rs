//! A secret is replaced in its file, by whatever means, and takes effect within seconds; no delivery is refused meanwhile.

use super::{FAILURES, Rig, Volume, at_once, rename_over};
use crate::support::eventually::eventually;
use std::io::Write;
use std::time::{Duration, Instant};

/// Distinct from anything else that may stand in a log.
const OLD: &str = "old-2c624232cc221d9f";
const NEW: &str = "new-19581e27de7ced00";

fn position(number: usize) -> String {
    format!("secret_matched_total{{app=\"default\",position=\"{number}\"}}")
}

/// Old → new beside old → new alone, each put in place by `replace`.
fn rotates(rig: &Rig, mut replace: impl FnMut(&str)) {
    rig.under_load(&[OLD], || {
        assert_eq!(rig.status(NEW), 403);
        replace(&format!("{NEW}\n{OLD}\n"));
        rig.until_accepted(NEW);
    });
    let matched = |number| {
        rig.bridge()
            .metrics()
            .maybe(&position(number))
            .unwrap_or(0.0)
    };
    // What was refused until then is judged again, and proven.
    eventually("it is", || {
        let metrics = rig.bridge().metrics();
        let back = metrics.value("deliveries_reverified_total");
        (back == metrics.sum("deliveries_rejected_total")).then_some(())
    });
    let before = (matched(0), matched(1));
    for secret in [NEW, NEW, NEW, OLD, OLD] {
        assert_eq!(rig.status(secret), 202);
    }
    assert_eq!(
        (matched(0), matched(1)),
        (before.0 + 3.0, before.1 + 2.0),
        "the old one is second now"
    );
    rig.under_load(&[NEW], || {
        replace(&format!("{NEW}\n"));
        rig.until_refused(OLD);
    });
    assert_eq!(rig.bridge().metrics().value(FAILURES), 0.0);
    rig.assert_logged("its secrets have changed: 2 in force, 1 before", 1);
    rig.assert_logged("its secrets have changed: 1 in force, 2 before", 1);
    rig.assert_not_logged(&[OLD, NEW]);
}

fn rewritten() {
    let rig = Rig::with_secrets(OLD);
    let path = rig.path("secret");
    rotates(&rig, |contents| std::fs::write(&path, contents).unwrap());
}

fn renamed_over() {
    let rig = Rig::with_secrets(OLD);
    let path = rig.path("secret");
    rotates(&rig, |contents| rename_over(&path, contents));
}

fn a_link_swapped_as_kubernetes_does() {
    let mut rig = Rig::new();
    let mut volume = Volume::new(&rig.path("volume"), OLD);
    rig.serve_with(&[("WEBHOOK_SECRET_FILE", volume.file().to_str().unwrap())]);
    rotates(&rig, |contents| volume.swap(contents));
}

/// No failure, if it is done at once.
fn deleted_and_written_anew() {
    let rig = Rig::with_secrets(OLD);
    let path = rig.path("secret");
    rotates(&rig, |contents| {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, contents).unwrap();
    });
}

#[test]
fn a_changed_file_takes_effect_however_it_changed_and_no_delivery_is_refused_meanwhile() {
    at_once(&[
        &rewritten,
        &renamed_over,
        &a_link_swapped_as_kubernetes_does,
        &deleted_and_written_anew,
    ]);
}

#[test]
fn a_file_that_is_being_written_is_never_in_force_in_part() {
    let rig = Rig::with_secrets(OLD);
    let whole = format!("{NEW}\n{OLD}\n");
    let write_slowly = || {
        let mut file = std::fs::File::create(rig.path("secret")).unwrap();
        for byte in whole.as_bytes() {
            file.write_all(&[*byte]).unwrap();
            // All of it takes far longer than a file must be unchanged; no pause comes near that.
            std::thread::sleep(Duration::from_millis(150));
        }
    };
    rig.under_load(&[OLD], || {
        std::thread::scope(|scope| {
            let writer = scope.spawn(write_slowly);
            let mut tried = 0;
            while !writer.is_finished() {
                // What a reader at the wrong moment would take for the secret.
                for length in 1..NEW.len() {
                    assert_eq!(rig.status(&NEW[..length]), 403, "{length} bytes of it");
                    tried += 1;
                }
            }
            assert!(tried > 100, "{tried}");
        });
        rig.until_accepted(NEW);
    });
    assert_eq!(rig.bridge().metrics().value(FAILURES), 0.0);
    rig.assert_logged("its secrets have changed", 1);
}

#[test]
fn sighup_has_a_changed_file_read_at_once() {
    let rig = Rig::with_secrets(OLD);
    // Two seconds is what it would take by itself. On a busy machine one attempt may take as long.
    let fast = (0..10).any(|attempt| {
        let secret = format!("{NEW}-{attempt}");
        std::fs::write(rig.path("secret"), format!("{secret}\n{OLD}")).unwrap();
        let since = Instant::now();
        rig.bridge().signal(libc::SIGHUP);
        rig.until_accepted(&secret);
        since.elapsed() < Duration::from_secs(1)
    });
    assert!(fast, "it takes as long as without a signal");
}

#[test]
fn sighup_says_that_nothing_has_changed_and_that_a_variable_has_no_file() {
    let rig = Rig::with_secrets(OLD);
    rig.bridge().signal(libc::SIGHUP);
    rig.until_logged("unchanged, 1 secret(s) in force");
    let mut rig = Rig::new();
    rig.serve_with(&[("WEBHOOK_SECRET", OLD)]);
    rig.bridge().signal(libc::SIGHUP);
    rig.until_logged("there is no secret file to read again");
    assert_eq!(rig.status(OLD), 202);
}

#[test]
fn a_file_that_changed_between_its_first_reading_and_the_watch_is_noticed() {
    // As early as can be: while the bridge is starting.
    let mut rig = Rig::new();
    let path = rig.path("secret");
    std::fs::write(&path, OLD).unwrap();
    rig.serve();
    std::fs::write(&path, NEW).unwrap();
    rig.until_accepted(NEW);
    rig.until_refused(OLD);
}

#[test]
fn files_of_several_apps_change_at_once_and_each_app_gets_its_own() {
    let mut rig = Rig::new();
    let apps = ["default", "sandbox", "staging"];
    let at = |app: &str| match app {
        "default" => "/webhook".to_owned(),
        other => format!("/webhook/{other}"),
    };
    for app in apps {
        std::fs::write(rig.path(app), format!("{OLD}-{app}")).unwrap();
    }
    let files = format!(
        "sandbox={},staging={}",
        rig.path("sandbox").display(),
        rig.path("staging").display()
    );
    let default = rig.path("default");
    rig.serve_with(&[
        ("WEBHOOK_SECRET_FILE", default.to_str().unwrap()),
        ("APP_SECRET_FILES", &files),
        ("KAFKA_TOPIC", "icr.{app}"),
    ]);
    for app in apps {
        rename_over(&rig.path(app), &format!("{NEW}-{app}\n{OLD}-{app}"));
    }
    for app in apps {
        eventually("the app's new secret is in force", || {
            (rig.status_at(&at(app), &format!("{NEW}-{app}")) == 202).then_some(())
        });
    }
    for (app, other) in apps.iter().flat_map(|app| apps.map(|other| (*app, other))) {
        for age in [OLD, NEW] {
            let expected = if app == other { 202 } else { 403 };
            let status = rig.status_at(&at(app), &format!("{age}-{other}"));
            assert_eq!(status, expected, "{age}-{other} at {app}");
        }
    }
    rig.assert_logged("its secrets have changed: 2 in force, 1 before", 3);
}

#[test]
fn apps_that_come_to_share_a_secret_are_warned_of() {
    let mut rig = Rig::new();
    std::fs::write(rig.path("secret"), OLD).unwrap();
    std::fs::write(rig.path("sandbox"), NEW).unwrap();
    let (file, apps) = (
        rig.path("secret"),
        format!("sandbox={}", rig.path("sandbox").display()),
    );
    rig.serve_with(&[
        ("WEBHOOK_SECRET_FILE", file.to_str().unwrap()),
        ("APP_SECRET_FILES", &apps),
        ("KAFKA_TOPIC", "icr.{app}"),
    ]);
    let warning = "the apps default and sandbox have a secret in common";
    assert_eq!(rig.lines(warning), 0);
    std::fs::write(rig.path("sandbox"), format!("{NEW}\n{OLD}")).unwrap();
    rig.until_logged(warning);
    rig.assert_not_logged(&[OLD, NEW]);
}
