//! What only a real Kafka shows. `tests/run kafka` starts one; without it each of these says that it was skipped.

mod addresses;
mod apps;
mod brokers;
mod cluster;
mod crashes;
mod golden;
mod logins;
mod mistakes;
mod oidc;
mod replay;
mod sizes;
mod smoke;
mod topics;

use crate::support::app::SECRET;
use crate::support::eventually::within;
use crate::support::http;
use crate::support::kafka::OwnedRecord;
use crate::support::process::Serving;
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::simulator::{Request, Simulator};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

/// How long Kafka may take for anything.
const PATIENCE: Duration = Duration::from_secs(90);

/// A bridge that publishes to a topic and its quarantine.
fn serve(journal: &Path, bootstrap: &str, topic: &str, settings: &[(&str, &str)]) -> Serving {
    let quarantine = format!("{topic}.quarantine");
    let mut all = vec![
        ("KAFKA_BROKERS", bootstrap),
        ("KAFKA_TOPIC", topic),
        ("KAFKA_QUARANTINE_TOPIC", &quarantine),
    ];
    all.retain(|(name, _)| !settings.iter().any(|(other, _)| other == name));
    all.extend_from_slice(settings);
    Serving::start(journal, &all)
}

fn simulator() -> Simulator {
    Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 3, 1)
}

/// Posts a delivery that must be accepted; its id.
fn accept(bridge: &Serving, request: &Request) -> String {
    let response = http::post(
        bridge.ingress,
        "/webhook",
        &[("x-icr-signature-256", &request.signature)],
        &request.body,
    );
    assert_eq!(
        response.status,
        202,
        "{}",
        String::from_utf8_lossy(&response.body)
    );
    response.json()["id"].as_str().unwrap().to_owned()
}

/// Accepts transactions with these numbers; their ids.
fn accept_transactions(bridge: &Serving, numbers: std::ops::Range<u64>) -> Vec<String> {
    let simulator = simulator();
    numbers
        .map(|number| {
            accept(
                bridge,
                &simulator.delivery(EventKind::OrganizationTransaction, number),
            )
        })
        .collect()
}

fn wait_until_nothing_is_pending(bridge: &Serving) {
    within(PATIENCE, "nothing is pending", || {
        (bridge.metrics().value("journal_pending_deliveries") == 0.0).then_some(())
    });
    assert_eq!(bridge.metrics().value("unaccounted_deliveries"), 0.0);
}

/// Every id stands in the records, and per key the first occurrences are in the order of acceptance.
fn assert_complete_and_in_order(records: &[OwnedRecord], ids: &[String]) {
    let found: HashSet<&str> = records
        .iter()
        .filter_map(|record| record.header("ce_id"))
        .collect();
    let lost: Vec<&String> = ids
        .iter()
        .filter(|id| !found.contains(id.as_str()))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} lost: {lost:?}",
        lost.len(),
        ids.len()
    );
    let mut seen = HashSet::new();
    let mut last: HashMap<&str, &str> = HashMap::new();
    for record in records {
        let (id, key) = (
            record.header("ce_id").unwrap(),
            record.key_text().unwrap_or_default(),
        );
        if seen.insert(id)
            && let Some(before) = last.insert(key, id)
        {
            assert!(before < id, "{id} stands behind {before} with key {key}");
        }
    }
}

/// Whether the bridge has logged a line that contains all of these.
fn logged(bridge: &Serving, words: &[&str]) -> bool {
    bridge
        .log()
        .iter()
        .any(|line| words.iter().all(|word| line.contains(word)))
}
