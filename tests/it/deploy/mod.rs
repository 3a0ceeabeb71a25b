//! What stands in `deploy/` and in `docker-compose.yml` agrees with the bridge and with itself: `tests/run deploy`.

mod alerts;
mod dashboard;

use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The anchors that GitHub gives to the headings of the runbook.
fn runbook_anchors() -> BTreeSet<String> {
    let runbook = read("deploy/RUNBOOK.md");
    let headings = runbook.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        heading
            .trim_start_matches(['#', ' '])
            .to_lowercase()
            .replace(' ', "-")
            .replace(|sign: char| !sign.is_alphanumeric() && sign != '-', "")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_within_the_runbook_leads_somewhere() {
    let runbook = read("deploy/RUNBOOK.md");
    let anchors = runbook_anchors();
    let mut links = 0;
    for link in runbook.split("](#").skip(1) {
        let link = link.split(')').next().unwrap_or_default();
        assert!(anchors.contains(link), "no section #{link}");
        links += 1;
    }
    assert!(links > 20);
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
        3,
        "{image} in docker-compose.yml"
    );
    assert_eq!(compose.matches("image: apache/kafka:").count(), 3);
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
        5
    );
}
