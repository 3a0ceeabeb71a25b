//! Deliveries a second.

use super::cost::Costs;
use super::load::{Load, ORDINARY};
use super::report::Report;
use super::subject::Subject;
use super::topic;
use std::time::Duration;

/// Until which a rate counts as held, in milliseconds.
const P99: f64 = 10.0;

pub fn measure(report: &mut Report, costs: &Costs) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let predicted = cores * 1e6 / (costs.sum + costs.others);
    let mut at_64 = 0.0;
    for connections in [1, 8, 64, 256, 1024] {
        let count = if connections == 1 { 8_000 } else { 50_000 };
        let rate = |subject: Subject| {
            let subject = subject.warm(ORDINARY);
            let took = Load::of(ORDINARY).closed_loop(subject.ingress, connections, count);
            count as f64 / took.as_secs_f64()
        };
        let verify_only = rate(Subject::verify_only());
        let bridge = rate(Subject::bridge(Some(&topic::fresh())));
        let what = format!("bridge, {connections} connections");
        let figure = report
            .add("throughput", what, bridge, "/s")
            .of("verify-only", verify_only);
        if connections == 64 {
            figure
                .of("what the sum of the floors predicts", predicted)
                .ratio_at_least(0.8);
            at_64 = bridge;
        }
    }
    held(report, at_64);
}

/// The highest rate that holds for a minute.
fn held(report: &mut Report, fastest: f64) {
    let bridge = Subject::bridge(Some(&topic::fresh())).warm(ORDINARY);
    let p99 = |rate: f64, seconds: u64| {
        let time = Duration::from_secs(seconds);
        let latencies = Load::of(ORDINARY).open_loop(bridge.ingress, 128, rate, time);
        bridge.wait_pending(0.0);
        latencies.millis(0.99)
    };
    let mut rate = fastest;
    while p99(rate, 5) > P99 {
        rate *= 0.85;
    }
    while p99(rate, 60) > P99 {
        rate *= 0.9;
    }
    report
        .add(
            "throughput",
            "highest rate that held for 60 s with p99 below 10 ms",
            rate,
            "/s",
        )
        .of("closed loop with 64", fastest);
}
