//! What the bridge may take at most: memory under hostile connections, wake-ups when nothing happens.

use super::load::{Load, ORDINARY};
use super::report::Report;
use super::subject::{Subject, resident_mib};
use super::topic;
use crowd::Crowd;
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

#[path = "../../faults/harness/greedy.rs"]
mod crowd;

/// As many as there are places.
const CONNECTIONS: usize = 10_000;

/// In which each kind does what it can.
const LASTS: Duration = Duration::from_secs(8);

/// In MiB: what `deploy/kubernetes` gives.
const CONTAINER: f64 = 512.0;

/// Our own threads that have no work at night; all others are the libraries'. actix's own clock wakes each worker twice a second.
const OWN: [&str; 8] = [
    "journal-writer",
    "journal-keeper",
    "publisher",
    "rejected-ring",
    "reverify",
    "secrets",
    "tls",
    "log",
];

pub fn measure(report: &mut Report) {
    if let Err(error) = rlimit::increase_nofile_limit(CONNECTIONS as u64 + 1000) {
        eprintln!("bounds: {error}");
        return;
    }
    wake_ups(report);
    let half_a_body = |length: usize, sent: usize| {
        format!(
            "POST /webhook HTTP/1.1\r\nHost: b\r\nContent-Length: {length}\r\n\r\n{}",
            " ".repeat(sent)
        )
    };
    for (what, bytes, once) in [
        ("that say nothing", String::new(), true),
        (
            "with half a head",
            "POST /webhook HTTP/1.1\r\nHost: b".to_owned(),
            true,
        ),
        (
            "with 120 kB of a head",
            format!(
                "POST /webhook HTTP/1.1\r\nHost: b\r\nX: {}",
                "x".repeat(120_000)
            ),
            true,
        ),
        (
            "with 7 kB of a body of 500",
            half_a_body(500_000, 7000),
            true,
        ),
        (
            "with 400 kB of a body of 500",
            half_a_body(500_000, 400_000),
            true,
        ),
        (
            "that pipeline and never read",
            "GET /x HTTP/1.1\r\nHost: b\r\n\r\n".to_owned(),
            false,
        ),
    ] {
        let bridge = Subject::bridge(Some(&topic::fresh()));
        let mut crowd = Crowd::default();
        crowd.join(bridge.ingress, CONNECTIONS, bytes.as_bytes(), once);
        let begun = Instant::now();
        while begun.elapsed() < LASTS {
            crowd.push();
            std::thread::sleep(Duration::from_millis(50));
        }
        report
            .add(
                "bounds",
                format!("resident, {} connections {what}", crowd.len()),
                bridge.peak_mib(),
                "MiB",
            )
            .at_most(CONTAINER);
    }
    let bridge = Subject::bridge(Some(&topic::fresh()));
    Load::of(ORDINARY).closed_loop(bridge.ingress, 1024, 60_000);
    let verify_only = Subject::verify_only();
    Load::of(ORDINARY).closed_loop(verify_only.ingress, 1024, 60_000);
    report
        .add(
            "bounds",
            "resident, 1024 busy connections",
            resident_mib(bridge.pid),
            "MiB",
        )
        .of("verify-only", resident_mib(verify_only.pid))
        .ratio_at_most(1.6);
}

fn wake_ups(report: &mut Report) {
    let bridge = Subject::bridge(Some(&topic::fresh()));
    // What starting has left to do.
    std::thread::sleep(Duration::from_secs(5));
    let (before, time) = (switches(bridge.pid), Duration::from_secs(20));
    std::thread::sleep(time);
    let mut all = 0.0;
    for (thread, now) in switches(bridge.pid) {
        let count = now - before.get(&thread).copied().unwrap_or_default();
        let each = count as f64 / time.as_secs_f64();
        let own = OWN.contains(&thread.as_str());
        all += if own { each } else { 0.0 };
        let whose = if own { "ours" } else { "a library's" };
        report.add(
            "bounds",
            format!("wake-ups, idle: {thread} ({whose})"),
            each,
            "/s",
        );
    }
    report
        .add("bounds", "wake-ups, idle: ours together", all, "/s")
        .at_most(4.0);
}

/// Voluntary context switches by the threads' names.
fn switches(pid: u32) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let path = task.unwrap().path();
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let count = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .and_then(|count| count.trim().parse::<u64>().ok());
        *all.entry(name.trim().to_owned()).or_default() += count.unwrap_or_default();
    }
    all
}
