//! The process stands still for longer than all its time limits, and goes on: what arrived completely meanwhile is answered 202, not 408.

use crate::harness::client::{Raw, head, whole};
use crate::harness::load::fate;
use crate::harness::{Excuse, Fault};
use crate::support::http::Connection;
use std::time::Duration;

/// Of each kind.
const CLIENTS: usize = 8;

/// More than twice every limit.
const STANDSTILL: Duration = Duration::from_secs(12);

pub const FAULT: Fault = Fault {
    name: "standstill",
    title: "the process stands still for twice its time limits (SIGSTOP), while deliveries arrive",
    excuse: Excuse::Nothing,
    run: |stage| {
        for name in [
            "HEADER_TIMEOUT_SECONDS",
            "BODY_TIMEOUT_SECONDS",
            "KEEP_ALIVE_SECONDS",
        ] {
            stage.set(name, "5");
        }
        stage.start();
        for _ in stage.rounds(1, 10) {
            stage.load_on();
            stage.accept(100);
            let mut waiting = Vec::new();
            for client in 0..CLIENTS * 4 {
                let (number, request) = stage.delivery();
                let bytes = whole(&request);
                let length = format!("Content-Length: {}\r\n", request.body.len());
                let head = head(&request, &length).len();
                // What has come before: nothing, half a head, half a body, or an earlier delivery.
                let before = match client % 4 {
                    0 => 0,
                    1 => head / 2,
                    2 => head + request.body.len() / 2,
                    _ => bytes.len(),
                };
                let mut raw = Raw::open(stage.ingress());
                assert!(raw.send(&bytes[..before]));
                if before == bytes.len() {
                    let mut connection = raw.into_connection();
                    stage.delivered(number, fate(&connection.response()));
                    let (number, request) = stage.delivery();
                    waiting.push((number, connection, whole(&request)));
                } else {
                    waiting.push((number, raw.into_connection(), bytes[before..].to_vec()));
                }
            }
            stage.freeze();
            for (_, connection, rest) in &mut waiting {
                connection.send(rest);
            }
            // Some come only now.
            for _ in 0..CLIENTS {
                let (number, request) = stage.delivery();
                let mut connection = Connection::open(stage.ingress());
                connection.send(&whole(&request));
                waiting.push((number, connection, Vec::new()));
            }
            std::thread::sleep(STANDSTILL);
            stage.thaw();
            for (number, mut connection, _) in waiting {
                let fate = match connection.try_response() {
                    Ok(response) => fate(&response),
                    Err(error) => panic!("delivery {number} got no answer: {error}"),
                };
                stage.delivered(number, fate);
            }
            stage.accept(100);
            stage.load_off();
        }
    },
};
