//! Failures that pass: errors that are not about a record, a missing topic, and a broker that is away. Nothing is lost or reordered.

use super::rig::*;
use super::stop;
use icr_bridge::mock_kafka::{MockKafka, MockTopic};
use icr_bridge::publisher::FailureReason;
use rdkafka::types::RDKafkaApiKey::Produce;
use rdkafka::types::RDKafkaRespErr as E;
use std::time::{Duration, Instant};

#[test]
fn a_failure_that_is_no_verdict_goes_back_to_the_cursor_and_keeps_the_order() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    let publisher = rig.start();
    rig.deliveries(0, 200, 100);
    kafka.with(|cluster| {
        cluster.request_errors(
            Produce,
            &[
                E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                E::RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS,
            ],
        );
    });
    rig.deliveries(200, 200, 100);
    rig.until_published();
    stop(publisher);
    let records = read(kafka.bootstrap_servers(), MAIN, 400);
    assert_in_order(&records);
    let told = rig.seen.told();
    assert_eq!(told.published, 400, "each is counted once: {told:?}");
    assert!(told.rebuilt >= 1, "{told:?}");
    assert!(
        told.failures.contains(&FailureReason::Unauthorized),
        "{told:?}"
    );
    assert!(told.quarantined.is_empty());
}

#[test]
fn retriable_errors_are_librdkafkas_business() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    kafka.with(|cluster| {
        cluster.request_errors(
            Produce,
            &[
                E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                E::RD_KAFKA_RESP_ERR__TRANSPORT,
                E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            ],
        );
    });
    let publisher = rig.start();
    rig.deliveries(0, 100, 100);
    rig.until_published();
    stop(publisher);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 100));
    assert_eq!(rig.seen.told().rebuilt, 0);
}

#[test]
fn going_back_again_and_again_counts_and_orders_each_delivery_once() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    let publisher = rig.start();
    for round in 0..8 {
        // One request passes, the next does not.
        kafka.with(|cluster| {
            cluster.request_errors(
                Produce,
                &[
                    E::RD_KAFKA_RESP_ERR_NO_ERROR,
                    E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                ],
            );
        });
        rig.deliveries(round * 100, 100, 100);
        // Else the next round's records might go with these, in one request.
        rig.until_published();
    }
    stop(publisher);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 800));
    let told = rig.seen.told();
    assert_eq!(told.published, 800, "{told:?}");
    assert!(told.rebuilt >= 4, "{told:?}");
    assert_eq!(rig.journal.ledger().published, 800);
}

#[test]
fn a_missing_topic_is_told_at_once_and_publishing_resumes_when_it_is_there() {
    let kafka = MockKafka::start(&[MockTopic::new(QUARANTINE, 1)]).unwrap();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 20, 10);
    let publisher = rig.start();
    eventually("it is told", || {
        rig.seen
            .told()
            .failures
            .contains(&FailureReason::UnknownTopic)
    });
    eventually("the wait is visible", || rig.seen.told().oldest.is_some());
    assert_eq!(rig.cursor(), 0);
    kafka
        .with(|cluster| cluster.create_topic(MAIN, 3, 1))
        .unwrap()
        .unwrap();
    rig.until_published();
    stop(publisher);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 20));
}

#[test]
fn a_broker_that_goes_away_and_comes_back_delays_and_loses_nothing() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    let publisher = rig.start();
    rig.deliveries(0, 100, 100);
    rig.until_published();
    kafka
        .with(|cluster| cluster.broker_down(1))
        .unwrap()
        .unwrap();
    rig.deliveries(100, 3000, 100);
    eventually("the silence is looked into", || {
        rig.seen.told().failures.contains(&FailureReason::NoBroker)
    });
    assert_eq!(rig.cursor(), 100);
    kafka.with(|cluster| cluster.broker_up(1)).unwrap().unwrap();
    rig.until_published();
    stop(publisher);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 3100));
}

#[test]
fn without_a_broker_it_stops_at_once_and_with_one_it_flushes_first() {
    // A port that nobody listens on.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let rig = Rig::new(&format!("127.0.0.1:{port}"));
    rig.deliveries(0, 10, 10);
    let publisher = rig.start();
    eventually("the absence is told", || {
        rig.seen.told().failures.contains(&FailureReason::NoBroker)
    });
    let started = Instant::now();
    assert!(publisher.stop(Duration::from_secs(30)));
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(rig.cursor(), 0);

    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 100, 10);
    let publisher = rig.start();
    assert!(publisher.stop(Duration::from_secs(10)));
    assert_eq!(
        rig.cursor(),
        100,
        "what was in the journal has been flushed"
    );
}
