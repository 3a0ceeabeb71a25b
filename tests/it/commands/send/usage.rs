//! Every wrong use is told, before anything is sent, and what would be right.

use super::{SIGNED, code, text};
use crate::support::app::{SECRET, TestApp};
use crate::support::endpoint::{ACCEPTED, Endpoint, Reply};
use crate::support::process::run;

const FIXTURES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/deliveries.json"
);

#[test]
fn a_wrong_use_ends_with_64_says_what_would_be_right_and_sends_nothing() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let url = endpoint.url();
    let here = |arguments: &[&'static str]| {
        let url: &'static str = Box::leak(url.clone().into_boxed_str());
        [&[url], arguments].concat()
    };
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec!["nonsense"], "http://127.0.0.1:4040/webhook"),
        (vec!["localhost:4040/webhook"], "http and https"),
        (vec!["ftp://127.0.0.1/webhook"], "http and https"),
        (
            vec!["http://user:hunter2@127.0.0.1/"],
            "user name or password",
        ),
        (here(&["--secret", "hunter2"]), "--secret-"),
        (here(&["--secret=hunter2"]), "--secret-"),
        (
            here(&["--secret-env", "hunter2"]),
            "the name of the variable, not the secret",
        ),
        (here(&["--secret-file", "hunter2"]), "cannot be read"),
        (
            here(&["--secret-env", "A", "--secret-file", "b"]),
            "cannot be used with",
        ),
        (here(&["--event", "two words"]), "letters, digits"),
        (
            here(&["--event", "installed", "--payload", "x"]),
            "give one of them",
        ),
        (
            here(&["--payload", "x", "--fixture", "x"]),
            "give one of them",
        ),
        (
            here(&["--payload", "x", "--forge", "5%"]),
            "simulated events",
        ),
        (
            here(&["--fixture", FIXTURES, "--size", "5000"]),
            "simulated events",
        ),
        (
            here(&["--fixture", FIXTURES, "--count", "5"]),
            "--name chooses",
        ),
        (
            here(&["--fixture", FIXTURES, "--duration", "5s"]),
            "--name chooses",
        ),
        (
            here(&["--fixture", FIXTURES, "--name", "nosuch"]),
            "there are: doc_example_installed",
        ),
        (
            here(&["--fixture", FIXTURES, "--secret-file", "x"]),
            "--re-sign",
        ),
        (here(&["--name", "suspended"]), "--fixture"),
        (here(&["--re-sign"]), "--fixture"),
        (here(&["--count", "0"]), "1.."),
        (here(&["--count", "many"]), "invalid value"),
        (here(&["--rate", "0"]), "such as 500"),
        (here(&["--rate", "-5"]), "such as 500"),
        (here(&["--duration", "30"]), "such as 500ms"),
        (here(&["--timeout", "0s"]), "such as 500ms"),
        (here(&["--concurrency", "0", "--count", "5"]), "1..=10000"),
        (here(&["--concurrency", "5"]), "--count"),
        (here(&["--size", "10"]), "takes up to"),
        (here(&["--size", "big"]), "such as 2000"),
        (here(&["--forge", "5", "--count", "5"]), "such as 5%"),
        (here(&["--forge", "101%"]), "such as 5%"),
        (
            here(&["--forge", "60%", "--garble", "50%", "--count", "5"]),
            "over 100%",
        ),
        (here(&["--repeat", "5%"]), "more than one delivery"),
        (
            here(&["--repeat", "5%", "--count", "9", "--event", "installed"]),
            "organizationTransaction",
        ),
    ];
    for (arguments, right) in cases {
        let all: Vec<_> = ["send"].iter().chain(&arguments).copied().collect();
        let output = run(&all, SIGNED);
        let said = text(&output);
        assert_eq!(code(&output), 64, "{arguments:?}: {said}");
        assert!(said.contains(right), "{arguments:?} wants {right}:\n{said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!said.contains("hunter2"), "{arguments:?}:\n{said}");
    }
    assert_eq!(endpoint.requests(), 0);
}

