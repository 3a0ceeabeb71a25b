//! Metrics by value: what was done is what they say.

use crate::support::app::TestApp;
use crate::support::eventually::eventually;
use icr_bridge::domain::event::EventKind;
use icr_bridge::mock_kafka::{MockKafka, MockTopic};
use icr_bridge::version::{REVISION, VERSION};
use serde_json::json;

#[test]
fn every_metric_says_what_was_done() {
    let kafka = MockKafka::start(
        &["icr.webhooks", "icr.webhooks.quarantine"].map(|topic| MockTopic::new(topic, 2)),
    )
    .unwrap();
    let app = TestApp::start(&[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    let before = icr_bridge::ingest::wall_clock().0 as f64 / 1000.0;
    let simulator = app.simulator();
    for number in 1..=3 {
        assert_eq!(
            app.deliver(&simulator.delivery(EventKind::OrganizationTransaction, number))
                .status,
            202
        );
    }
    app.deliver(&simulator.delivery(EventKind::OrganizationTransaction, 3));
    app.deliver(&simulator.delivery(EventKind::Other, 4));
    app.deliver(&simulator.unintelligible(5));
    app.deliver(&simulator.forged(EventKind::Installed, 6));
    let payload =
        json!({"event": "installed", "installation": {"id": "9", "organization": {"id": "o"}}});
    app.deliver(&simulator.sign_text(
        payload.to_string().as_bytes(),
        json!({"event": "uninstalled"}),
    ));
    eventually("all of it is published", || {
        (app.metrics().sum("records_published_total") == 5.0).then_some(())
    });
    eventually("a broker is up", || {
        (app.metrics().value("kafka_brokers_up") == 1.0).then_some(())
    });

    let metrics = eventually("nothing is pending", || {
        let metrics = app.metrics();
        let settled = metrics
            .maybe("journal_oldest_pending_timestamp_seconds")
            .is_none();
        (settled && metrics.value("records_quarantined_total{reason=\"payload_not_json\"}") == 1.0)
            .then_some(metrics)
    });
    for (series, value) in [
        (
            "deliveries_accepted_total{app=\"default\",event=\"organizationTransaction\"}",
            3.0,
        ),
        (
            "deliveries_accepted_total{app=\"default\",event=\"installed\"}",
            1.0,
        ),
        (
            "deliveries_accepted_total{app=\"default\",event=\"other\"}",
            2.0,
        ),
        (
            "deliveries_accepted_total{app=\"default\",event=\"suspended\"}",
            0.0,
        ),
        (
            "deliveries_rejected_total{app=\"default\",reason=\"signature_wrong\"}",
            1.0,
        ),
        ("deliveries_duplicate_total{app=\"default\"}", 1.0),
        ("deliveries_refused_total{reason=\"disk_full\"}", 0.0),
        ("outer_mismatch_total", 1.0),
        ("secret_matched_total{app=\"default\",position=\"0\"}", 7.0),
        ("secret_reload_failures_total", 0.0),
        ("http_request_duration_seconds_count{code=\"202\"}", 7.0),
        ("http_request_duration_seconds_count{code=\"403\"}", 1.0),
        ("journal_append_seconds_count", 6.0),
        (
            "records_published_total{event=\"organizationTransaction\",topic=\"icr.webhooks\"}",
            3.0,
        ),
        (
            "records_published_total{event=\"other\",topic=\"icr.webhooks\"}",
            1.0,
        ),
        (
            "records_published_total{event=\"installed\",topic=\"icr.webhooks\"}",
            1.0,
        ),
        ("records_republished_total", 0.0),
        ("accept_to_ack_seconds_count", 5.0),
        ("deliveries_held", 0.0),
        ("producer_rebuilds_total", 0.0),
        ("journal_pending_deliveries", 0.0),
        ("journal_damaged_segments", 0.0),
        ("journal_low_water_bytes", 1_048_576.0),
        ("unaccounted_deliveries", 0.0),
        (
            &format!("build_info{{revision=\"{REVISION}\",version=\"{VERSION}\"}}"),
            1.0,
        ),
    ] {
        assert_eq!(metrics.value(series), value, "{series}");
    }
    let syncs = metrics.value("journal_sync_seconds_count");
    assert!(
        (1.0..=6.0).contains(&syncs),
        "{syncs} groups of 6 deliveries"
    );
    assert!(
        metrics.value("journal_bytes") > 4.0 * 1_048_576.0,
        "the segment is reserved"
    );
    assert!(metrics.value("journal_free_bytes") > 0.0);
    for series in [
        "last_accepted_timestamp_seconds{app=\"default\"}",
        "last_published_timestamp_seconds",
    ] {
        let at = metrics.value(series);
        assert!(at >= before && at < before + 600.0, "{series} {at}");
    }
    assert!(metrics.text.contains("process_resident_memory_bytes") || !cfg!(target_os = "linux"));
    for private in [
        "org1",
        "Organization",
        "projectValidated",
        "user@example.com",
    ] {
        assert!(
            !metrics.text.contains(private),
            "{private} came from a sender"
        );
    }
    let ledger = app.stop();
    assert_eq!(
        (ledger.accepted, ledger.published, ledger.quarantined),
        (6, 5, 1)
    );
}
