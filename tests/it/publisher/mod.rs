//! From the journal to a broker within the process, through the faults that such a broker can be told to have.
mod disks;
mod held;
mod odd_brokers;
mod rig;

use crate::support::golden::{self, Found, Identity, Making};
use icr_bridge::domain::outcome::Outcome;
use icr_bridge::domain::reasons::QuarantineReason;
use icr_bridge::mock_kafka::{MockKafka, MockTopic};
use icr_bridge::publisher::{FailureReason, Publisher};
use rdkafka::types::RDKafkaApiKey::Produce;
use rdkafka::types::RDKafkaRespErr as E;
use rig::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn stop(publisher: Publisher) {
    assert!(publisher.stop(Duration::from_secs(1)));
}

#[test]
fn everything_in_the_journal_is_published_in_order_and_counted() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 300, 100);
    let publisher = rig.start();
    rig.until_published();
    rig.deliveries(300, 50, 100);
    rig.until_published();
    stop(publisher);

    let records = read(kafka.bootstrap_servers(), MAIN, 350);
    assert_eq!(records.len(), 350, "nothing twice where nothing failed");
    assert_in_order(&records);
    let told = rig.seen.told();
    assert_eq!((told.published, told.again, told.rebuilt), (350, 0, 0));
    assert!(told.failures.is_empty(), "{told:?}");
    let ledger = rig.journal.ledger();
    assert_eq!((ledger.published, ledger.pending), (350, 0));
}

#[test]
fn each_outcome_tells_where_the_record_stands() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 1, 10);
    rig.append(&delivery("no JSON"));
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    rig.journal.close();
    let view = icr_bridge::journal::view::View::open(
        Arc::new(icr_bridge::journal::storage::Disk),
        &rig.dir.path().join("journal"),
    )
    .unwrap();
    let mut outcomes = Vec::new();
    view.outcomes(1, 2, &mut |_, bytes| {
        outcomes.push(format!("{:?}", Outcome::decode(bytes).unwrap()));
    })
    .unwrap();
    assert!(
        outcomes[0].contains("Published { topic: \"icr.webhooks\""),
        "{outcomes:?}"
    );
    assert!(outcomes[0].contains("offset: 0"), "{outcomes:?}");
    assert!(outcomes[1].contains("PayloadNotJson"), "{outcomes:?}");
}

#[test]
fn an_unintelligible_delivery_goes_to_quarantine_and_its_neighbours_to_the_topic() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 2, 10);
    rig.append(&delivery("no JSON"));
    rig.deliveries(2, 2, 10);
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    let quarantined = read(kafka.bootstrap_servers(), QUARANTINE, 1);
    assert_eq!(quarantined[0].header("ce_reason"), Some("payload_not_json"));
    assert_eq!(quarantined[0].key, None);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 4));
    assert_eq!(
        rig.seen.told().quarantined,
        [QuarantineReason::PayloadNotJson]
    );
}

#[test]
fn a_restart_goes_on_behind_the_cursor() {
    let kafka = kafka();
    let mut rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 20, 10);
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    rig.reopen();
    assert_eq!(rig.cursor(), 20);
    rig.deliveries(20, 20, 10);
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    let records = read(kafka.bootstrap_servers(), MAIN, 40);
    assert_eq!(records.len(), 40);
    assert_in_order(&records);
}

#[test]
fn a_publisher_dropped_in_the_middle_repeats_some_and_loses_none() {
    let kafka = kafka();
    let mut rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 2000, 100);
    let publisher = rig.start();
    eventually("some are published", || rig.seen.told().published > 100);
    drop(publisher);
    rig.reopen();
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 2000));
}

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
fn a_refused_batch_is_sent_one_by_one_and_nobody_innocent_is_quarantined() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 500, 200);
    kafka.with(|cluster| {
        cluster.request_errors(Produce, &[E::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    });
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 500));
    let told = rig.seen.told();
    assert!(told.quarantined.is_empty(), "{told:?}");
    assert_eq!(told.failures, [FailureReason::RecordRefused]);
    assert_eq!(told.published, 500);
    assert!(told.rebuilt >= 2, "alone, and ordinary again: {told:?}");
}

#[test]
fn a_record_refused_alone_is_quarantined_whole_and_the_rest_goes_on() {
    let kafka = kafka_with(1);
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 50, 100);
    // The batch is refused, then its first record alone.
    kafka.with(|cluster| {
        cluster.request_errors(
            Produce,
            &[
                E::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                E::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
            ],
        );
    });
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    let told = rig.seen.told();
    assert_eq!(
        told.quarantined,
        [QuarantineReason::RecordTooLarge],
        "{told:?}"
    );
    assert_eq!(told.published, 49);
    let quarantined = read(kafka.bootstrap_servers(), QUARANTINE, 1);
    assert_eq!(quarantined[0].header("ce_reason"), Some("record_too_large"));
    assert!(quarantined[0].value.starts_with(b"{\"signedData\":"));
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 49));
}

