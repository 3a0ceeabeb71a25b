//! Slowloris: hundreds of clients send heads and bodies a byte at a time. Each is cut off in time, and genuine deliveries go on.

use crate::harness::client::{Raw, head};
use crate::harness::{Excuse, Fault};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const CLIENTS: usize = 300;
const PAUSE: Duration = Duration::from_millis(100);
/// Ten go in the second that a head or a body may take. A slow machine sends fewer, never more.
const MOST: usize = 100;

pub const FAULT: Fault = Fault {
    name: "slow-clients",
    title: "300 clients that send heads and bodies a byte at a time (slowloris)",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.set("HEADER_TIMEOUT_SECONDS", "1");
        stage.set("BODY_TIMEOUT_SECONDS", "1");
        // Two thirds of all places.
        stage.set("MAX_CONNECTIONS", "450");
        stage.start();
        stage.load_on();
        let (_, request) = stage.delivery();
        let length = format!("Content-Length: {}\r\n", request.body.len());
        let slow_head = head(&request, "X-Slow: y\r\n");
        let slow_body = head(&request, &length);
        let (address, stop, cut) = (stage.ingress(), AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (slow_head, slow_body, body) = (&slow_head, &slow_body, &request.body);
                let (stop, cut) = (&stop, &cut);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let mut raw = Raw::open(address);
                        let slow: &[u8] = if client % 2 == 0 {
                            slow_head.as_bytes()
                        } else {
                            raw.send(slow_body);
                            body
                        };
                        let last = trickle(&mut raw, slow, stop);
                        cut.fetch_add(u64::from(last), Ordering::Relaxed);
                    }
                });
            }
            for _ in stage.rounds(1, 10) {
                let before = cut.load(Ordering::Relaxed);
                while cut.load(Ordering::Relaxed) < before + CLIENTS as u64 {
                    stage.accept(50);
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        stage.note(format!(
            "{} slow requests cut off",
            cut.load(Ordering::Relaxed)
        ));
    },
};

/// Sends a byte at a time until the other side has had enough (true) or it is over.
fn trickle(raw: &mut Raw, bytes: &[u8], stop: &AtomicBool) -> bool {
    for byte in bytes.iter().take(MOST) {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        if !raw.send([*byte]) {
            return true;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("a request that came a byte at a time was not cut off");
}
