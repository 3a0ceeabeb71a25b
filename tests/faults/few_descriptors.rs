//! Fewer open files than the settings ask for, and more silent connections than there are files: deliveries, probes and the journal's
//! files find theirs.

use crate::harness::client::Raw;
use crate::harness::load::Plan;
use crate::harness::{Excuse, Fault};
use crate::support::http;

/// What systems give by default is the third.
const LIMITS: [u64; 4] = [64, 256, 1024, 4096];

pub const FAULT: Fault = Fault {
    name: "few-descriptors",
    title: "64 to 4096 open files allowed (ulimit -n), and more silent connections than that",
    excuse: Excuse::Nothing,
    run: |stage| {
        if let Err(why) = rlimit::increase_nofile_limit(12_000)
            .map_err(|error| error.to_string())
            .and_then(|limit| match limit < 12_000 {
                true => Err(format!("only {limit} files may be open")),
                false => Ok(()),
            })
        {
            return stage.skip(why);
        }
        // None of the silent ones goes by itself while this lasts.
        stage.set("KEEP_ALIVE_SECONDS", "600");
        stage.set("HEADER_TIMEOUT_SECONDS", "600");
        stage.set("BODY_TIMEOUT_SECONDS", "600");
        stage.reconnect();
        for _ in stage.rounds(1, 3) {
            for limit in LIMITS {
                // With 64 of them the lowest limit has no room for workers, either.
                stage.set("WORKERS", if limit == 256 { "64" } else { "2" });
                stage.limit_files(limit);
                stage.start();
                stage.load_on_with(Plan {
                    rate: 100,
                    connections: 2,
                });
                let silent: Vec<Raw> = (0..limit + 100)
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
                // Segments roll meanwhile.
                stage.accept(300);
                let admin = stage.bridge().admin;
                assert_eq!(http::get(admin, "/readyz").status, 200);
                stage.settle_below(100);
                let told = |line: &String| line.contains("ICR_BRIDGE_MAX_CONNECTIONS is lowered");
                assert!(stage.log().iter().any(told), "the log says what is lowered");
                drop(silent);
                stage.load_off();
                stage.terminate();
            }
        }
    },
};
