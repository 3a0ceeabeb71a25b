//! Brokers that refuse what others take, and causes that are told.
use super::rig::*;
use super::stop;
use crate::support::process::Serving;
use icr_bridge::publisher::{FailureReason, Publisher};
use rdkafka::types::RDKafkaApiKey::{InitProducerId, Produce};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as E};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// Publishes a backlog to a broker that answers the first requests of a kind with this code.
fn publish_through(request: RDKafkaApiKey, code: E, times: usize) -> (Rig, Vec<(String, u64)>) {
    let kafka = kafka_with(1);
    let rig = Rig::new(kafka.bootstrap_servers());
    rig.deliveries(0, 60, 100);
    kafka.with(move |cluster| cluster.request_errors(request, &vec![code; times]));
    let publisher = rig.start();
    rig.until_published();
    stop(publisher);
    let records = read(kafka.bootstrap_servers(), MAIN, 60);
    assert_in_order(&records);
    let told = rig.seen.told();
    assert!(told.quarantined.is_empty(), "{told:?}");
    assert_eq!(told.published, 60, "{told:?}");
    let ids = records.iter().map(|record| {
        let timestamp = record.timestamp.unwrap_or_default();
        let id = record.header("ce_id").unwrap_or_default().to_owned();
        (id, timestamp.cast_unsigned())
    });
    (rig, ids.collect())
}

#[test]
fn records_that_are_refused_for_their_age_go_with_another_timestamp() {
    // Old by the rig's making: by a day and more, whatever the limit.
    let (rig, records) = publish_through(Produce, E::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, 1);
    let distinct: std::collections::BTreeSet<_> = records.iter().map(|(id, _)| id).collect();
    assert_eq!(distinct.len(), 60);
    assert!(rig.seen.told().rebuilt >= 1);
}

#[test]
fn no_refused_timestamp_stops_the_line_for_good() {
    publish_through(Produce, E::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, 12);
}

#[test]
fn a_codec_that_is_refused_gives_way_to_gzip_and_then_to_none() {
    let refused = E::RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE;
    let (rig, _) = publish_through(Produce, refused, 1);
    assert_eq!(rig.seen.told().failures, [FailureReason::Other]);
    let (rig, _) = publish_through(Produce, refused, 2);
    assert_eq!(rig.seen.told().rebuilt, 2);
}

#[test]
fn why_no_producer_id_is_given_is_told() {
    let refused = E::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    let (rig, _) = publish_through(InitProducerId, refused, 2);
    let failures = rig.seen.told().failures;
    assert!(
        failures.contains(&FailureReason::Unauthorized),
        "{failures:?}"
    );
    assert!(!failures.contains(&FailureReason::Fatal), "{failures:?}");
}

/// A listener that speaks TLS, as a broker's may.
fn tls_listener() -> SocketAddr {
    use openssl::ssl::{SslAcceptor, SslMethod};
    let issued = crate::tls::authority::Authority::new().issue(30);
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    let certificate = openssl::x509::X509::from_pem(&issued.certificate).unwrap();
    let key = openssl::pkey::PKey::private_key_from_pem(&issued.key).unwrap();
    acceptor.set_certificate(&certificate).unwrap();
    acceptor.set_private_key(&key).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // What is no handshake, or comes from somebody who does not trust us, ends here.
            let _ = acceptor.accept(stream);
        }
    });
    address
}

fn until_it_fails_for(rig: &Rig, reason: FailureReason) -> Publisher {
    let publisher = rig.start();
    eventually("the cause is told", || {
        rig.seen.told().failures.contains(&reason)
    });
    publisher
}

#[test]
fn a_plain_client_at_a_tls_listener_hears_of_tls() {
    let dir = tempfile::tempdir().unwrap();
    let broker = tls_listener().to_string();
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", broker.as_str())]);
    eventually("the log speaks of TLS", || {
        let told = |line: &String| line.contains("it may want TLS");
        bridge.log().iter().any(told)
    });
}

#[test]
fn a_tls_client_that_does_not_trust_the_broker_or_finds_none_that_speaks_tls_hears_of_it() {
    let plain = kafka();
    for bootstrap in [
        tls_listener().to_string(),
        plain.bootstrap_servers().to_owned(),
    ] {
        let mut rig = Rig::new(&bootstrap);
        let tls = ("security.protocol".to_owned(), "SSL".to_owned());
        rig.settings.kafka.properties.extend([tls]);
        rig.deliveries(0, 1, 10);
        let publisher = until_it_fails_for(&rig, FailureReason::Authentication);
        assert!(publisher.stop(Duration::from_secs(1)));
    }
}
