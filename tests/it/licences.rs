//! What the bridge is made of may be given away with it, as deny.toml says: `tests/run audit`.

use serde_json::Value;
use spdx::{Expression, Licensee, ParseMode};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const TOP: &str = env!("CARGO_MANIFEST_DIR");

/// The policy, a part at a time.
fn policy(part: &str) -> toml::Value {
    let text = std::fs::read_to_string(Path::new(TOP).join("deny.toml")).unwrap();
    let policy: toml::Table = text.parse().unwrap();
    policy[part].clone()
}

fn allowed() -> Vec<Licensee> {
    let names = policy("licenses")["allow"].clone();
    let names: Vec<String> = names.try_into().unwrap();
    let parsed = names.iter().map(|name| Licensee::parse(name).unwrap());
    parsed.collect()
}

/// Whether an SPDX expression can be met with allowed licences alone. `/` is how old crates write OR.
fn is_allowed(expression: &str, allowed: &[Licensee]) -> bool {
    Expression::parse_mode(expression, ParseMode::LAX).is_ok_and(|expression| {
        expression.evaluate(|asked| allowed.iter().any(|licence| licence.satisfies(asked)))
    })
}

fn metadata() -> Value {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(TOP)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&metadata.stderr);
    assert!(metadata.status.success(), "{said}");
    serde_json::from_slice(&metadata.stdout).unwrap()
}

/// Every package that may be built with, on any system.
fn packages() -> Vec<Value> {
    let packages = metadata()["packages"].as_array().unwrap().clone();
    assert!(packages.len() > 50);
    packages
}

fn named(package: &Value) -> String {
    format!(
        "{} {}",
        package["name"].as_str().unwrap(),
        package["version"].as_str().unwrap()
    )
}

#[test]
fn the_policy_tells_licences_that_are_allowed_from_those_that_are_not() {
    let allowed = allowed();
    for yes in [
        "MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 WITH LLVM-exception OR MIT",
        "(MIT OR GPL-3.0-only) AND Unicode-3.0",
        "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
    ] {
        assert!(is_allowed(yes, &allowed), "{yes}");
    }
    for no in [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "LGPL-2.1-or-later",
        "MIT OR",
        "AGPL-3.0-only AND (MIT OR Apache-2.0)",
    ] {
        assert!(!is_allowed(no, &allowed), "{no}");
    }
}

#[test]
fn every_dependency_has_a_licence_that_allows_giving_it_away() {
    let allowed = allowed();
    let doubtful: Vec<_> = packages()
        .iter()
        .filter(|package| {
            let licence = package["license"].as_str();
            !licence.is_some_and(|licence| is_allowed(licence, &allowed))
        })
        .map(|package| format!("{}: {}", named(package), package["license"]))
        .collect();
    assert!(
        doubtful.is_empty(),
        "not in deny.toml's list of licences: {doubtful:#?}"
    );
}

#[test]
fn no_licence_is_allowed_that_nothing_needs() {
    let allowed = allowed();
    let packages = packages();
    for (index, licence) in allowed.iter().enumerate() {
        let mut others = allowed.clone();
        others.remove(index);
        let needed = packages.iter().any(|package| {
            let licence = package["license"].as_str().unwrap();
            let named = Expression::parse_mode(licence, ParseMode::LAX).unwrap();
            let named = named
                .requirements()
                .any(|it| allowed[index].satisfies(&it.req));
            named || !is_allowed(licence, &others)
        });
        assert!(needed, "{licence}");
    }
}

#[test]
fn every_dependency_comes_from_the_registry() {
    assert_eq!(policy("sources")["unknown-git"].as_str(), Some("deny"));
    let metadata = metadata();
    let members = metadata["workspace_members"].as_array().unwrap();
    assert!(members.len() > 2);
    for package in metadata["packages"].as_array().unwrap() {
        let source = package["source"].as_str();
        let own = members.contains(&package["id"]);
        assert!(
            own || source == Some("registry+https://github.com/rust-lang/crates.io-index"),
            "{} comes from {source:?}",
            named(package)
        );
    }
}

#[test]
fn each_exception_from_the_advisories_has_its_reason() {
    let advisories = policy("advisories");
    for ignored in advisories["ignore"].as_array().unwrap() {
        let reason = ignored.get("reason").and_then(toml::Value::as_str);
        assert!(
            reason.is_some_and(|reason| reason.len() > 20),
            "{ignored:?}"
        );
    }
}

/// What goes into the image beside the binary.
#[test]
fn the_licences_of_all_that_is_linked_are_gathered() {
    let gathered = tempfile::tempdir().unwrap();
    let script = Path::new(TOP).join("deploy/third-party-licences");
    let done = Command::new(script).arg(gathered.path()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let index = std::fs::read_to_string(gathered.path().join("INDEX")).unwrap();
    let mut listed = BTreeSet::new();
    let mut without_text = 0;
    for line in index.lines() {
        if let Some(text) = line.strip_prefix("    text: ") {
            match text.strip_prefix("none") {
                Some(_) => without_text += 1,
                None => assert!(
                    std::fs::metadata(gathered.path().join(text)).unwrap().len() > 0,
                    "{text}"
                ),
            }
        } else if !line.starts_with(' ') {
            listed.insert(line.to_owned());
        }
    }
    assert!(
        without_text * 20 < listed.len(),
        "{without_text} without a text"
    );
    let known: BTreeSet<_> = packages().iter().map(named).collect();
    assert!(listed.is_subset(&known) && listed.len() > 100);
    // What is compiled from C.
    for text in [
        "openssl-LICENSE.txt",
        "librdkafka-LICENSES.txt",
        "zstd-LICENSE",
        "zlib-LICENSE",
    ] {
        assert!(index.contains(text), "{text}");
    }
}
