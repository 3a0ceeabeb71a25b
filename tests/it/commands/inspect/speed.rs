//! Figures, not assertions: `cargo test --release inspect::speed -- --ignored --nocapture`.

use super::*;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use icr_bridge::domain::delivery::{Delivery, Millis};
use icr_bridge::domain::envelope::Envelope;
use icr_bridge::domain::glance::glance;
use icr_bridge::domain::outcome::Outcome;
use icr_bridge::domain::signature::Signature;
use icr_bridge::domain::tag::Tag;
use icr_bridge::journal::{Append, Progress};
use std::time::{Duration, Instant};
use uuid::Uuid;

const DELIVERIES: u64 = 1_000_000;

/// A million deliveries of 2 KB, one in a thousand of org7, all published.
fn filled(dir: &Path) {
    let journal = open(dir);
    for number in 0..DELIVERIES {
        let bytes = record(number);
        let append = Append {
            tag_length: Tag::LENGTH as u8,
            bytes,
            done: Box::new(|_| {}),
        };
        let mut append = Some(append);
        while let Some(next) = append.take() {
            let (tag_length, bytes) = (next.tag_length, next.bytes.clone());
            if journal.append(next).is_err() {
                std::thread::sleep(Duration::from_millis(1));
                append = Some(Append {
                    tag_length,
                    bytes,
                    done: Box::new(|_| {}),
                });
            }
        }
    }
    let mut outcome = Vec::new();
    for sequence in 1..=DELIVERIES {
        outcome.clear();
        Outcome::Published {
            topic: MAIN.into(),
            partition: (sequence % 6) as i32,
            offset: sequence as i64,
        }
        .encode(&mut outcome);
        journal.note_outcome(sequence, &outcome);
        if sequence.is_multiple_of(100_000) {
            journal.tend();
        }
    }
    let progress = Progress {
        sequence: DELIVERIES,
        published: DELIVERIES,
        ..Progress::default()
    };
    journal.save_progress(progress, true).unwrap();
    journal.close();
}

fn record(number: u64) -> Vec<u8> {
    let organization = if number.is_multiple_of(1000) {
        "org7"
    } else {
        "org1"
    };
    let event = if number.is_multiple_of(100) {
        "suspended"
    } else {
        "organizationTransaction"
    };
    let payload = format!(
        r#"{{"event":"{event}","number":{number},"installation":{{"id":"i","organization":{{"id":"{organization}"}}}},"filler":"{}"}}"#,
        "x".repeat(1200)
    );
    let signed_data = BASE64_STANDARD.encode(payload);
    let body = format!(r#"{{"signedData":"{signed_data}"}}"#);
    let envelope = Envelope::parse(body.as_bytes()).unwrap();
    let (token, seen) = (envelope.token(), glance(&envelope));
    let accepted_at = Millis(1_790_000_000_000 + number);
    let mut bytes = Tag::new(&seen, accepted_at, "default", &[0; 32])
        .encode()
        .to_vec();
    Delivery {
        id: Uuid::from_u128(number.into()),
        accepted_at,
        app: "default",
        secret_position: 0,
        signature: Signature::from_bytes([0; 32]),
        token,
        headers: vec![("content-type", b"application/json")],
        body: body.as_bytes(),
    }
    .encode(&mut bytes);
    bytes
}

#[test]
#[ignore = "measures"]
fn a_journal_of_a_million_deliveries() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let begun = Instant::now();
    filled(dir.path());
    println!("made in {:?}", begun.elapsed());
    let id = Uuid::from_u128(u128::from(DELIVERIES / 2)).to_string();
    for arguments in [
        ["--last", "20"].as_slice(),
        &["--last", "20", "--event", "suspended"],
        &["--last", "20", "--since", "2026-09-21T14:00:00Z"],
        &["--last", "20", "--outcome", "held"],
        &["--last", "20", "--organization", "org7"],
        &["--id", &id],
        &["--json"],
    ] {
        let begun = Instant::now();
        let output = inspect(dir.path(), arguments);
        let lines = printed(&output).lines().count();
        println!(
            "{:?} for {lines} lines: {arguments:?} {}",
            begun.elapsed(),
            told(&output).trim()
        );
    }
}
