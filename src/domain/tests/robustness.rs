//! Nothing panics, and nothing is slow, whatever comes.

use crate::support::deliveries::fixtures;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use icr_domain::delivery::Delivery;
use icr_domain::envelope::Envelope;
use icr_domain::glance::glance;
use icr_domain::normalize::{Redaction, normalize};
use icr_domain::reasons::Rejection;
use icr_domain::signature::Signature;
use icr_domain::tag::Tag;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

/// Everything that reads a stranger's bytes.
fn read_everything(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(envelope) = Envelope::parse(bytes) {
        let _ = glance(&envelope);
        let _ = normalize(envelope.signed_data(), Redaction::default());
    }
    let _ = normalize(&text, Redaction::default());
    let encoded = BASE64_STANDARD.encode(bytes);
    let _ = normalize(&encoded, Redaction { drop_sender: true });
    let body = format!(r#"{{"signedData":"{encoded}"}}"#);
    let _ = glance(&Envelope::parse(body.as_bytes()).unwrap());
    let _ = Signature::from_headers([bytes]);
    let _ = Tag::decode(bytes);
    if let Ok(delivery) = Delivery::decode(bytes) {
        let _ = delivery.verified();
    }
}

/// A fixture's body or payload with some bytes changed, cut out or put in.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for fixture in fixtures() {
        let body = fixture.posted.body.into_bytes();
        if let Ok(envelope) = Envelope::parse(&body) {
            seeds.extend(BASE64_STANDARD.decode(envelope.signed_data()).ok());
        }
        seeds.push(body);
    }
    let bytes = prop_oneof![
        any::<u8>(),
        prop::sample::select(br#"{}[]",:\u0 "#.to_vec()),
    ];
    let changes = vec((any::<prop::sample::Index>(), 0..3u8, bytes), 0..6);
    (prop::sample::select(seeds), changes).prop_map(|(mut bytes, changes)| {
        for (at, what, byte) in changes {
            let at = at.index(bytes.len() + 1);
            match what {
                0 => bytes.insert(at, byte),
                _ if at >= bytes.len() => bytes.push(byte),
                1 => bytes[at] = byte,
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..600)) {
        read_everything(&bytes);
    }

    #[test]
    fn arbitrary_text_near_json_does_no_harm(text in r#"[{}\[\]",:\\u0-9a-fdDeE+. \t-]{0,80}"#) {
        read_everything(text.as_bytes());
        read_everything(format!("{{\"event\":\"installed\",\"installation\":{text}}}").as_bytes());
    }

    #[test]
    fn mutated_deliveries_do_no_harm(bytes in mutated()) {
        read_everything(&bytes);
        for prefix in [&[1u8, 0, 3, 1][..], &[1, 0, 0, 0]] {
            read_everything(&[prefix, &bytes].concat());
        }
    }

    #[test]
    fn the_envelope_agrees_with_a_full_parser(bytes in mutated()) {
        let parsed = serde_json::from_slice::<Value>(&bytes);
        match (Envelope::parse(&bytes), parsed) {
            (Ok(envelope), Ok(value)) => prop_assert_eq!(Some(envelope.signed_data()), value["signedData"].as_str()),
            (Err(Rejection::BodyNotJson), Ok(value)) => prop_assert!(false, "refused, though it is {}", value),
            (Err(Rejection::BodyNotObject), Ok(value)) => prop_assert!(!value.is_object()),
            (Err(Rejection::SignedDataMissing), Ok(value)) => prop_assert!(value.get("signedData").is_none()),
            (Err(Rejection::SignedDataNotString), Ok(value)) => prop_assert!(!value["signedData"].is_string()),
            // The full parser also refuses lone surrogates, great numbers and depth.
            (_, Ok(_) | Err(_)) => {}
        }
    }
}

#[test]
fn large_and_strange_bodies_are_read() {
    let million = 1_000_000;
    let payloads = [
        format!("{{\"event\":\"x\",\"a\":\"{}\"}}", "x".repeat(million)),
        format!(
            "{{\"event\":\"x\",\"a\":\"{}\"}}",
            "\\\\".repeat(million / 2)
        ),
        format!(
            "{{\"event\":\"x\",\"a\":\"{}\"}}",
            "\\ud800".repeat(million / 6)
        ),
        format!(
            "{{\"event\":\"x\",\"a\":{}{}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        ),
        format!(
            "{{\"event\":\"x\",\"a\":{}{}}}",
            "{\"a\":".repeat(100_000),
            "}".repeat(100_000)
        ),
        format!("{{\"event\":\"x\",\"a\":1{}}}", "0".repeat(million)),
        format!(
            "{{\"event\":\"x\",{}}}",
            (0..60_000)
                .map(|n| format!("\"k{n}\":{n}"))
                .collect::<Vec<_>>()
                .join(",")
        ),
        format!(
            "{{\"event\":\"x\",\"a\":[{}]}}",
            vec!["{}"; million / 3].join(",")
        ),
        format!("{{\"event\":\"x\"{}}}", " ".repeat(million)),
        format!(
            "{{\"event\":\"x\",\"transaction\":{{\"id\":\"t\",\"amount\":1{}e-{million}}}}}",
            "0".repeat(million)
        ),
        "[".repeat(million),
        "{\"a\":".repeat(million / 5),
        // Whoever looks for a free name again and again never comes to an end.
        format!(
            "{{\"event\":\"x\",\"sender\":1{}}}",
            (1..1200)
                .map(|n| format!(",\"{}sender\":1", "_".repeat(n)))
                .collect::<String>()
        ),
    ];
    for payload in payloads {
        let body = format!(
            "{{\"x\":{payload},\"signedData\":\"{}\"}}",
            BASE64_STANDARD.encode(&payload)
        );
        read_everything(body.as_bytes());
    }
}
