//! Which records go to the quarantine topic, and which are held because that topic does not take them either.

use super::rig::*;
use super::stop;
use crate::support::golden::{self, Found, Identity, Making};
use icr_bridge::domain::reasons::QuarantineReason;
use icr_bridge::mock_kafka::{MockKafka, MockTopic};
use icr_bridge::publisher::FailureReason;
use rdkafka::types::RDKafkaApiKey::Produce;
use rdkafka::types::RDKafkaRespErr as E;

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
