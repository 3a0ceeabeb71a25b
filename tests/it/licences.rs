//! What the bridge is made of may be given away with it: `tests/run audit`.

use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than to be named. A new one wants a decision, so it is not in the list by itself.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an SPDX expression can be met with [`ALLOWED`] licences alone. `/` is how old crates write OR.
fn allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let verdict = any(&mut rest);
    verdict && rest.is_empty()
}

fn any(rest: &mut &[&str]) -> bool {
    let mut verdict = all(rest);
    while let ["OR", after @ ..] = *rest {
        *rest = after;
        verdict |= all(rest);
    }
    verdict
}

fn all(rest: &mut &[&str]) -> bool {
    let mut verdict = one(rest);
    while let ["AND", after @ ..] = *rest {
        *rest = after;
        verdict &= one(rest);
    }
    verdict
}

fn one(rest: &mut &[&str]) -> bool {
    let (verdict, after) = match *rest {
        ["(", inner @ ..] => {
            let mut inner = inner;
            let verdict = any(&mut inner);
            match inner {
                [")", after @ ..] => (verdict, after),
                _ => (false, inner),
            }
        }
        [licence, "WITH", exception, after @ ..] => {
            let whole = format!("{licence} WITH {exception}");
            (
                ALLOWED.contains(licence) || ALLOWED.contains(&whole.as_str()),
                after,
            )
        }
        [licence, after @ ..] => (ALLOWED.contains(licence), after),
        [] => (false, *rest),
    };
    *rest = after;
    verdict
}

#[test]
fn an_expression_is_allowed_when_a_choice_is_left() {
    for yes in [
        "MIT",
        "GPL-2.0 OR MIT",
        "MIT/GPL-3.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(allowed(yes), "{yes}");
    }
    for no in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND AGPL-3.0",
        "(MIT",
        "MIT ISC",
    ] {
        assert!(!allowed(no), "{no}");
    }
}

#[test]
fn every_dependency_has_a_licence_that_allows_giving_it_away() {
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo");
    assert!(
        metadata.status.success(),
        "{}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("metadata");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 50);
    let doubtful: Vec<_> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(allowed))
        .map(|package| {
            format!(
                "{} {}: {}",
                package["name"], package["version"], package["license"]
            )
        })
        .collect();
    assert!(
        doubtful.is_empty(),
        "not in the list of allowed licences: {doubtful:#?}"
    );
}
