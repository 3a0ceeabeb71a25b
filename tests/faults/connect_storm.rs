//! The address that a broker advertises cannot be reached, the topic is missing, and the bridge is to create it: it tries, but calmly.

use crate::harness::shim::{Call, Rule};
use crate::harness::stage::cpu_seconds;
use crate::harness::{Excuse, Fault};
use std::time::{Duration, Instant};

/// How long the bridge is watched.
const WATCHED: Duration = Duration::from_secs(8);

pub const FAULT: Fault = Fault {
    name: "connect-storm",
    title: "an advertised listener that refuses connections, and a topic that is to be created",
    excuse: Excuse::Nothing,
    run: |stage| {
        let broker = stage.kafka.bootstrap.clone();
        let proxy = stage.proxy_in_front();
        stage.set("KAFKA_BROKERS", &format!("127.0.0.1:{}", proxy.port()));
        stage.set("KAFKA_CREATE_TOPICS", "true");
        stage.kafka.delete_topic(&stage.topic);
        for _ in stage.rounds(1, 1) {
            // Where nobody listens: refused by the system, after a moment, as a broker that is away is.
            let refused = Rule::on(Call::Connect, &broker).leads_to(1);
            let refused = stage.shim.arm(refused);
            if !stage.is_running() {
                stage.start();
            }
            stage.load_on();
            stage.publishing_fails("unknown_topic");
            let (before, cpu) = (stage.shim.hits(&refused), cpu_seconds(stage.bridge()));
            let since = Instant::now();
            stage.accept_for(WATCHED);
            let seconds = since.elapsed().as_secs_f64();
            let connects = (stage.shim.hits(&refused) - before) as f64 / seconds;
            let cpu = (cpu_seconds(stage.bridge()) - cpu) / seconds;
            stage.note(format!(
                "{connects:.1} connects a second to the address that refuses, {:.0} % of a core under load",
                cpu * 100.0
            ));
            // Thousands without a back-off, some ten with it.
            assert!(connects < 100.0, "{connects} connects a second");
            stage.load_off();
            stage.shim.lift(refused);
            stage.settle();
        }
    },
};
