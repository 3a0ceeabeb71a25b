//! Every way to log in, against a broker that insists on it.

use super::{
    PATIENCE, accept_transactions, assert_complete_and_in_order, serve,
    wait_until_nothing_is_pending,
};
use crate::support::kafka::{OwnBroker, RealKafka, SASL_USER, skip};
use crate::tls::authority::Authority;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that is free now, below the range of outgoing connections, so that it stays so over a restart. No two tests get one port.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed))
        .map(|number| u16::try_from(15_000 + (std::process::id() + number) % 4_000).unwrap())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// What a listener beside the ordinary ones takes: its name, protocol and address.
pub fn listener(name: &str, protocol: &str, host: &str, port: u16) -> Vec<String> {
    let all = "BROKER://127.0.0.1:%BROKER%,SASL://127.0.0.1:%SASL%";
    let own = format!("{name}://{host}:{port}");
    vec![
        format!("listeners={all},CONTROLLER://127.0.0.1:%CONTROLLER%,{own}"),
        format!("advertised.listeners={all},{own}"),
        format!(
            "listener.security.protocol.map=BROKER:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT,{name}:{protocol}"
        ),
    ]
}

/// Starts a broker with such properties.
pub fn broker_with(properties: &[String]) -> OwnBroker {
    let properties: Vec<&str> = properties.iter().map(String::as_str).collect();
    OwnBroker::start_with(&properties)
}

/// Publishes 20 deliveries with these properties, and finds them in the topic.
fn assert_publishes(broker: &RealKafka, bootstrap: &str, properties: &str) {
    let topic = broker.new_topic("login", 3);
    let dir = tempfile::tempdir().unwrap();
    let settings = [("KAFKA_PROPERTIES", properties)];
    let bridge = serve(dir.path(), bootstrap, &topic, &settings);
    let ids = accept_transactions(&bridge, 0..20);
    wait_until_nothing_is_pending(&bridge);
    assert_complete_and_in_order(&broker.read_all(&[&topic], 20, PATIENCE), &ids);
    let log = bridge.log().join("\n");
    assert!(!log.contains(SASL_USER.1), "no password is logged: {log}");
}

#[test]
fn plain_and_scram_log_in_and_publish() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let Some(bootstrap) = kafka.sasl_bootstrap.clone() else {
        return skip("KAFKA_SASL_BOOTSTRAP is not set: the broker is not one of ours");
    };
    let (user, password) = SASL_USER;
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let properties = format!(
            "security.protocol=SASL_PLAINTEXT,sasl.mechanism={mechanism},sasl.username={user},sasl.password={password}"
        );
        assert_publishes(&kafka, &bootstrap, &properties);
    }
}

/// Writes what broker and bridge need for TLS in both directions.
fn write_identities(folder: &Path) {
    let authority = Authority::new();
    let broker = authority.issue(30);
    let store = [broker.key.as_slice(), &broker.certificate].concat();
    std::fs::write(folder.join("broker.pem"), store).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    let bridge = authority.issue(30);
    std::fs::write(folder.join("bridge.crt"), bridge.certificate).unwrap();
    std::fs::write(folder.join("bridge.key"), bridge.key).unwrap();
}

#[test]
fn a_clients_certificate_logs_in_and_publishes_and_none_does_not() {
    if RealKafka::from_env().is_none() {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    write_identities(files.path());
    let path = |name: &str| files.path().join(name).display().to_string();
    let port = free_port();
    let mut properties = listener("TLS", "SSL", "localhost", port);
    properties.extend([
        "ssl.keystore.type=PEM".to_owned(),
        format!("ssl.keystore.location={}", path("broker.pem")),
        "ssl.truststore.type=PEM".to_owned(),
        format!("ssl.truststore.location={}", path("ca.pem")),
        "listener.name.tls.ssl.client.auth=required".to_owned(),
        // Whoever has a certificate is a user with this name's rights.
        "super.users=User:ANONYMOUS;User:CN=localhost".to_owned(),
    ]);
    let broker = broker_with(&properties);
    if broker.in_container() {
        return skip("the broker runs in a container, into which no further listener leads");
    }
    let bootstrap = format!("localhost:{port}");
    let mutual = format!(
        "security.protocol=SSL,ssl.ca.location={},ssl.certificate.location={},ssl.key.location={}",
        path("ca.pem"),
        path("bridge.crt"),
        path("bridge.key")
    );
    assert_publishes(&broker, &bootstrap, &mutual);

    // Without a certificate nothing is published, and 202s go on.
    let topic = broker.new_topic("nobody", 1);
    let dir = tempfile::tempdir().unwrap();
    let one_way = format!("security.protocol=SSL,ssl.ca.location={}", path("ca.pem"));
    let settings = [("KAFKA_PROPERTIES", one_way.as_str())];
    let bridge = serve(dir.path(), &bootstrap, &topic, &settings);
    accept_transactions(&bridge, 0..5);
    crate::support::eventually::within(PATIENCE, "the log says why", || {
        let log = bridge.log().join("\n").to_lowercase();
        (log.contains("ssl") && log.contains("certificate")).then_some(())
    });
    assert_eq!(broker.count(&topic), 0);
}
