//! What clients meet.

use super::authority::{self, Authority};
use super::{Client, Rig};
use crate::support::eventually::eventually;
use crate::support::http::Connection;
use openssl::ssl::SslVersion;

fn outcome(mut command: std::process::Command) -> serde_json::Value {
    serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
}

fn accepted(rig: &Rig) -> f64 {
    rig.bridge.metrics().sum("deliveries_accepted_total")
}

fn failures(rig: &Rig) -> f64 {
    rig.bridge.metrics().value("tls_handshake_failures_total")
}

#[test]
fn a_client_that_verifies_chain_and_name_delivers() {
    let rig = Rig::new(&[]);
    let said = outcome(rig.send(&rig.path("ca.pem"), &["--count", "200"]));
    assert_eq!(said["words"]["accepted"], 200, "{said}");
    assert_eq!((accepted(&rig), failures(&rig)), (200.0, 0.0));
}

#[test]
fn a_client_that_does_not_trust_us_is_counted() {
    let rig = Rig::new(&[]);
    std::fs::write(rig.path("other.pem"), Authority::new().pem()).unwrap();
    let said = outcome(rig.send(&rig.path("other.pem"), &["--count", "3"]));
    assert_eq!(said["no_answer"]["tls"], 3, "{said}");
    eventually("they are counted", || (failures(&rig) >= 3.0).then_some(()));
    assert_eq!((accepted(&rig), failures(&rig)), (0.0, 3.0));
}

#[test]
fn plain_http_gets_no_answer_and_costs_nobody_else_anything() {
    let rig = Rig::new(&[]);
    let mut plain = Connection::open(rig.bridge.ingress);
    plain.send(b"POST /webhook HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    assert!(plain.try_response().is_err());
    assert_eq!(rig.connect().post(&rig.delivery()).status, 202);
    assert_eq!(failures(&rig), 1.0);
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let rig = Rig::new(&[]);
    let with = |version: SslVersion| {
        Client::new(rig.bridge.ingress, &rig.authority, |builder| {
            // OpenSSL itself would not go lower otherwise.
            builder.set_security_level(0);
            builder.set_min_proto_version(Some(version)).unwrap();
            builder.set_max_proto_version(Some(version)).unwrap();
        })
    };
    for (version, name) in [
        (SslVersion::TLS1_2, "TLSv1.2"),
        (SslVersion::TLS1_3, "TLSv1.3"),
    ] {
        let mut client = with(version).unwrap();
        assert_eq!(client.version(), name);
        assert_eq!(client.post(&rig.delivery()).status, 202);
    }
    assert!(with(SslVersion::TLS1_1).is_err());
}

#[test]
fn every_usual_kind_of_key_serves() {
    for key in [authority::ecdsa(), authority::rsa(), authority::ed25519()] {
        let authority = Authority::new();
        let issued = authority.issue_for(&key, 30);
        let rig = Rig::presenting(&issued, authority, &[]);
        assert_eq!(rig.presented(), issued.serial);
        assert_eq!(rig.connect().post(&rig.delivery()).status, 202);
    }
}

#[test]
fn a_large_body_comes_whole_and_a_connection_is_kept() {
    let rig = Rig::new(&[]);
    let mut client = rig.connect();
    for _ in 0..3 {
        assert_eq!(client.post(&rig.delivery()).status, 202);
        let mut forged = rig.delivery();
        forged.body = vec![b' '; 500_000];
        assert_eq!(client.post(&forged).status, 400);
    }
    assert_eq!(accepted(&rig), 3.0);
}

#[test]
fn the_end_of_the_certificate_is_a_metric_and_near_it_a_warning() {
    let authority = Authority::new();
    let issued = authority.issue(3);
    let rig = Rig::presenting(&issued, authority, &[]);
    let expiry = "tls_certificate_expiry_timestamp_seconds";
    assert_eq!(rig.bridge.metrics().value(expiry), issued.not_after as f64);
    rig.until_logged("the certificate ends in 71 hours");
    let plain = crate::support::process::Serving::start(
        &rig.path("other-journal"),
        &[("KAFKA_BROKERS", "127.0.0.1:1")],
    );
    assert_eq!(plain.metrics().maybe(expiry), None);
}

#[test]
fn a_bridge_that_leaves_answers_who_has_come_and_takes_leave_of_the_idle() {
    let rig = Rig::new(&[]);
    let mut idle = rig.connect();
    assert_eq!(idle.post(&rig.delivery()).status, 202);
    let mut speaks = rig.connect();
    let request = rig.delivery();
    rig.bridge.signal(libc::SIGTERM);
    eventually("it is leaving", || (!rig.bridge.is_ready()).then_some(()));
    let response = speaks.post(&request);
    assert_eq!(response.status, 202);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(speaks.is_closed_in_order());
    assert!(idle.is_cut_off(), "closed, as it has been silent");
    let Rig { bridge, dir, .. } = rig;
    assert!(bridge.wait().success());
    drop(dir);
}

#[test]
fn a_connection_without_a_request_is_closed_after_a_while() {
    let rig = Rig::new(&[("KEEP_ALIVE_SECONDS", "1"), ("HEADER_TIMEOUT_SECONDS", "1")]);
    let mut idle = rig.connect();
    assert!(idle.is_cut_off());
    let mut spoke = rig.connect();
    assert_eq!(spoke.post(&rig.delivery()).status, 202);
    assert!(spoke.is_closed_in_order());
}
