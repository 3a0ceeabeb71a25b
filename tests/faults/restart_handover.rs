//! SIGTERM and a new start under load, the socket handed over by the service manager: no connection is refused, no delivery fails.

use crate::harness::load::Plan;
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "restart-handover",
    title: "SIGTERM and started again, with the socket handed over (LISTEN_FDS)",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.hand_over();
        stage.reconnect();
        stage.start();
        stage.load_on_with(Plan {
            rate: 1000,
            connections: 16,
        });
        for _ in stage.rounds(3, 20) {
            let moment = 100 + stage.random(300);
            stage.accept(moment);
            assert_eq!(stage.terminate().code(), Some(0));
            stage.start();
        }
        stage.accept(200);
    },
};
