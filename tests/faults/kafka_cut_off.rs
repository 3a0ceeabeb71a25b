//! Connections break in the middle of the answer that says that a batch is stored: the bridge cannot know.

use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "kafka-cut-off",
    title: "connections to Kafka are cut off in the middle of an answer to a batch",
    excuse: Excuse::Nothing,
    run: |stage| {
        let proxy = stage.proxy();
        stage.start();
        stage.load_on();
        for _ in stage.rounds(10, 200) {
            stage.accept(50);
            // Now and then several in a row: the repeat is cut off as well.
            let several = 1 + stage.random(3);
            stage.without_kafka(|stage| {
                proxy.cut(several);
                stage.accept(20);
            });
        }
    },
};
