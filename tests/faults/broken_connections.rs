//! Connections that are half closed after a delivery, which must be answered, and reset at any point of one, which must do no harm.

use crate::harness::client::{Raw, whole};
use crate::harness::load::fate;
use crate::harness::{Excuse, Fault};

pub const FAULT: Fault = Fault {
    name: "broken-connections",
    title: "half-closed connections, and connections reset in heads, bodies and before the answer",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.start();
        stage.load_on();
        for _ in stage.rounds(20, 400) {
            let (number, request) = stage.delivery();
            let mut half_closed = Raw::open(stage.ingress());
            half_closed.send(whole(&request));
            half_closed.half_close();
            let response = half_closed.response().expect("an answer");
            stage.delivered(number, fate(&response));

            let (cut, request) = stage.delivery();
            let bytes = whole(&request);
            let mut early = Raw::open(stage.ingress());
            early.send(&bytes[..stage.random(bytes.len() as u64) as usize]);
            // It did not come completely, so it was not taken.
            stage.forbid(cut);
            match stage.random(3) {
                0 => early.reset(),
                1 => drop(early),
                _ => {
                    early.half_close();
                    let answers = early.rest().expect("the connection is closed");
                    assert!(!answers.starts_with(b"HTTP/1.1 2"), "{answers:?}");
                }
            }

            // This one has come: whether it was stored nobody learns.
            let (_, request) = stage.delivery();
            let mut late = Raw::open(stage.ingress());
            late.send(whole(&request));
            late.reset();
            stage.accept(5);
        }
    },
};
