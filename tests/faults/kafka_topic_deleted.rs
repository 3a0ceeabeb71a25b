//! The topic is deleted under the bridge, and made anew.

use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kafka-topic-deleted",
    title: "the topic is deleted, and made anew",
    excuse: Excuse::Nothing,
    run: |stage| {
        let proxy = stage.proxy();
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 10) {
            stage.accept(200);
            // Half of them at least.
            stage.settle_below(100);
            // What stands in the topic goes with it: the judge reads it before, while nothing more comes.
            proxy.hold_records();
            stage.read_ahead();
            let topic = stage.topic.clone();
            stage.without_kafka(|stage| {
                stage.kafka.delete_topic(&topic);
                proxy.release();
                stage.publishing_fails("unknown_topic");
                stage.accept(200);
            });
            stage.kafka.create_topic(&topic, 3, &[]);
            stage.settle_below(500);
        }
    },
};
