//! The probe itself: that it shows what stands in Kafka, and breaks what it says it breaks.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use crate::support::kafka::{OwnBroker, RealKafka};

const PATIENCE: Duration = Duration::from_secs(30);

/// Passes on what became of each record.
struct Reports(std::sync::mpsc::Sender<Result<(), KafkaError>>);

impl rdkafka::ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let _ = self.0.send(
            result
                .as_ref()
                .map(|_| ())
                .map_err(|(error, _)| error.clone()),
        );
    }
}

fn produce(mut config: ClientConfig, topic: &str, value: &str) -> Result<(), KafkaError> {
    let (sender, reports) = std::sync::mpsc::channel();
    config
        .set("message.timeout.ms", "10000")
        .set("topic.metadata.propagation.max.ms", "1000");
    let producer: BaseProducer<Reports> = config.create_with_context(Reports(sender)).unwrap();
    let headers = OwnedHeaders::new().insert(Header {
        key: "ce_id",
        value: Some("7"),
    });
    let record = BaseRecord::to(topic)
        .partition(1)
        .key("k")
        .payload(value)
        .headers(headers)
        .timestamp(1_700_000_000_000);
    producer.send(record).map_err(|(error, _)| error)?;
    let _ = producer.flush(PATIENCE);
    reports.recv_timeout(PATIENCE).unwrap()
}

fn code(result: &Result<(), KafkaError>) -> Option<RDKafkaErrorCode> {
    result
        .as_ref()
        .err()
        .and_then(KafkaError::rdkafka_error_code)
}

#[test]
fn what_was_produced_is_read_back_whole() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let topic = kafka.new_topic("smoke", 2);
    assert_eq!(kafka.read_now(&[&topic]), []);

    produce(kafka.client(), &topic, "one").unwrap();
    produce(kafka.client(), &topic, "two").unwrap();

    let records = kafka.read_all(&[&topic], 2, PATIENCE);
    assert_eq!(records.len(), 2);
    assert_eq!(
        records
            .iter()
            .map(|record| record.value_text().unwrap())
            .collect::<Vec<_>>(),
        ["one", "two"]
    );
    let second = &records[1];
    assert_eq!(
        (second.partition, second.offset, second.key_text()),
        (1, 1, Some("k"))
    );
    assert_eq!(
        (second.header("ce_id"), second.timestamp),
        (Some("7"), Some(1_700_000_000_000))
    );
    assert_eq!(kafka.high_watermarks(&topic), [0, 2]);

    kafka.delete_topic(&topic);
    let gone = produce(kafka.client(), &topic, "three");
    assert!(
        matches!(
            code(&gone),
            Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition)
        ),
        "{gone:?}"
    );
}

#[test]
fn a_topic_keeps_the_settings_it_was_made_with() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let topic = crate::support::kafka::unique("smoke");
    kafka.create_topic(&topic, 2, &[("max.message.bytes", "2000")]);
    assert_eq!(
        kafka.topic_setting(&topic, "max.message.bytes").as_deref(),
        Some("2000")
    );
    let refused = produce(kafka.client(), &topic, &"x".repeat(3000));
    assert_eq!(code(&refused), Some(RDKafkaErrorCode::MessageSizeTooLarge));
}

#[test]
fn a_user_who_is_denied_a_topic_cannot_write_until_granted() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    if kafka.sasl_bootstrap.is_none() {
        return crate::support::kafka::skip(
            "KAFKA_SASL_BOOTSTRAP is not set: the broker is not one of ours",
        );
    }
    let topic = kafka.new_topic("smoke", 2);
    produce(kafka.sasl_client(), &topic, "one").unwrap();

    kafka.deny(&topic);
    let denied = produce(kafka.sasl_client(), &topic, "two");
    assert_eq!(
        code(&denied),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed)
    );
    kafka.grant(&topic);
    produce(kafka.sasl_client(), &topic, "three").unwrap();

    kafka.hide(&topic);
    let hidden = produce(kafka.sasl_client(), &topic, "four");
    assert_eq!(
        code(&hidden),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed)
    );
    kafka.grant(&topic);
    produce(kafka.sasl_client(), &topic, "five").unwrap();
    assert_eq!(kafka.count(&topic), 3);
}

#[test]
fn a_broker_of_ones_own_survives_a_stop_and_a_kill_with_its_data() {
    if RealKafka::from_env().is_none() {
        return;
    }
    let broker = OwnBroker::start();
    let topic = broker.new_topic("smoke", 2);
    produce(broker.client(), &topic, "one").unwrap();

    broker.stop();
    let away = produce(
        broker.client().set("message.timeout.ms", "500").clone(),
        &topic,
        "lost",
    );
    assert!(away.is_err());
    broker.restart();
    produce(broker.client(), &topic, "two").unwrap();

    broker.kill();
    broker.restart();
    produce(broker.client(), &topic, "three").unwrap();

    broker.pause();
    let silent = produce(broker.client(), &topic, "lost too");
    broker.resume();
    assert_eq!(code(&silent), Some(RDKafkaErrorCode::MessageTimedOut));

    let values: Vec<_> = broker
        .read_now(&[&topic])
        .iter()
        .map(|r| r.value_text().unwrap().to_owned())
        .collect();
    assert!(
        values.starts_with(&["one".into(), "two".into(), "three".into()]),
        "{values:?}"
    );
}
