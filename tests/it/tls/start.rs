//! A start with half an identity, or one that cannot be used, fails closed: exit code 64, the variable's name, nothing of a key.

use super::authority::{self, Authority};
use crate::support::app::SECRET;
use crate::support::process::run;
use std::path::Path;

/// Runs a command with these files; its exit code and what it said.
fn outcome(command: &str, dir: &Path, certificate: &str, key: &str) -> (i32, String) {
    let path = |name: &str| match name {
        "" => String::new(),
        name => dir.join(name).to_str().unwrap().to_owned(),
    };
    let output = run(
        &[command],
        &[
            ("KAFKA_BROKERS", "127.0.0.1:1"),
            ("WEBHOOK_SECRET", SECRET),
            ("LISTEN", "127.0.0.1:0"),
            ("ADMIN_LISTEN", "127.0.0.1:0"),
            ("JOURNAL_DIR", &path("journal")),
            ("TLS_CERTIFICATE_FILE", &path(certificate)),
            ("TLS_KEY_FILE", &path(key)),
        ],
    );
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.code().unwrap(), said)
}

#[test]
fn a_start_without_a_good_pair_exits_64_and_names_the_variable() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let key = authority::ecdsa();
    let issued = authority.issue_for(&key, 90);
    let write = |name: &str, contents: &[u8]| {
        std::fs::write(dir.path().join(name), contents).unwrap();
    };
    write("cert", &issued.certificate);
    write("key", &issued.key);
    write("other-key", &authority.issue(90).key);
    write("encrypted", &authority::encrypted(&key));
    write("empty", b"");
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    for command in ["serve", "check-config"] {
        for (certificate, key, variable, said) in [
            ("cert", "", "TLS_KEY_FILE", "is missing"),
            ("", "key", "TLS_CERTIFICATE_FILE", "is missing"),
            (
                "cert",
                "other-key",
                "TLS_CERTIFICATE_FILE",
                "is not the certificate's",
            ),
            (
                "cert",
                "encrypted",
                "TLS_KEY_FILE",
                "no unencrypted private key",
            ),
            (
                "cert",
                "empty",
                "TLS_KEY_FILE",
                "no unencrypted private key",
            ),
            ("cert", "nowhere", "TLS_KEY_FILE", "No such file"),
            ("cert", "folder", "TLS_KEY_FILE", "no regular file"),
            ("empty", "key", "TLS_CERTIFICATE_FILE", "no certificate"),
            ("key", "cert", "TLS_CERTIFICATE_FILE", "no certificate"),
            ("nowhere", "key", "TLS_CERTIFICATE_FILE", "No such file"),
        ] {
            let (code, text) = outcome(command, dir.path(), certificate, key);
            let line = text
                .lines()
                .find(|line| line.contains(&format!("ICR_BRIDGE_{variable}")));
            assert!(
                line.is_some_and(|line| line.contains(said)),
                "{command} {certificate} {key}: {text}"
            );
            assert_eq!(code, 64, "{text}");
            assert!(!text.contains("BEGIN"), "{text}");
        }
    }
}

#[test]
fn check_config_takes_a_good_pair_and_warns_of_one_that_has_expired() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    for (name, days) in [("good", 90), ("old", -1)] {
        let issued = authority.issue(days);
        std::fs::write(dir.path().join(name), issued.certificate).unwrap();
        std::fs::write(dir.path().join(format!("{name}.key")), issued.key).unwrap();
    }
    let (code, text) = outcome("check-config", dir.path(), "good", "good.key");
    assert!(code == 0 && !text.contains("warning"), "{text}");
    let (code, text) = outcome("check-config", dir.path(), "old", "old.key");
    assert!(
        code == 0 && text.contains("warning: TLS: the certificate has expired"),
        "{text}"
    );
}
