//! Connections to Kafka end at random, in the middle of whatever is under way, while the broker is restarted: no record is blamed for it.

use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "dropping-proxy",
    title: "a proxy that drops connections at random, and a broker that is restarted",
    excuse: Excuse::Nothing,
    run: |stage| {
        let broker = stage.own_broker();
        let proxy = stage.proxy();
        stage.start();
        stage.load_on();
        for round in stage.rounds(2, 20) {
            for of_a_thousand in [20, 100, 300] {
                proxy.drop_at_random(of_a_thousand);
                stage.accept(150);
            }
            match round % 2 {
                0 => broker.stop(),
                _ => broker.kill(),
            }
            stage.accept(50);
            broker.restart();
            stage.accept(300);
            proxy.drop_at_random(0);
            stage.settle_below(100);
        }
        stage.load_off();
        stage.settle();
        assert!(proxy.dropped() > 5, "{} connections", proxy.dropped());
        stage.note(format!("{} connections ended at random", proxy.dropped()));
        let counted = stage.bridge().metrics();
        for reason in ["record_invalid", "record_too_large"] {
            let series = format!("records_quarantined_total{{reason=\"{reason}\"}}");
            assert_eq!(counted.maybe(&series).unwrap_or_default(), 0.0);
        }
        assert_eq!(counted.value("deliveries_held"), 0.0);
    },
};
