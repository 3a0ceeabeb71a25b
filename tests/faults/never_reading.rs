//! Clients that pipeline requests and read no answer, or a byte now and then: each is closed within seconds, costs no processor time
//! meanwhile, and takes a bounded amount of memory.

use crate::harness::client::head;
use crate::harness::greedy::Crowd;
use crate::harness::load::Plan;
use crate::harness::{Excuse, Fault};
use std::time::{Duration, Instant};

/// Of each kind.
const CLIENTS: usize = 40;

/// While nobody reads, and nobody sends any more, the load alone wants processor time, a part of one core.
const MOST_CPU: f64 = 0.5;

/// In MiB: the 32 that unread answers may take, what the system's allocator makes of that, and what the load takes beside it.
const MOST_GROWTH: f64 = 96.0;

/// The bridge's time for answers to be read is 5 s; a machine that is busy with much else takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

pub const FAULT: Fault = Fault {
    name: "never-reading",
    title: "200 clients that pipeline requests and never read, on both listeners",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.start();
        stage.load_on_with(Plan {
            rate: 50,
            connections: 4,
        });
        let (number, request) = stage.delivery();
        stage.forbid(number);
        for round in stage.rounds(1, 5) {
            stage.accept(50);
            let peak = stage.bridge().status_mib("VmHWM:");
            let requests = [
                "GET /x HTTP/1.1\r\nHost: b\r\n\r\n".to_owned(),
                "POST /webhook HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
                // Its answer comes at once, and what follows is drained.
                format!(
                    "POST /x HTTP/1.1\r\nHost: b\r\nContent-Length: 60000\r\n\r\n{}",
                    "x".repeat(60_000)
                ),
                head(&request, "Transfer-Encoding: chunked\r\n") + "5\r\n{\"a\":\r\n",
            ];
            let mut crowd = Crowd::default();
            for request in requests {
                crowd.join(stage.ingress(), CLIENTS, request.as_bytes(), false);
            }
            let scrape = b"GET /metrics HTTP/1.1\r\nHost: b\r\n\r\n";
            crowd.join(stage.bridge().admin, CLIENTS, scrape, false);
            let begun = Instant::now();
            let mut calmest = f64::INFINITY;
            let mut closed = crowd.push();
            while closed < crowd.len() {
                assert!(
                    begun.elapsed() < PATIENCE,
                    "{closed} of {} clients that never read were closed within {PATIENCE:?}",
                    crowd.len()
                );
                // Nobody sends now; what was sent before is worked off at some time, however slow the machine.
                let (since, before) = (Instant::now(), stage.bridge().cpu());
                std::thread::sleep(Duration::from_millis(500));
                let cpu = (stage.bridge().cpu() - before) / since.elapsed().as_secs_f64();
                let closed_before = closed;
                closed = crowd.push();
                if closed == closed_before {
                    calmest = calmest.min(cpu);
                }
            }
            let lasted = begun.elapsed().as_secs_f64();
            let growth = stage.bridge().status_mib("VmHWM:") - peak;
            stage.note(format!(
                "round {round}: all {} closed after {lasted:.1} s, with {calmest:.2} of a core while nobody sent; {growth:.0} MiB more memory",
                crowd.len()
            ));
            assert!(
                calmest < MOST_CPU || calmest.is_infinite(),
                "{calmest:.2} of a core while nobody read"
            );
            assert!(growth < MOST_GROWTH, "{growth:.0} MiB more memory");
            stage.accept(50);
        }
    },
};
