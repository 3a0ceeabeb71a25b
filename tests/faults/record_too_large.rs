//! A topic that takes 100 kB at a time, and among ordinary records one that is larger: that one alone goes to quarantine.

use crate::harness::load::fate;
use crate::harness::{Excuse, Fault};
use crate::support::http;

pub const FAULT: Fault = Fault {
    name: "record-too-large",
    title: "a record that is larger than the topic takes, among others in a backlog",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.topic_with(&[("max.message.bytes", "100000")]);
        stage.deliveries().grow(4000);
        stage.set("KAFKA_PROPERTIES", "compression.type=none");
        stage.start();
        stage.load_on();
        let rounds = stage.rounds(2, 20);
        let large = rounds.end;
        for _ in rounds {
            stage.kafka_away();
            stage.accept(300);
            let (number, _) = stage.delivery();
            let request = stage.deliveries().too_large(number, 200_000);
            let headers = [("x-icr-signature-256", request.signature.as_str())];
            let response = http::post(stage.ingress(), "/webhook", &headers, &request.body);
            stage.delivered(number, fate(&response));
            stage.accept(300);
            stage.kafka_back();
            stage.settle_below(500);
        }
        stage.load_off();
        stage.settle();
        let series = "records_quarantined_total{reason=\"record_too_large\"}";
        assert_eq!(stage.bridge().metrics().value(series), large as f64);
    },
};
