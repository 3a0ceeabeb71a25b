//! What the spine costs; see `tests/bench/README.md`. Prints, and asserts nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod load;
mod process;
mod topic;
mod verify_only;

use load::{Latencies, Load};
use process::{Subject, cpu_seconds, resident_mib};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 64;
const CPU_DELIVERIES: u64 = 200_000;
const RATE: u64 = 1000;
const LATENCY_SECONDS: u64 = 15;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    if arguments
        .first()
        .is_some_and(|argument| argument == "verify-only-server")
    {
        return verify_only::serve();
    }
    let wants =
        |part: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == part);
    if wants("cpu") {
        cpu();
    }
    if wants("latency") {
        latency();
    }
    if wants("backlog") {
        backlog();
    }
}

/// CPU time of the whole process per delivery, to 202 and to Kafka's acknowledgement.
fn cpu() {
    println!("cpu: {CPU_DELIVERIES} distinct deliveries over {CONNECTIONS} connections");
    let mut baseline = 0.0;
    for round in 0..2u64 {
        let verify_only = Subject::verify_only();
        let (micros, rate) = measure(&verify_only, round, |_| {});
        println!("  verify-only          {micros:6.1} µs   {rate:8.0}/s");
        drop(verify_only);
        let bridge = Subject::bridge(Some(&topic::fresh()));
        let (whole, rate) = measure(&bridge, round, |bridge| {
            bridge.wait_published(CPU_DELIVERIES)
        });
        println!(
            "  bridge, acknowledged {whole:6.1} µs   {rate:8.0}/s answered   {:.2}× verify-only",
            whole / micros
        );
        baseline = if baseline == 0.0 {
            micros
        } else {
            f64::min(baseline, micros)
        };
    }
}

fn measure(subject: &Subject, run: u64, finish: impl Fn(&Subject)) -> (f64, f64) {
    // Warm up connections, allocator and producer.
    Load::new(run * 10 + 1).closed_loop(subject.ingress, CONNECTIONS, 5000);
    finish_if_bridge(subject, 5000);
    let (before, started) = (cpu_seconds(subject.pid), Instant::now());
    Load::new(run * 10 + 2).closed_loop(subject.ingress, CONNECTIONS, CPU_DELIVERIES);
    let answered = started.elapsed().as_secs_f64();
    finish(subject);
    let used = cpu_seconds(subject.pid) - before;
    (
        used / CPU_DELIVERIES as f64 * 1e6,
        CPU_DELIVERIES as f64 / answered,
    )
}

fn finish_if_bridge(subject: &Subject, count: u64) {
    if subject.admin.is_some() {
        subject.wait_published(count);
    }
}

/// The time of an answer at a fixed rate.
fn latency() {
    println!("latency: {RATE}/s for {LATENCY_SECONDS} s, open loop (from the scheduled time)");
    let verify_only = Subject::verify_only();
    print_latencies("verify-only", &open_loop(&verify_only, 1));
    drop(verify_only);
    let up = Subject::bridge(Some(&topic::fresh()));
    print_latencies("bridge, Kafka up", &open_loop(&up, 2));
    drop(up);
    let down = Subject::bridge(None);
    print_latencies("bridge, Kafka down", &open_loop(&down, 3));
}

fn open_loop(subject: &Subject, run: u64) -> Latencies {
    Load::new(100 + run).closed_loop(subject.ingress, CONNECTIONS, 2000);
    Load::new(200 + run).open_loop(subject.ingress, CONNECTIONS, RATE, RATE * LATENCY_SECONDS)
}

fn print_latencies(name: &str, latencies: &Latencies) {
    let [p50, p99, p999, max] =
        [0.5, 0.99, 0.999, 1.0].map(|quantile| latencies.quantile(quantile).as_secs_f64() * 1e3);
    println!(
        "  {name:20} p50 {p50:7.2} ms   p99 {p99:7.2} ms   p99.9 {p999:7.2} ms   max {max:7.2} ms"
    );
}

/// Memory, start and drain with a long backlog.
fn backlog() {
    let count: u64 = std::env::var("BENCH_BACKLOG")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(1_000_000);
    println!("backlog: {count} deliveries while Kafka is away");
    let down = Subject::bridge(None);
    println!(
        "  resident, idle              {:6.1} MiB",
        resident_mib(down.pid)
    );
    let started = Instant::now();
    Load::new(1000).closed_loop(down.ingress, CONNECTIONS, count);
    println!(
        "  answered 202                {:6.0}/s",
        count as f64 / started.elapsed().as_secs_f64()
    );
    println!(
        "  resident, with the backlog  {:6.1} MiB",
        resident_mib(down.pid)
    );
    let journal = down.leave();
    let topic = topic::fresh();
    let (bridge, ready) = Subject::bridge_on(journal, Some(&topic));
    println!(
        "  from exec to ready          {:6.0} ms",
        ready.as_secs_f64() * 1e3
    );
    let (started, before) = (Instant::now(), cpu_seconds(bridge.pid));
    let mut most = 0.0;
    while !bridge.has_published(count) {
        most = f64::max(most, resident_mib(bridge.pid));
        std::thread::sleep(Duration::from_millis(100));
    }
    let elapsed = started.elapsed().as_secs_f64();
    println!(
        "  drained to Kafka            {:6.0}/s   {:.1} µs CPU each",
        count as f64 / elapsed,
        (cpu_seconds(bridge.pid) - before) / count as f64 * 1e6
    );
    println!("  resident at most meanwhile  {most:6.1} MiB");
}
