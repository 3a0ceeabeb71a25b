//! The lock file is deleted or replaced while the bridge runs, and a second bridge is started: it must not start, and the first one goes on.

use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;
use crate::support::process::Serving;

pub const FAULT: Fault = Fault {
    name: "lock-deleted",
    title: "the lock file is deleted or replaced, and a second bridge is started on the journal",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.start();
        stage.load_on();
        let lock = stage.journal().join("lock");
        for round in stage.rounds(2, 20) {
            stage.kafka_away();
            stage.accept(100);
            std::fs::remove_file(&lock).unwrap();
            if round % 2 == 1 {
                std::fs::write(&lock, "").unwrap();
            }
            let settings = [
                ("KAFKA_BROKERS", stage.kafka.bootstrap.as_str()),
                ("KAFKA_TOPIC", stage.topic.as_str()),
                ("JOURNAL_SEGMENT_BYTES", "256KiB"),
            ];
            for _ in 0..2 {
                let second = Serving::try_start(stage.journal(), &settings, &[]);
                let ended = second.err().expect("a second bridge does not start");
                assert_eq!(ended.status.code(), Some(75), "{ended}");
                // The second time the first bridge has made the lock file again.
                eventually("the lock file is there", || lock.exists().then_some(()));
            }
            stage.accept(200);
            assert!(stage.bridge().is_ready());
            stage.kafka_back();
            stage.settle_below(100);
        }
    },
};
