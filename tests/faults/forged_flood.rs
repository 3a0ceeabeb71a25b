//! A flood of forged signatures beside genuine traffic: all are turned away, and genuine deliveries hardly notice.

use crate::harness::load::{Plan, Sent};
use crate::harness::stage::Stage;
use crate::harness::{Excuse, Fault};
use crate::support::http::Connection;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A second, beside ten times fewer genuine ones: what sender, bridge and Kafka can do together on a small machine.
const FORGERIES: u64 = 1000;
const FORGERS: u64 = 4;

pub const FAULT: Fault = Fault {
    name: "forged-flood",
    title: "ten forgeries for each genuine delivery",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.start();
        let count = if stage.is_long() { 3000 } else { 300 };
        let mut worst = 0.0_f64;
        for _ in stage.rounds(1, 5) {
            let in_peace = p99(stage, count);
            let (in_flood, forgeries, lasted) = beside_forgeries(stage, count);
            worst = worst.max(in_flood.as_secs_f64() / in_peace.as_secs_f64());
            stage.note(format!(
                "p99 of genuine deliveries {:.1} ms in peace, {:.1} ms beside {:.0} forgeries a second",
                in_peace.as_secs_f64() * 1000.0,
                in_flood.as_secs_f64() * 1000.0,
                forgeries as f64 / lasted.as_secs_f64(),
            ));
        }
        stage.note(format!("p99 {worst:.2} times as long at most"));
        let wrong = stage.bridge().metrics().sum("deliveries_rejected_total");
        assert!(wrong >= count as f64, "{wrong} forgeries are counted");
    },
};

/// The 99th percentile over so many genuine deliveries.
fn p99(stage: &mut Stage, count: u64) -> Duration {
    let before = stage.sent().len();
    stage.load_on_with(Plan {
        rate: 100,
        connections: 4,
    });
    stage.accept(count);
    stage.load_off();
    let mut took: Vec<Duration> = stage.sent()[before..]
        .iter()
        .map(|sent: &Sent| sent.answered - sent.sent)
        .collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

fn beside_forgeries(stage: &mut Stage, count: u64) -> (Duration, u64, Duration) {
    let (number, request) = stage.delivery();
    stage.forbid(number);
    let forged = "0".repeat(64);
    let (address, stop, sent) = (stage.ingress(), AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    let p99 = std::thread::scope(|scope| {
        for _ in 0..FORGERS {
            scope.spawn(|| {
                let mut connection = Connection::open(address);
                let interval = Duration::from_secs(1) * FORGERS as u32 / FORGERIES as u32;
                let mut due = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    due = (due + interval).max(Instant::now());
                    let header = [("x-icr-signature-256", forged.as_str())];
                    let response = connection.post("/webhook", &header, &request.body);
                    assert_eq!(response.status, 403);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let p99 = p99(stage, count);
        stop.store(true, Ordering::Relaxed);
        p99
    });
    (p99, sent.load(Ordering::Relaxed), begun.elapsed())
}
