//! What stands in `deploy/` and in `docker-compose.yml` agrees with the bridge and with itself: `tests/run deploy`.

use std::collections::BTreeSet;
use std::path::Path;

use icr_bridge::metrics::definitions::DEFINITIONS;
use serde_json::Value;

const PREFIX: &str = "icr_bridge_";

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/grafana/dashboards/icr-bridge.json"))
        .expect("the dashboard is JSON")
}

/// The panels that show something: rows are headings.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().expect("panels");
    panels
        .iter()
        .filter(|panel| panel["type"] != "row")
        .collect()
}

fn queries(dashboard: &Value) -> Vec<String> {
    let targets = panels(dashboard)
        .into_iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let variables = dashboard["templating"]["list"]
        .as_array()
        .expect("variables")
        .iter();
    let asked = targets
        .map(|target| &target["expr"])
        .chain(variables.map(|variable| &variable["definition"]));
    asked.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The words of a query that begin with the prefix.
fn metrics_of(query: &str) -> BTreeSet<&str> {
    let words = query.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
    words.filter_map(|word| word.strip_prefix(PREFIX)).collect()
}

/// Whether the bridge has it; of a histogram only its parts can be asked for.
fn exists(metric: &str) -> bool {
    DEFINITIONS.iter().any(|known| match known.kind {
        "histogram" => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|part| metric.strip_suffix(part) == Some(known.name)),
        _ => metric == known.name,
    })
}

#[test]
fn the_dashboard_asks_only_for_metrics_that_exist() {
    let dashboard = dashboard();
    for query in queries(&dashboard) {
        let metrics = metrics_of(&query);
        assert!(!metrics.is_empty(), "no metric of the bridge in: {query}");
        for metric in metrics {
            assert!(
                exists(metric),
                "there is no {PREFIX}{metric}, asked for in: {query}"
            );
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    let dashboard = dashboard();
    assert!(panels(&dashboard).len() > 10);
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().expect("a title");
        assert!(
            panel["description"]
                .as_str()
                .is_some_and(|text| text.len() > 20),
            "{title} has no description"
        );
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{title} has no unit"
        );
    }
}

#[test]
fn counters_are_asked_for_their_rate_over_the_interval_that_grafana_picks() {
    for query in queries(&dashboard()) {
        let is_counter = metrics_of(&query)
            .iter()
            .any(|metric| metric.ends_with("_total") || metric.ends_with("_bucket"));
        if is_counter && !query.starts_with("label_values(") {
            let rate = query.contains("rate(") && query.contains("[$__rate_interval]");
            // A single number over the whole time shown.
            let increase = query.contains("increase(") && query.contains("[$__range]");
            assert!(rate || increase, "{query}");
        }
    }
}

#[test]
fn the_dashboard_is_provisioned_with_the_data_source_it_offers() {
    let dashboard = dashboard();
    assert_eq!(dashboard["schemaVersion"], 42);
    let variables: Vec<_> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(variables, ["datasource", "instance", "app"]);
    for panel in panels(&dashboard) {
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
    }
}

#[test]
fn compose_and_the_tests_run_the_same_kafka() {
    let pom = read("tests/kafka/pom.xml");
    let (_, after) = pom
        .split_once("<artifactId>kafka_2.13</artifactId>")
        .expect("Kafka in pom.xml");
    let version = after.split(['<', '>']).nth(2).expect("a version");
    let image = format!("apache/kafka:{version}");
    let compose = read("docker-compose.yml");
    assert_eq!(
        compose.matches(&format!("image: {image}\n")).count(),
        2,
        "{image} in docker-compose.yml"
    );
    assert_eq!(compose.matches("image: apache/kafka:").count(), 2);
    assert!(
        read("tests/kafka/common.sh").contains(&format!("image={image}\n")),
        "{image} in tests/kafka/common.sh"
    );
    let connect = read("tests/connect/pom.xml");
    let element = format!("<version>{version}</version>");
    let count = connect.matches(&element).count();
    assert_eq!(count, 2, "{version} in tests/connect/pom.xml");
    let page = read("deploy/contract/CONNECT.md");
    assert!(
        page.contains(&format!("({version}, from")),
        "{version} in CONNECT.md"
    );
}

#[test]
fn compose_publishes_to_this_machine_alone_and_pins_what_it_pulls() {
    for line in read("docker-compose.yml").lines().map(str::trim) {
        if let Some(image) = line.strip_prefix("image: ") {
            let (_, tag) = image
                .rsplit_once(':')
                .unwrap_or_else(|| panic!("{image} has no tag"));
            assert!(
                tag == "local" || tag.chars().any(|sign| sign.is_ascii_digit()),
                "{image} is not pinned"
            );
        }
        let published = line
            .strip_prefix("- ")
            .filter(|item| item.starts_with("127.0.0.1:") || item.starts_with("${"));
        if let Some(port) = published {
            assert!(port.starts_with("127.0.0.1:"), "{port} is open to others");
        }
    }
    assert_eq!(
        read("docker-compose.yml")
            .matches("    ports:\n      - 127.0.0.1:")
            .count(),
        4
    );
}
