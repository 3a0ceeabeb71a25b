//! The dashboard keeps the rules of Grafana's dashboard linter, and asks for what the bridge has. What it shows is tested by `tests/run dashboard`.

use super::{read, runbook_anchors};
use icr_bridge::metrics::definitions::DEFINITIONS;
use serde_json::Value;
use std::collections::BTreeSet;

const PREFIX: &str = "icr_bridge_";

pub(super) fn dashboard() -> Value {
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

pub(super) fn queries(dashboard: &Value) -> Vec<String> {
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

/// The words of a query that begin with the prefix; what recording rules make is none.
fn metrics_of(query: &str) -> BTreeSet<&str> {
    let words =
        query.split(|sign: char| !sign.is_ascii_alphanumeric() && !matches!(sign, '_' | ':'));
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
        for metric in metrics_of(&query) {
            assert!(
                exists(metric),
                "there is no {PREFIX}{metric}, asked for in: {query}"
            );
        }
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The queries of panels, without those of variables.
fn targets(dashboard: &Value) -> Vec<String> {
    panels(dashboard)
        .into_iter()
        .flat_map(|panel| list(panel, "targets"))
        .map(|target| target["expr"].as_str().expect("a query").to_owned())
        .collect()
}

/// The selectors of a query: a name, and what stands in its braces.
fn selectors(query: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (position, _) in query.match_indices('{') {
        let before = &query[..position];
        let start = before
            .rfind(|sign: char| !sign.is_ascii_alphanumeric() && !matches!(sign, '_' | ':'))
            .map_or(0, |at| at + 1);
        let inside = query[position + 1..].split('}').next().unwrap_or_default();
        found.push((&before[start..], inside));
    }
    found
}

#[test]
fn every_panel_has_a_title_a_description_a_unit_and_a_section_of_the_runbook() {
    let dashboard = dashboard();
    let anchors = runbook_anchors();
    assert!(panels(&dashboard).len() > 30);
    let mut titles = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().expect("a title");
        assert!(titles.insert(title), "two panels are called {title}");
        let description = panel["description"].as_str().unwrap_or_default();
        assert!(description.len() > 20, "{title} has no description");
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{title} has no unit"
        );
        let url = panel["links"][0]["url"].as_str().unwrap_or_default();
        let section = url.strip_prefix("${runbook}#");
        assert!(
            section.is_some_and(|section| anchors.contains(section)),
            "{title} leads to {url}, which the runbook does not have"
        );
    }
}

#[test]
fn rows_lead_from_whether_it_is_safe_to_the_process() {
    let dashboard = dashboard();
    let rows: Vec<_> = list(&dashboard, "panels")
        .iter()
        .filter(|panel| panel["type"] == "row")
        .map(|row| row["title"].as_str().unwrap())
        .collect();
    assert_eq!(
        rows,
        [
            "Is it safe?",
            "Ingress",
            "Journal",
            "Publishing",
            "librdkafka",
            "Process"
        ]
    );
}

#[test]
fn panels_do_not_cover_each_other() {
    let dashboard = dashboard();
    let mut taken = BTreeSet::new();
    for panel in list(&dashboard, "panels") {
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            assert!(x < 24, "{}", panel["title"]);
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{} covers another", panel["title"]);
            }
        }
    }
}

#[test]
fn counters_are_asked_for_their_rate_over_the_interval_that_grafana_picks() {
    for query in targets(&dashboard()) {
        for (name, _) in selectors(&query) {
            let is_counter = ["_total", "_bucket", "_count", "_sum"]
                .iter()
                .any(|suffix| name.ends_with(suffix));
            let rates = query.matches(&format!("rate({name}{{")).count();
            let asked = query.matches(&format!("{name}{{")).count();
            if is_counter {
                assert_eq!(rates, asked, "{query}");
            } else {
                assert_eq!(rates, 0, "a rate of what is no counter: {query}");
            }
        }
        assert_eq!(
            query.matches('[').count(),
            query.matches("[$__rate_interval]").count(),
            "{query}"
        );
    }
}

#[test]
fn every_selector_takes_the_variables_that_its_level_has() {
    for query in targets(&dashboard()) {
        for (name, inside) in selectors(&query) {
            assert!(inside.contains(r#"job=~"$job""#), "{name} in {query}");
            let level = name.split_once(':').map(|(level, _)| level);
            let has_instance = !matches!(level, Some("job" | "app")) && name != "ALERTS";
            assert_eq!(
                inside.contains(r#"instance=~"$instance""#),
                has_instance,
                "{name} in {query}"
            );
            let metric = name.strip_prefix(PREFIX).unwrap_or_default();
            let has_app = level == Some("app")
                || DEFINITIONS
                    .iter()
                    .any(|known| known.name == metric && known.labels.contains(&"app"));
            // The ledger is that of whole instances.
            if has_app && inside.contains("$app") != has_app {
                assert!(query.starts_with("sum(rate("), "{name} in {query}");
            }
        }
    }
}

#[test]
fn variables_are_those_that_one_filters_by() {
    let dashboard = dashboard();
    let variables = list(&dashboard["templating"], "list");
    let names: Vec<_> = variables
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["datasource", "job", "instance", "app", "runbook"]);
    for variable in variables {
        match variable["type"].as_str() {
            Some("datasource") => {
                assert_eq!(variable["label"], "Data source");
                assert_eq!(variable["query"], "prometheus");
            }
            Some("query") => {
                assert_eq!(variable["multi"], true);
                assert_eq!(variable["includeAll"], true);
                assert_eq!(variable["allValue"], ".+");
                assert_eq!(variable["refresh"], 2, "reload when the time changes");
                assert_eq!(variable["datasource"]["uid"], "${datasource}");
            }
            other => assert_eq!(other, Some("constant")),
        }
    }
}

#[test]
fn the_dashboard_is_provisioned_and_cannot_be_edited_by_accident() {
    let dashboard = dashboard();
    assert_eq!(dashboard["schemaVersion"], 42);
    assert_eq!(dashboard["editable"], false);
    for panel in panels(&dashboard) {
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
        assert!(!list(panel, "targets").is_empty());
        let mut references = BTreeSet::new();
        for target in list(panel, "targets") {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
            assert!(references.insert(target["refId"].as_str().unwrap()));
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            assert!(!legend.is_empty(), "{}", panel["title"]);
        }
    }
}
