//! A broker that does not refuse what is too large, but hangs up (`socket.request.max.bytes`): a backlog passes in smaller batches, and a
//! record that is too large alone does not stop those around it.

use crate::harness::load::fate;
use crate::harness::{Excuse, Fault};
use crate::support::eventually::within;
use crate::support::http;
use std::time::Duration;

pub const FAULT: Fault = Fault {
    name: "hang-up",
    title: "a broker that ends the connection on requests above 150 kB, and a record of 270 kB",
    excuse: Excuse::Nothing,
    run: |stage| {
        let broker = stage.own_broker_with(&["socket.request.max.bytes=150000"]);
        stage.deliveries().grow(4000);
        stage.set("KAFKA_PROPERTIES", "compression.type=none");
        stage.start();
        stage.load_on();
        stage.kafka_away();
        stage.accept(400);
        stage.kafka_back();
        stage.settle_below(100);
        let (number, _) = stage.delivery();
        let request = stage.deliveries().too_large(number, 270_000);
        let headers = [("x-icr-signature-256", request.signature.as_str())];
        let response = http::post(stage.ingress(), "/webhook", &headers, &request.body);
        stage.delivered(number, fate(&response));
        // Neither topic's leader takes it: it is held, and all others pass.
        let patience = Duration::from_secs(180);
        within(patience, "the large one is held", || {
            (stage.bridge().metrics().value("deliveries_held") == 1.0).then_some(())
        });
        stage.settle_below(100);
        stage.accept(100);
        // A broker that takes more gets it by itself.
        stage.load_off();
        stage.settle();
        broker.stop();
        broker.restart_with("socket.request.max.bytes=10000000");
        within(patience, "the large one is in quarantine", || {
            (stage.bridge().metrics().value("deliveries_held") == 0.0).then_some(())
        });
    },
};
