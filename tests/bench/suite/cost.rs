//! CPU of a delivery, of the whole bridge, beside the floors under it.

use super::floors::{self, Stored, own_cpu};
use super::load::{Load, ORDINARY};
use super::report::Report;
use super::subject::{Subject, cpu_seconds};
use std::time::Duration;

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 3;

/// CPU µs per delivery, of ordinary size, and what else throughput depends on.
pub struct Costs {
    /// The sum of the floors.
    pub sum: f64,
    /// The load generator's, and Kafka's.
    pub others: f64,
}

/// What a subject took for some deliveries.
#[derive(Clone, Copy)]
struct Took {
    micros: f64,
    generator: f64,
    kafka: f64,
    rate: f64,
    /// Deliveries in one group of the journal.
    group: f64,
}

pub fn measure(report: &mut Report) -> Costs {
    let (sync, sync99) = floors::sync();
    report.add("floors", "fdatasync of 4 KiB, p50", sync, "ms");
    report.add("floors", "fdatasync of 4 KiB, p99", sync99, "ms");
    let costs = ordinary(report);
    for (bytes, name) in [(1 << 10, "1 KiB"), (8 << 10, "8 KiB"), (64 << 10, "64 KiB")] {
        let verify_only = run(&Subject::verify_only().warm(bytes), bytes, false);
        let whole = run(
            &Subject::bridge(Some(&super::topic::fresh())).warm(bytes),
            bytes,
            true,
        );
        let floors = Floors::of(bytes, &whole);
        let what = |what: &str| format!("{what}, {name}");
        report.add("cost", what("verify-only"), verify_only.micros, "µs");
        report
            .add(
                "cost",
                what("bridge, to Kafka's acknowledgement"),
                whole.micros,
                "µs",
            )
            .of("verify-only", verify_only.micros)
            .of("the floors", verify_only.micros + floors.sum());
    }
    costs
}

fn ordinary(report: &mut Report) -> Costs {
    let rounds: Vec<[Took; 4]> = (0..ROUNDS)
        .map(|_| {
            [
                run(&Subject::bare().warm(ORDINARY), ORDINARY, false),
                run(&Subject::verify_only().warm(ORDINARY), ORDINARY, false),
                run(&Subject::bridge(None).warm(ORDINARY), ORDINARY, false),
                run(
                    &Subject::bridge(Some(&super::topic::fresh())).warm(ORDINARY),
                    ORDINARY,
                    true,
                ),
            ]
        })
        .collect();
    // Each figure is the median of the rounds, which take turns.
    let median = |of: &dyn Fn(&[Took; 4]) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let micros = |index: usize| median(&|round| round[index].micros);
    let (bare, verify_only, to_202, whole) = (micros(0), micros(1), micros(2), micros(3));
    let typical = Took {
        micros: whole,
        generator: median(&|round| round[3].generator),
        kafka: median(&|round| round[3].kafka),
        rate: median(&|round| round[3].rate),
        group: median(&|round| round[3].group),
    };
    let floors = Floors::of(ORDINARY, &typical);
    report.add("floors", "bare 202, 2 KiB", bare, "µs");
    report
        .add("floors", "verify-only, 2 KiB", verify_only, "µs")
        .of("bare", bare);
    report.add(
        "floors",
        format!("append, in groups of {:.1}", typical.group),
        floors.append,
        "µs",
    );
    report.add("floors", "normalization", floors.normalization, "µs");
    report.add(
        "floors",
        format!("librdkafka alone at {:.0}/s", typical.rate),
        floors.produce,
        "µs",
    );
    let sum = verify_only + floors.sum();
    report.add(
        "floors",
        "sum: verify-only, append, normalization, librdkafka",
        sum,
        "µs",
    );
    let (fastest, produced) = Stored::of(ORDINARY).produce(None, Duration::from_secs(5));
    report.add(
        "floors",
        "librdkafka alone, as fast as it goes",
        fastest,
        "µs",
    );
    report.add(
        "floors",
        "librdkafka alone, as fast as it goes",
        produced,
        "/s",
    );
    report
        .add("cost", "bridge without Kafka, to 202, 2 KiB", to_202, "µs")
        .of("verify-only", verify_only)
        .of("verify-only and append", verify_only + floors.append);
    report
        .add(
            "cost",
            "bridge, to Kafka's acknowledgement, 2 KiB",
            whole,
            "µs",
        )
        .of("verify-only", verify_only)
        .ratio_at_most(1.8)
        .of("the sum of the floors", sum)
        .ratio_at_most(1.15);
    Costs {
        sum,
        others: typical.generator + typical.kafka,
    }
}

/// CPU µs per delivery behind the verification.
struct Floors {
    append: f64,
    normalization: f64,
    produce: f64,
}

impl Floors {
    /// At the pace and in the groups of the bridge itself.
    fn of(bytes: usize, whole: &Took) -> Self {
        let stored = Stored::of(bytes);
        Self {
            append: stored.append(whole.group.round().max(1.0) as usize),
            normalization: stored.normalization(),
            produce: stored.produce(Some(whole.rate), Duration::from_secs(4)).0,
        }
    }

    fn sum(&self) -> f64 {
        self.append + self.normalization + self.produce
    }
}

fn kafka_cpu() -> f64 {
    let pid = std::env::var("KAFKA_PID")
        .ok()
        .and_then(|pid| pid.parse().ok());
    pid.map_or(0.0, cpu_seconds)
}

fn run(subject: &Subject, bytes: usize, to_the_end: bool) -> Took {
    let count: u64 = match bytes {
        0..=2048 => 60_000,
        2049..=8192 => 30_000,
        _ => 5_000,
    };
    if to_the_end {
        subject.wait_pending(0.0);
    }
    let groups = || {
        (
            subject.metric("journal_append_seconds_count"),
            subject.metric("journal_sync_seconds_count"),
        )
    };
    let is_bridge = subject.is_bridge();
    let groups_before = if is_bridge { groups() } else { (0.0, 0.0) };
    let before = (subject.cpu(), own_cpu(), kafka_cpu());
    let took = Load::of(bytes).closed_loop(subject.ingress, CONNECTIONS, count);
    let generator = own_cpu() - before.1;
    if to_the_end {
        subject.wait_pending(0.0);
    }
    let used = subject.cpu() - before.0;
    let kafka = kafka_cpu() - before.2;
    let groups_after = if is_bridge { groups() } else { (0.0, 1.0) };
    let each = |seconds: f64| seconds / count as f64 * 1e6;
    Took {
        micros: each(used),
        generator: each(generator),
        kafka: each(kafka),
        rate: count as f64 / took.as_secs_f64(),
        group: (groups_after.0 - groups_before.0) / (groups_after.1 - groups_before.1).max(1.0),
    }
}
