//! What the compiler cannot see of the layers. That domain and journal know nothing of the crates above them, nor of HTTP and Kafka, is
//! said by their manifests.

use std::fs;
use std::path::{Path, PathBuf};

/// A crate's own tests may do what it may not.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("tests") {
            continue;
        }
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

/// The one fuzzed module of the application is compiled by the fuzz crate itself, whose dependencies are pinned apart.
#[test]
fn what_is_fuzzed_is_built_with_the_dependencies_of_the_bridge() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let line = |file: &str, dependency: &str| {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let found = text.lines().find(|line| line.starts_with(dependency));
        found.unwrap().to_owned()
    };
    for dependency in ["bytes = ", "flate2 = "] {
        let theirs = line("tests/fuzz/Cargo.toml", dependency);
        assert_eq!(theirs, line("Cargo.toml", dependency));
    }
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
