//! Records equal their golden files.

use crate::support::golden::{assert_golden, cases, folder, made, text};
use std::collections::BTreeSet;

#[test]
fn every_record_equals_its_golden_file() {
    for case in cases() {
        assert_golden(&case.name, &text(&made(&case)));
    }
}

#[test]
fn every_golden_file_belongs_to_a_case() {
    let names: BTreeSet<String> = cases()
        .into_iter()
        .map(|case| format!("{}.json", case.name))
        .collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&file), "{file} belongs to no case");
    }
}
