//! The time of an answer at a fixed rate, from when the delivery should have gone.

use super::floors;
use super::load::{Latencies, Load, ORDINARY};
use super::report::Report;
use super::subject::Subject;
use super::topic;
use std::time::Duration;

/// Deliveries a second, and for how many seconds.
const RATES: [(f64, u64); 3] = [(100.0, 10), (1000.0, 15), (10_000.0, 8)];

/// Connections: more than are ever needed at once in ordinary times.
const CONNECTIONS: usize = 64;

/// Deliveries that wait for Kafka while it is measured beside their draining.
const BACKLOG: u64 = 1_300_000;

pub fn measure(report: &mut Report) {
    let (_, sync99) = floors::sync();
    let mut bare_1000 = 0.0;
    let bare = Subject::bare().warm(ORDINARY);
    for (rate, seconds) in RATES {
        let latencies = open_loop(&bare, rate, seconds);
        tell(report, "bare", rate, &latencies);
        if rate == 1000.0 {
            bare_1000 = latencies.millis(0.99);
        }
    }
    drop(bare);
    let limit = f64::max(2.0, 3.0 * sync99);
    let up = Subject::bridge(Some(&topic::fresh())).warm(ORDINARY);
    let up_1000 = all_rates(report, "bridge", &up);
    drop(up);
    let down = Subject::bridge(None).warm(ORDINARY);
    let down_1000 = all_rates(report, "Kafka down", &down);
    Load::of(ORDINARY).closed_loop(down.ingress, CONNECTIONS, BACKLOG);
    let (draining, _) = Subject::bridge_on(down.leave(), Some(&topic::fresh()), &[]);
    let mut p99 = |name: &str, subject: &Subject, rate: f64| {
        let latencies = open_loop(subject, rate, 3);
        tell(report, name, rate, &latencies);
        latencies.millis(0.99)
    };
    let draining_1000 = p99("draining", &draining, 1000.0);
    // What draining and Kafka do to anybody on these cores.
    let beside = p99("bare, beside the draining", &Subject::bare(), 1000.0);
    p99("draining", &draining, 100.0);
    p99("draining", &draining, 10_000.0);
    let left = draining.pending();
    report.add(
        "latency",
        "draining: deliveries that still waited at the end",
        left,
        "",
    );
    report
        .add(
            "latency",
            "p99 at 1000/s less the generator's own",
            up_1000 - bare_1000,
            "ms",
        )
        .at_most(limit);
    report
        .add("latency", "p99 at 1000/s, Kafka down", down_1000, "ms")
        .of("Kafka up", up_1000)
        .ratio_at_most(1.1);
    report
        .add("latency", "p99 at 1000/s, draining", draining_1000, "ms")
        .of("bare, beside the draining", beside)
        .of("Kafka up", up_1000)
        .ratio_at_most(1.1);
}

fn open_loop(subject: &Subject, rate: f64, seconds: u64) -> Latencies {
    let time = Duration::from_secs(seconds);
    Load::of(ORDINARY).open_loop(subject.ingress, CONNECTIONS, rate, time)
}

/// The p99 at 1,000/s.
fn all_rates(report: &mut Report, name: &str, subject: &Subject) -> f64 {
    let mut at_1000 = 0.0;
    for (rate, seconds) in RATES {
        let latencies = open_loop(subject, rate, seconds);
        tell(report, name, rate, &latencies);
        if rate == 1000.0 {
            at_1000 = latencies.millis(0.99);
        }
    }
    at_1000
}

fn tell(report: &mut Report, name: &str, rate: f64, latencies: &Latencies) {
    for (quantile, said) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "max")] {
        let what = format!("{name}, {rate:.0}/s, {said}");
        report.add("latency", what, latencies.millis(quantile), "ms");
    }
}
