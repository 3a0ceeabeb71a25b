//! Ten thousand connections that say nothing, or nothing any more: as many as there are places. Genuine deliveries go on.

use crate::harness::client::Raw;
use crate::harness::{Excuse, Fault};

const IDLE: usize = 10_000;

/// With what the suite needs beside them, other faults that are played at the same time included.
const FILES: u64 = 12_000;

pub const FAULT: Fault = Fault {
    name: "idle-connections",
    title: "10,000 idle connections, as many as MAX_CONNECTIONS allows",
    excuse: Excuse::Nothing,
    run: |stage| {
        if let Err(why) = rlimit::increase_nofile_limit(FILES)
            .map_err(|error| error.to_string())
            .and_then(|limit| match limit < FILES {
                true => Err(format!("only {limit} files may be open")),
                false => Ok(()),
            })
        {
            return stage.skip(why);
        }
        // None goes by itself while this lasts.
        stage.set("KEEP_ALIVE_SECONDS", "600");
        stage.set("HEADER_TIMEOUT_SECONDS", "600");
        stage.reconnect();
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 3) {
            let idle: Vec<Raw> = (0..IDLE)
                .map(|number| {
                    let mut raw = Raw::open(stage.ingress());
                    match number % 3 {
                        0 => {}
                        1 => {
                            raw.send("POST /webhook HTTP/1.1\r\nHost: br");
                        }
                        _ => {
                            raw.send("GET / HTTP/1.1\r\nHost: bridge\r\n\r\n");
                        }
                    }
                    raw
                })
                .collect();
            stage.accept(500);
            drop(idle);
        }
        let told = |line: &String| line.contains("ICR_BRIDGE_MAX_CONNECTIONS");
        assert!(
            stage.log().iter().any(told),
            "the log says that room was made"
        );
    },
};
