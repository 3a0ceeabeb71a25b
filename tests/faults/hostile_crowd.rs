//! A thousand hostile connections of every kind at once (in the long form ten thousand, as many as there are places), in a container with
//! the memory that `deploy/kubernetes` allows: the bridge lives, and every delivery is stored.

use crate::harness::client::head;
use crate::harness::greedy::Crowd;
use crate::harness::load::Plan;
use crate::harness::{Excuse, Fault};
use std::time::{Duration, Instant};

/// As many as there are places; and fewer, for a machine that is busy with other faults.
const CLIENTS: (usize, usize) = (10_000, 1_000);

/// How long they keep at it, at the least.
const LASTS: Duration = Duration::from_secs(15);

pub const FAULT: Fault = Fault {
    name: "hostile-crowd",
    title: "1,000 hostile connections (long: 10,000) in a container with the memory of deploy/kubernetes",
    excuse: Excuse::Nothing,
    run: |stage| {
        if let Err(why) = rlimit::increase_nofile_limit(CLIENTS.0 as u64 + 2000) {
            return stage.skip(why.to_string());
        }
        let limit = shipped_limit();
        let container = match stage.contain(limit) {
            Ok(container) => container,
            Err(why) => return stage.skip(why),
        };
        stage.set("HEADER_TIMEOUT_SECONDS", "60");
        stage.set("BODY_TIMEOUT_SECONDS", "60");
        stage.reconnect();
        stage.start();
        stage.load_on_with(Plan {
            rate: 50,
            connections: 4,
        });
        let (number, request) = stage.delivery();
        stage.forbid(number);
        let half_a_body = |length: usize, sent: usize| {
            let length = format!("Content-Length: {length}\r\n");
            head(&request, &length) + &" ".repeat(sent)
        };
        let long_head = format!(
            "POST /webhook HTTP/1.1\r\nHost: b\r\nX: {}",
            "x".repeat(120_000)
        );
        let kinds = [
            (String::new(), true),
            ("POST /webhook HTTP/1.1\r\nHost: b".to_owned(), true),
            (long_head, true),
            (half_a_body(500_000, 7_000), true),
            (half_a_body(500_000, 400_000), true),
            (half_a_body(16_000, 15_900), true),
            (
                head(&request, "Transfer-Encoding: chunked\r\n") + "ffff\r\n{",
                true,
            ),
            ("GET /x HTTP/1.1\r\nHost: b\r\n\r\n".to_owned(), false),
            (
                "POST /webhook HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
                false,
            ),
        ];
        let clients = if stage.is_long() {
            CLIENTS.0
        } else {
            CLIENTS.1
        };
        for _ in stage.rounds(1, 3) {
            let mut crowd = Crowd::default();
            for (bytes, once) in &kinds {
                let bytes = bytes.as_bytes();
                crowd.join(
                    stage.ingress(),
                    clients / kinds.len(),
                    bytes,
                    *once || bytes.is_empty(),
                );
            }
            let begun = Instant::now();
            while begun.elapsed() < LASTS {
                crowd.push();
                stage.accept(1);
            }
            let resident = stage.bridge().status_mib("VmHWM:");
            let peak = container
                .peak()
                .map(|bytes| bytes as f64 / f64::from(1 << 20));
            stage.note(format!(
                "{} hostile connections: {resident:.0} MiB resident at most; with the system's buffers {peak:.0?} MiB of {} MiB; limit reached: {}",
                crowd.len(),
                limit >> 20,
                container.failures()
            ));
        }
        stage.accept(100);
    },
};

/// What the Kubernetes manifests give to the bridge.
fn shipped_limit() -> u64 {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/deploy/kubernetes/base/statefulset.yaml"
    );
    let manifest = std::fs::read_to_string(path).unwrap();
    let limits = manifest.split("limits:").nth(1).expect("limits");
    let memory = limits.split("memory:").nth(1).expect("memory");
    let mebibytes = memory.trim_start().split("Mi").next().expect("Mi");
    mebibytes.parse::<u64>().expect("a number of MiB") << 20
}
