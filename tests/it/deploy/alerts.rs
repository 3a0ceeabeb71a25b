//! Every alert says how grave it is, what has happened and where to read on; and is tested, firing and not firing.

use super::{read, runbook_anchors};
use serde_json::Value;
use std::collections::BTreeMap;

const TESTS: [&str; 4] = ["safe", "silence", "door", "publishing"];

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn rules(path: &str) -> Vec<Value> {
    let groups = yaml(path);
    list(&groups, "groups")
        .iter()
        .flat_map(|group| list(group, "rules").to_vec())
        .collect()
}

fn alerts() -> Vec<Value> {
    rules("deploy/prometheus/alerts.yml")
}

#[test]
fn every_alert_has_a_severity_a_summary_and_a_section_of_the_runbook() {
    let anchors = runbook_anchors();
    let alerts = alerts();
    assert!(alerts.len() > 20);
    for alert in alerts {
        let name = alert["alert"].as_str().expect("a name");
        let severity = alert["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("page" | "ticket")), "{name}");
        for text in ["summary", "description"] {
            let text = alert["annotations"][text].as_str().unwrap_or_default();
            assert!(text.len() > 10, "{name} says too little");
        }
        let url = alert["annotations"]["runbook_url"].as_str();
        let section = name.to_lowercase();
        assert_eq!(url, Some(&*format!("deploy/RUNBOOK.md#{section}")));
        assert!(anchors.contains(&section), "no section about {name}");
    }
}

#[test]
fn every_alert_is_tested_firing_and_not_firing() {
    // By name: how often it is expected, and how often not.
    let mut seen: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for file in TESTS {
        let file = yaml(&format!("deploy/prometheus/{file}.test.yml"));
        for test in list(&file, "tests") {
            for check in list(test, "alert_rule_test") {
                let name = check["alertname"].as_str().expect("a name").to_owned();
                let (firing, silent) = seen.entry(name).or_default();
                if list(check, "exp_alerts").is_empty() {
                    *silent += 1;
                } else {
                    *firing += 1;
                }
            }
        }
    }
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let (firing, silent) = seen.get(name).copied().unwrap_or_default();
        assert!(firing > 0, "no test sees {name} fire");
        assert!(silent > 0, "no test sees {name} not fire");
    }
}

#[test]
fn alerts_and_panels_share_what_the_recording_rules_compute() {
    let queries: Vec<String> = super::dashboard::queries(&super::dashboard::dashboard());
    let alerts = alerts();
    let recorded = rules("deploy/prometheus/recording.yml");
    let asked = |name: &str| {
        let by_alert = alerts
            .iter()
            .any(|alert| alert["expr"].as_str().is_some_and(|it| it.contains(name)));
        (by_alert, queries.iter().any(|query| query.contains(name)))
    };
    let mut shared = 0;
    for rule in &recorded {
        let name = rule["record"].as_str().expect("a name");
        let by_rule = recorded
            .iter()
            .any(|rule| rule["expr"].as_str().is_some_and(|it| it.contains(name)));
        let (by_alert, by_panel) = asked(name);
        assert!(by_alert || by_panel || by_rule, "nobody asks for {name}");
        shared += usize::from(by_alert && by_panel);
    }
    assert!(shared >= 7, "{shared}");
}

#[test]
fn prometheus_loads_the_rules_and_scrapes_a_job_that_the_alerts_look_at() {
    let config = yaml("deploy/prometheus/prometheus.yml");
    assert_eq!(
        list(&config, "rule_files"),
        ["recording.yml", "alerts.yml"].map(Value::from)
    );
    let first = &list(&config, "scrape_configs")[0];
    assert_eq!(first["job_name"], "icr-bridge");
}
