//! What grows with the journal, and with connections.

use super::load::{Load, ORDINARY};
use super::report::{Figure, Report};
use super::subject::{Subject, resident_mib};
use super::topic;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const MILLION: u64 = 1_000_000;

pub fn measure(report: &mut Report, long: bool) {
    idle(report);
    connections(report);
    let produced = super::floors::Stored::of(ORDINARY)
        .produce(None, Duration::from_secs(4))
        .1;
    let sizes = [10_000, MILLION, 5 * MILLION];
    let sizes = if long { &sizes[..] } else { &sizes[..2] };
    for count in sizes {
        backlog(report, *count, produced);
    }
}

fn idle(report: &mut Report) {
    let (bridge, ready) = Subject::bridge_on(TempDir::new().unwrap(), Some(&topic::fresh()), &[]);
    report.add("growth", "start, empty", ready.as_secs_f64() * 1e3, "ms");
    // What starting has left to do.
    std::thread::sleep(Duration::from_secs(3));
    let (before, time) = (bridge.cpu(), Duration::from_secs(10));
    std::thread::sleep(time);
    let used = (bridge.cpu() - before) / time.as_secs_f64();
    report.add("growth", "CPU, idle", used * 1e3, "ms/s");
    let verify_only = Subject::verify_only();
    report
        .add("growth", "resident, idle", resident_mib(bridge.pid), "MiB")
        .of("verify-only", resident_mib(verify_only.pid))
        .at_most(12.0);
}

fn connections(report: &mut Report) {
    let bridge = Subject::bridge(Some(&topic::fresh()));
    let before = resident_mib(bridge.pid);
    let idle: Vec<TcpStream> = (0..4000)
        .map(|_| TcpStream::connect(bridge.ingress).unwrap())
        .collect();
    while bridge.files() < idle.len() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let each = (resident_mib(bridge.pid) - before) * 1024.0 / idle.len() as f64;
    report.add("growth", "an idle connection", each, "KiB");
    drop(idle);

    let bridge = Subject::bridge(Some(&topic::fresh()));
    Load::of(ORDINARY).closed_loop(bridge.ingress, 1024, 60_000);
    let verify_only = Subject::verify_only();
    Load::of(ORDINARY).closed_loop(verify_only.ingress, 1024, 60_000);
    report
        .add(
            "growth",
            "resident, after 1024 busy connections",
            bridge.peak_mib(),
            "MiB",
        )
        .of("verify-only", verify_only.peak_mib())
        .at_most(40.0);
}

/// A journal of so many deliveries, all of which wait for Kafka; then none does.
fn backlog(report: &mut Report, count: u64, produced: f64) {
    let what = |what: &str| format!("{what}, {count} deliveries");
    let down = Subject::bridge(None);
    Load::of(ORDINARY).closed_loop(down.ingress, 64, count);
    let peak = down.peak_mib();
    limited(report.add("growth", what("resident, without Kafka"), peak, "MiB"));
    let journal = down.leave();

    let started = Instant::now();
    let (bridge, ready) = Subject::bridge_on(journal, Some(&topic::fresh()), &[]);
    let figure = report.add("growth", what("start"), ready.as_secs_f64() * 1e3, "ms");
    match count {
        MILLION => figure.at_most(300.0),
        count if count > MILLION => figure.at_most(1000.0),
        _ => figure,
    };
    bridge.wait_pending(0.0);
    let drained = count as f64 / started.elapsed().as_secs_f64();
    let figure = report.add("growth", what("drain"), drained, "/s");
    figure.of("librdkafka alone", produced);
    if count >= MILLION {
        figure.ratio_at_least(0.8);
    }
    let cpu = bridge.cpu() / count as f64 * 1e6;
    report.add("growth", what("CPU of draining one"), cpu, "µs");
    limited(report.add(
        "growth",
        what("resident, draining"),
        bridge.peak_mib(),
        "MiB",
    ));

    let took = lookup(&bridge, count / 2);
    report.add(
        "growth",
        what("inspect --id"),
        took.as_secs_f64() * 1e3,
        "ms",
    );

    // All of it is old enough to go.
    let before = bridge.metric("journal_bytes");
    let journal = bridge.leave();
    let settings = [("JOURNAL_RETENTION_HOURS", "0")];
    let (bridge, _) = Subject::bridge_on(journal, Some(&topic::fresh()), &settings);
    // The segment that is written, and the spare ones.
    while bridge.metric("journal_bytes") > 256e6 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let gib = (before - bridge.metric("journal_bytes")) / f64::from(1 << 30);
    report.add("growth", what("removed by retention"), gib, "GiB");
    let cpu = bridge.cpu() * 1e3;
    report.add("growth", what("CPU of starting and removing"), cpu, "ms");
}

/// With any backlog.
fn limited(figure: &mut Figure) {
    figure.at_most(48.0);
}

/// The time of looking one delivery up by its id.
fn lookup(bridge: &Subject, sequence: u64) -> Duration {
    let inspect = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_icr-bridge"));
        command.arg("inspect").args(arguments);
        command.env("ICR_BRIDGE_JOURNAL_DIR", bridge.journal());
        command.output().unwrap()
    };
    let last = (sequence / 1000).clamp(1, 100).to_string();
    let listed = inspect(&["--json", "--last", &last]).stdout;
    let line = String::from_utf8(listed).unwrap();
    let first: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    let id = first["id"].as_str().unwrap();
    let started = Instant::now();
    assert!(inspect(&["--id", id]).status.success());
    started.elapsed()
}