#[test]
fn a_record_over_the_clients_own_limit_is_quarantined_at_once_and_held_if_that_is_too_large_as_well()
 {
    let kafka = kafka();
    let mut rig = Rig::new(kafka.bootstrap_servers());
    rig.settings
        .kafka
        .properties
        .insert("message.max.bytes".into(), "20000".into());
    rig.deliveries(0, 3, 10);
    rig.deliveries(3, 1, 30_000);
    rig.deliveries(4, 3, 10);
    let publisher = rig.start();
    rig.until_published();
    eventually("the held one is told", || rig.seen.told().held == Some(1));
    stop(publisher);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 6));
    assert_eq!(rig.journal.held(), [4]);
    let ledger = rig.journal.ledger();
    assert_eq!((ledger.published, ledger.held, ledger.pending), (6, 1, 0));

    // A restart with a larger limit: the quarantine topic takes it after all.
    rig.reopen();
    rig.settings
        .kafka
        .properties
        .insert("message.max.bytes".into(), "1000000".into());
    let publisher = rig.start();
    eventually("it is released", || rig.journal.held().is_empty());
    eventually("and that is told", || rig.seen.told().held == Some(0));
    stop(publisher);
    let quarantined = read(kafka.bootstrap_servers(), QUARANTINE, 1);
    assert_eq!(quarantined[0].header("ce_reason"), Some("record_too_large"));
    let ledger = rig.journal.ledger();
    assert_eq!(
        (ledger.quarantined, ledger.held, ledger.unaccounted),
        (1, 0, 0)
    );
}

#[test]
fn what_the_quarantine_topic_refuses_as_well_is_held_and_released_when_it_no_longer_does() {
    let kafka = kafka_with(1);
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 1, 100);
    // In its batch, alone, and as a quarantine record alone.
    let refusals = [E::RD_KAFKA_RESP_ERR_INVALID_RECORD; 3];
    kafka.with(move |cluster| cluster.request_errors(Produce, &refusals));
    let publisher = rig.start();
    rig.until_published();
    rig.deliveries(1, 5, 100);
    rig.until_published();
    eventually("it is released", || rig.journal.held().is_empty());
    stop(publisher);
    let quarantined = read(kafka.bootstrap_servers(), QUARANTINE, 1);
    assert_eq!(quarantined.len(), 1);
    assert_eq!(quarantined[0].header("ce_reason"), Some("record_invalid"));
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 5));
    let ledger = rig.journal.ledger();
    assert_eq!(
        (
            ledger.published,
            ledger.quarantined,
            ledger.held,
            ledger.unaccounted
        ),
        (5, 1, 0, 0)
    );
    assert_eq!(
        rig.seen.told().quarantined,
        [QuarantineReason::RecordInvalid]
    );
}

#[test]
fn a_record_that_the_broker_calls_invalid_stands_in_quarantine_as_its_golden_record() {
    for case in golden::cases() {
        if case.making != Making::Refused(QuarantineReason::RecordInvalid) {
            continue;
        }
        let kafka = kafka_with(1);
        let mut rig = Rig::new(kafka.bootstrap_servers());
        rig.settings.record = case.settings.clone();
        rig.append(&golden::stored(&case));
        // In its batch, and alone.
        let refusals = [E::RD_KAFKA_RESP_ERR_INVALID_RECORD; 2];
        kafka.with(move |cluster| cluster.request_errors(Produce, &refusals));
        let publisher = rig.start();
        rig.until_published();
        stop(publisher);
        let record = read(kafka.bootstrap_servers(), QUARANTINE, 1).remove(0);
        let headers = record.headers.into_iter();
        let found = Found {
            topic: record.topic,
            key: record.key.map(golden::utf8),
            timestamp: record.timestamp.unwrap(),
            headers: headers
                .map(|(name, value)| (name, golden::utf8(value)))
                .collect(),
            value: golden::utf8(record.value),
        };
        let identity = Identity::of(&case.name);
        golden::assert_golden(&case.name, &found.with(&identity).text());
    }
}

#[test]
fn a_missing_quarantine_topic_holds_what_belongs_there_and_not_the_line() {
    let kafka = MockKafka::start(&[MockTopic::new(MAIN, 3)]).unwrap();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 3, 100);
    rig.append(&delivery("no JSON"));
    rig.deliveries(3, 3, 100);
    let publisher = rig.start();
    rig.until_published();
    assert_eq!(rig.journal.held(), [4]);
    assert!(
        rig.seen
            .told()
            .failures
            .contains(&FailureReason::UnknownTopic)
    );
    kafka
        .with(|cluster| cluster.create_topic(QUARANTINE, 1, 1))
        .unwrap()
        .unwrap();
    eventually("it is released", || rig.journal.held().is_empty());
    stop(publisher);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 6));
    let quarantined = read(kafka.bootstrap_servers(), QUARANTINE, 1);
    assert_eq!(quarantined[0].header("ce_reason"), Some("payload_not_json"));
}

#[test]
fn deliveries_lost_to_damage_are_told_and_passed() {
    let kafka = kafka();
    let mut rig = Rig::new(kafka.bootstrap_servers());
    for n in 0..9 {
        rig.deliveries(n, 1, 100);
    }
    rig.append(b"this one rots");
    for n in 9..18 {
        rig.deliveries(n, 1, 100);
    }
    rig.journal.close();
    rig.rot(b"this one rots");
    rig.reopen();
    let publisher = rig.start();
    eventually("all that is left is published", || rig.cursor() == 19);
    stop(publisher);
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 18));
    let told = rig.seen.told();
    assert_eq!((told.published, told.lost), (18, 1), "{told:?}");
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
fn what_this_bridge_cannot_read_is_held_and_stops_nothing() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 2, 10);
    rig.append(b"\xffneither a record nor anything else");
    rig.deliveries(2, 2, 10);
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    assert_eq!(rig.journal.held(), [3]);
    assert_eq!(
        rig.journal.read_held(3).unwrap().1,
        b"\xffneither a record nor anything else"
    );
    assert_in_order(&read(kafka.bootstrap_servers(), MAIN, 4));
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

#[test]
fn the_cursor_becomes_durable_by_itself() {
    let kafka = kafka();
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 10, 10);
    let publisher = rig.start();
    eventually("it is durable", || {
        rig.journal.durable_progress().sequence == 10
    });
    stop(publisher);
}
