//! Brokers, or what stands before them, answer with error codes that nobody has heard of, and with those that librdkafka keeps for itself.

use crate::harness::codes::Field;
use crate::harness::{Excuse, Fault};

/// Some that no Kafka has, some from the ends of the range, and some that librdkafka means otherwise: a purge, a lost connection, a full queue.
const CODES: [i16; 9] = [132, -151, i16::MIN, 200, 4711, i16::MAX, -1, -184, -195];

pub const FAULT: Fault = Fault {
    name: "unknown-codes",
    title: "error codes that do not exist, in every answer that the bridge asks for",
    excuse: Excuse::Nothing,
    run: |stage| {
        let proxy = stage.proxy();
        stage.set("KAFKA_CREATE_TOPICS", "true");
        stage.start();
        stage.load_on();
        let rounds = stage.rounds(1, 10);
        for _ in rounds {
            let count = if stage.is_long() { CODES.len() } else { 3 };
            for code in CODES.into_iter().take(count) {
                for field in [
                    Field::Produce,
                    Field::Topic,
                    Field::Partition,
                    Field::ProducerId,
                    Field::Versions,
                ] {
                    proxy.rewrite(field, code, 2);
                    if field != Field::Produce {
                        // A new connection asks for everything anew.
                        proxy.cut(1);
                    }
                    stage.accept(20);
                }
            }
            proxy.rewrite(Field::Produce, 132, u64::MAX);
            stage.publishing_fails("other");
            proxy.rewrite(Field::Produce, 132, 1);
            stage.settle_below(200);
        }
        stage.load_off();
        stage.settle();
        assert!(proxy.rewritten() > 10, "{} codes", proxy.rewritten());
        let counted = stage.bridge().metrics();
        let invalid = counted.maybe("records_quarantined_total{reason=\"record_invalid\"}");
        assert_eq!(invalid.unwrap_or_default(), 0.0);
    },
};
