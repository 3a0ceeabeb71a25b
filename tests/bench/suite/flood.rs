//! Forgeries: what one costs, and what many do to genuine deliveries.

use super::load::{Load, ORDINARY};
use super::report::Report;
use super::subject::Subject;
use super::topic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// More than the ring of rejected deliveries has room for.
const FIRST: u64 = 40_000;
const COUNT: u64 = 60_000;

pub fn measure(report: &mut Report) {
    let mut rounds: Vec<[f64; 3]> = (0..3)
        .map(|_| {
            let [_, verify_only] = rejected(&Subject::verify_only());
            let [kept, bridge] = rejected(&Subject::bridge(Some(&topic::fresh())));
            [verify_only, kept, bridge]
        })
        .collect();
    rounds.sort_by(|one, other| (one[2] / one[0]).total_cmp(&(other[2] / other[0])));
    let [verify_only, kept, bridge] = rounds[1];
    report
        .add("flood", "a forgery, the ring being filled", kept, "µs")
        .of("verify-only", verify_only);
    report
        .add("flood", "a forgery, the ring being full", bridge, "µs")
        .of("verify-only", verify_only)
        .ratio_at_most(1.25);

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

/// CPU µs of rejecting one, of the first and of those after them.
fn rejected(subject: &Subject) -> [f64; 2] {
    [FIRST, COUNT].map(|count| {
        let before = subject.cpu();
        Load::of(ORDINARY)
            .forged()
            .closed_loop(subject.ingress, 64, count);
        (subject.cpu() - before) / count as f64 * 1e6
    })
}
