//! What is written down is what the code says. `UPDATE_DOCS=1` writes the tables anew.

use icr_bridge::config::settings::{PREFIX, SETTINGS};
use icr_bridge::metrics::definitions::DEFINITIONS;
use std::fmt::Write;
use std::path::Path;

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn settings_table() -> String {
    let mut table = String::from("| variable | default | meaning |\n|---|---|---|\n");
    for setting in SETTINGS {
        let default = setting
            .default
            .map_or_else(|| "none".to_owned(), |default| format!("`{default}`"));
        writeln!(
            table,
            "| `{}` | {default} | {} |",
            setting.name,
            setting.meaning.replace('|', "\\|")
        )
        .unwrap();
    }
    table
}

fn metrics_table() -> String {
    let mut table = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for metric in DEFINITIONS {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind,
            labels.join(" "),
            metric.help
        )
        .unwrap();
    }
    table
}

/// Compares the part of the README between two markers.
fn check_section(name: &str, expected: &str) {
    let path = file("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        format!("<!-- {name}:begin -->\n"),
        format!("<!-- {name}:end -->"),
    );
    let (before, rest) = text.split_once(&begin).unwrap();
    let (found, after) = rest.split_once(&end).unwrap();
    if found != expected && std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
        return;
    }
    assert!(
        found == expected,
        "the README's {name} are not those of the code; UPDATE_DOCS=1 cargo test docs"
    );
}

#[test]
fn the_readme_lists_the_settings_and_metrics_of_the_code() {
    check_section("settings", &settings_table());
    check_section("metrics", &metrics_table());
}

/// `deploy/env.example`, whole.
fn example_environment() -> String {
    let mut text = String::from(
        "# Every setting of icr-bridge. A line with a leading `#` and no space shows the default, or nothing where there is none.\n\
         # For `docker run --env-file`, systemd's EnvironmentFile= and the like: no quotes, no spaces around `=`, no comment\n\
         # behind a value. A secret and the brokers are all that must be set.\n",
    );
    for setting in SETTINGS {
        writeln!(
            text,
            "\n# {}\n#{PREFIX}{}={}",
            setting.meaning,
            setting.name,
            setting.default.unwrap_or_default()
        )
        .unwrap();
    }
    text
}

#[test]
fn the_example_environment_is_that_of_the_code() {
    let path = file("deploy/env.example");
    let found = std::fs::read_to_string(&path).unwrap();
    let expected = example_environment();
    if found != expected && std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
        return;
    }
    assert!(
        found == expected,
        "deploy/env.example is not that of the code; UPDATE_DOCS=1 cargo test docs"
    );
}

/// Names of the faults in tests/faults.
fn faults(dir: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            faults(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = text
                .lines()
                .find_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
            names.extend(name.map(str::to_owned));
        }
    }
}

#[test]
fn each_line_of_the_failure_table_names_the_faults_that_prove_it() {
    let text = std::fs::read_to_string(file("README.md")).unwrap();
    let (_, table) = text
        .split_once("| | then | proved by |\n|---|---|---|\n")
        .unwrap();
    let rows: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    let mut known = Vec::new();
    faults(&file("tests/faults"), &mut known);
    assert!(known.len() > 20, "{known:?}");
    let is_test = |name: &str| {
        let module = name.strip_prefix("real_kafka::");
        module.is_some_and(|name| file(&format!("tests/it/real_kafka/{name}.rs")).is_file())
    };
    let mut named = std::collections::BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [what, _, proof] = cells[..] else {
            panic!("three cells: {row}");
        };
        let names: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        let proved = !names.is_empty() || proof.starts_with("every one");
        assert!(proved, "{what}: no fault proves it: {proof:?}");
        for name in names {
            assert!(
                known.iter().any(|known| known == name) || is_test(name),
                "{what}: there is no fault {name}"
            );
            named.insert(name.to_owned());
        }
    }
    let idle: Vec<_> = known.iter().filter(|name| !named.contains(*name)).collect();
    assert_eq!(idle, ["self-check"], "every fault is there for a line");
}