#[test]
fn a_missing_empty_or_doubtful_secret_is_told_with_the_ways_to_give_one() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    let empty = empty.to_str().unwrap();
    let sandbox = format!("sandbox={empty}");
    let default = "http://127.0.0.1:1/webhook";
    let further = "http://127.0.0.1:1/webhook/sandbox";
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case; 7] = [
        (&[default], &[], "ICR_BRIDGE_WEBHOOK_SECRET_FILE"),
        (&[default, "--secret-file", empty], &[], "one secret a line"),
        (&[default], &[("WEBHOOK_SECRET", "")], "is empty"),
        (
            &[default],
            &[("WEBHOOK_SECRET_FILE", empty)],
            "one secret a line",
        ),
        (
            &[further],
            &[("WEBHOOK_SECRET", SECRET)],
            "ICR_BRIDGE_APP_SECRET_FILES=sandbox=FILE",
        ),
        (
            &[further],
            &[("APP_SECRET_FILES", &sandbox)],
            "one secret a line",
        ),
        (
            &[default, "--secret-env", "NOT_SET_ANYWHERE"],
            &[],
            "export it",
        ),
    ];
    for (arguments, settings, right) in cases {
        let all: Vec<_> = ["send"].iter().chain(arguments).copied().collect();
        let output = run(&all, settings);
        let said = text(&output);
        assert_eq!(code(&output), 64, "{arguments:?}: {said}");
        assert!(said.contains(right), "{arguments:?} wants {right}:\n{said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_ends_with_74_and_one_that_is_wrong_with_64() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ended = |option: &str, path: &str, more: &[&str]| {
        let all = [&["send", "http://127.0.0.1:1/", option, path], more].concat();
        let output = run(&all, SIGNED);
        (code(&output), text(&output))
    };
    for option in ["--payload", "--fixture"] {
        let (code, said) = ended(option, "/nowhere/at/all", &[]);
        assert_eq!(code, 74, "{said}");
        assert!(said.contains("/nowhere/at/all"), "{said}");
        let (code, said) = ended(option, &file("binary", b"\xff\xfe"), &[]);
        assert_eq!(code, 64, "{said}");
        assert!(said.contains("UTF-8"), "{said}");
    }
    let (code, said) = ended("--payload", &file("text", b"{\"a\": }"), &[]);
    assert!(
        code == 64 && said.contains("not JSON") && said.contains("line 1"),
        "{said}"
    );
    let (code, said) = ended("--payload", &file("array", b"[1]"), &["--count", "5"]);
    assert!(code == 64 && said.contains("JSON object"), "{said}");
    let (code, said) = ended("--fixture", &file("object", b"{\"a\": 1}"), &[]);
    assert!(code == 64 && said.contains("`headers`"), "{said}");
    let unsigned = b"[{\"name\": \"n\", \"headers\": {}, \"body\": \"{}\"}]";
    let (code, said) = ended("--fixture", &file("unsigned", unsigned), &["--re-sign"]);
    assert!(code == 64 && said.contains("`signedData`"), "{said}");
}

#[test]
fn no_output_of_any_kind_holds_the_secret() {
    let app = TestApp::start(&[]);
    let url = format!("http://{}/webhook", app.ingress);
    for arguments in [
        ["--json"].as_slice(),
        &["--count", "20", "--forge", "10%"],
        &["--fixture", FIXTURES, "--re-sign"],
        &["--help"],
    ] {
        let all: Vec<_> = ["send", &url].iter().chain(arguments).copied().collect();
        let output = run(&all, SIGNED);
        assert!(
            !text(&output).contains(SECRET),
            "{arguments:?}: {}",
            text(&output)
        );
    }
}

#[test]
fn help_explains_without_a_manual() {
    let help = text(&run(&["send", "--help"], &[]));
    for word in [
        "--secret-file",
        "--secret-env",
        "ICR_BRIDGE_WEBHOOK_SECRET_FILE",
        "open",
        "scheduled time",
        "unsent",
        "--allow-remote-load",
        "SSL_CERT_FILE",
        "Ctrl-C",
        "Exit codes",
        "refused",
        "not_http",
        "icr-bridge send --rate 500",
    ] {
        assert!(help.contains(word), "{word} in\n{help}");
    }
}
