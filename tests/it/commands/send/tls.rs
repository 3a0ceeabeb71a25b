//! https: trusted where the certificate is, refused where it is not.

use super::{code, text};
use crate::support::app::SECRET;
use crate::support::endpoint::{ACCEPTED, request};
use crate::support::process::command;
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

fn certificate(key: &PKey<Private>, address: &str) -> X509 {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "icr-bridge test").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(2).unwrap())
        .unwrap();
    let is_authority = BasicConstraints::new().critical().ca().build().unwrap();
    builder.append_extension(is_authority).unwrap();
    let context = builder.x509v3_context(None, None);
    let address = SubjectAlternativeName::new()
        .ip(address)
        .build(&context)
        .unwrap();
    builder.append_extension(address).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// Serves https on a free port until the test's process ends; its certificate is good for one address and written to `file`.
fn serve(address: &str, file: &Path) -> String {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let certificate = certificate(&key, address);
    std::fs::write(file, certificate.to_pem().unwrap()).unwrap();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor.set_certificate(&certificate).unwrap();
    let acceptor = Arc::new(acceptor.build());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/webhook", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let acceptor = Arc::clone(&acceptor);
            std::thread::spawn(move || {
                // A client that does not trust us breaks off here.
                let Ok(mut stream) = acceptor.accept(stream.unwrap()) else {
                    return;
                };
                while request(&mut stream).is_some() {
                    stream.write_all(ACCEPTED.as_bytes()).unwrap();
                }
            });
        }
    });
    url
}

fn send(url: &str, trusted: Option<&Path>) -> Output {
    let mut command = command(
        &["send", url, "--count", "3"],
        &[("WEBHOOK_SECRET", SECRET)],
    );
    if let Some(file) = trusted {
        command.env("SSL_CERT_FILE", file);
    }
    command.output().unwrap()
}

#[test]
fn deliveries_go_over_https_to_whom_the_certificate_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ours.pem");
    let url = serve("127.0.0.1", &file);
    let output = send(&url, Some(&file));
    assert_eq!(code(&output), 0, "{}", text(&output));
}

#[test]
fn a_certificate_that_is_not_trusted_or_names_another_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, others) = (dir.path().join("ours.pem"), dir.path().join("others.pem"));
    let unknown = serve("127.0.0.1", &ours);
    let misnamed = serve("127.0.0.2", &others);
    for (url, trusted) in [
        (&unknown, None),
        (&unknown, Some(&*others)),
        (&misnamed, Some(&*others)),
    ] {
        let output = send(url, trusted);
        let shown = text(&output);
        assert_eq!(code(&output), 1, "{shown}");
        assert!(
            shown.contains("no answer: tls") && shown.contains("SSL_CERT_FILE"),
            "{shown}"
        );
    }
}
