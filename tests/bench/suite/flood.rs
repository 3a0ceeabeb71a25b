//! Forgeries: what one costs, and what many do to genuine deliveries.

use super::load::{Load, ORDINARY};
use super::report::Report;
use super::subject::Subject;
use super::topic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const COUNT: u64 = 60_000;

pub fn measure(report: &mut Report) {
    let mut rounds: Vec<(f64, f64)> = (0..3)
        .map(|_| {
            let verify_only = rejected(&Subject::verify_only());
            (
                verify_only,
                rejected(&Subject::bridge(Some(&topic::fresh()))),
            )
        })
        .collect();
    rounds.sort_by(|one, other| (one.1 / one.0).total_cmp(&(other.1 / other.0)));
    let (verify_only, bridge) = rounds[1];
    report
        .add("flood", "a rejected forgery", bridge, "µs")
        .of("verify-only", verify_only)
        .ratio_at_most(1.2);

    let bridge = Subject::bridge(Some(&topic::fresh())).warm(ORDINARY);
    let genuine = || {
        let time = Duration::from_secs(8);
        Load::of(ORDINARY).open_loop(bridge.ingress, 16, 200.0, time)
    };
    let in_peace = genuine().millis(0.99);
    let over = AtomicBool::new(false);
    let in_flood = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let time = Duration::from_secs(1);
                let forgeries = Load::of(ORDINARY).forged();
                forgeries.open_loop(bridge.ingress, 16, 2000.0, time);
            }
        });
        let in_flood = genuine().millis(0.99);
        over.store(true, Ordering::Relaxed);
        in_flood
    });
    report
        .add(
            "flood",
            "p99 of genuine ones at 200/s beside 2000 forgeries a second",
            in_flood,
            "ms",
        )
        .of("in peace", in_peace);
}

fn rejected(subject: &Subject) -> f64 {
    Load::of(ORDINARY)
        .forged()
        .closed_loop(subject.ingress, 64, 5000);
    let before = subject.cpu();
    Load::of(ORDINARY)
        .forged()
        .closed_loop(subject.ingress, 64, COUNT);
    (subject.cpu() - before) / COUNT as f64 * 1e6
}
