//! Dependencies point one way; the compiler can't say so within one crate.

use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The code of a file: comment lines may name what the code may not.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn assert_never_mentions(folder: &str, words: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(folder);
    let files = rust_files(&folder);
    assert!(
        files.len() > 5,
        "{} has no files to check",
        folder.display()
    );
    for path in files {
        let code = code(&path);
        for word in words {
            assert!(!code.contains(word), "{} mentions {word}", path.display());
        }
    }
}

#[test]
fn the_domain_knows_no_http_no_kafka_no_runtime_and_no_journal() {
    assert_never_mentions(
        "domain",
        &[
            "actix",
            "rdkafka",
            "tokio",
            "crate::journal",
            "super::journal",
        ],
    );
}

#[test]
fn the_domain_reads_no_clock_no_file_and_no_socket() {
    assert_never_mentions(
        "domain",
        &[
            "SystemTime",
            "Instant",
            "Timestamp::now",
            "Zoned::now",
            "now_v7",
            "std::fs",
            "std::net",
            "std::env",
            "std::io",
        ],
    );
}

#[test]
fn the_journal_knows_no_http_no_kafka_and_no_domain() {
    assert_never_mentions(
        "journal",
        &["actix", "rdkafka", "crate::domain", "super::domain"],
    );
}

#[test]
fn the_contract_is_as_pure_as_the_domain() {
    assert_never_mentions(
        "contract",
        &[
            "actix",
            "rdkafka",
            "tokio",
            "crate::journal",
            "crate::http",
            "crate::config",
            "SystemTime",
            "Timestamp::now",
            "std::fs",
            "std::net",
            "std::env",
            "std::io",
        ],
    );
}

/// The fuzz targets compile both folders by themselves, with dependencies of their own.
#[test]
fn what_is_fuzzed_is_built_with_the_dependencies_of_the_bridge() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let (bridge, fuzz) = (read("Cargo.toml"), read("tests/fuzz/Cargo.toml"));
    let (_, theirs) = fuzz.split_once("# The bridge's").unwrap();
    let theirs: Vec<&str> = theirs
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .collect();
    let fuzzed: String = ["src/domain", "src/journal"]
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
        .map(|path| code(&path))
        .collect();
    let (_, ours) = bridge.split_once("\n[dependencies]\n").unwrap();
    let mut needed = 0;
    for line in ours.lines().take_while(|line| !line.starts_with('[')) {
        let Some((name, _)) = line.split_once(" = ") else {
            continue;
        };
        if fuzzed.contains(&format!("{}::", name.replace('-', "_"))) {
            assert!(
                theirs.contains(&line),
                "tests/fuzz/Cargo.toml wants the line {line}"
            );
            needed += 1;
        }
    }
    assert!(needed > 8, "{needed} dependencies are needed");
}

#[test]
fn the_ring_of_rejected_deliveries_knows_no_http_no_kafka_and_no_ingress() {
    assert_never_mentions(
        "rejected",
        &[
            "actix",
            "rdkafka",
            "crate::http",
            "crate::ingest",
            "crate::publisher",
        ],
    );
}
