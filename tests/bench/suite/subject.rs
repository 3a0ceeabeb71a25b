//! What is measured, as a process of its own; its CPU time and memory as the kernel counts them (Linux).

use super::baseline::ROLE;
use super::load::{Load, SECRET};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server under load.
pub struct Subject {
    child: Child,
    pub pid: u32,
    pub ingress: SocketAddr,
    admin: Option<SocketAddr>,
    journal: Option<TempDir>,
}

impl Subject {
    /// A bare actix handler that reads the body and answers 202.
    pub fn bare() -> Self {
        Self::baseline("bare", Command::new(std::env::current_exe().unwrap()))
    }

    /// One that verifies, too.
    pub fn verify_only() -> Self {
        Self::baseline(
            "verify-only",
            Command::new(std::env::current_exe().unwrap()),
        )
    }

    /// A baseline, started by `command`.
    pub fn baseline(role: &str, mut command: Command) -> Self {
        command.env(ROLE, role).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            pid: child.id(),
            child,
            ingress: line.trim().parse().unwrap(),
            admin: None,
            journal: None,
        }
    }

    /// The bridge on a fresh journal; without a topic there is no Kafka.
    pub fn bridge(topic: Option<&str>) -> Self {
        Self::bridge_on(tempfile::tempdir().unwrap(), topic, &[]).0
    }

    /// The bridge on a given journal, with further settings, and the time from exec until it was ready.
    pub fn bridge_on(
        journal: TempDir,
        topic: Option<&str>,
        settings: &[(&str, &str)],
    ) -> (Self, Duration) {
        let command = Command::new(env!("CARGO_BIN_EXE_icr-bridge"));
        Self::bridge_by(command, journal, topic, settings)
    }

    /// The same, started by `command`.
    pub fn bridge_by(
        mut command: Command,
        journal: TempDir,
        topic: Option<&str>,
        settings: &[(&str, &str)],
    ) -> (Self, Duration) {
        let started = Instant::now();
        let brokers = topic.map_or_else(
            || "127.0.0.1:1".to_owned(),
            |_| std::env::var("KAFKA_BOOTSTRAP").expect("KAFKA_BOOTSTRAP"),
        );
        let topic = topic.unwrap_or("bench");
        let quarantine = format!("{topic}.quarantine");
        let journal_dir = journal.path().to_str().unwrap().to_owned();
        for (name, value) in [
            ("WEBHOOK_SECRET", SECRET),
            ("LISTEN", "127.0.0.1:0"),
            ("ADMIN_LISTEN", "127.0.0.1:0"),
            ("JOURNAL_DIR", &journal_dir),
            ("KAFKA_BROKERS", &brokers),
            ("KAFKA_TOPIC", topic),
            ("KAFKA_QUARANTINE_TOPIC", &quarantine),
            ("KAFKA_CREATE_TOPICS", "true"),
        ]
        .iter()
        .chain(settings)
        {
            command.env(format!("ICR_BRIDGE_{name}"), value);
        }
        let mut child = command.arg("serve").stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let (ingress, admin) = lines
            .find_map(|line| addresses(&line))
            .expect("the bridge says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let subject = Self {
            pid: child.id(),
            child,
            ingress,
            admin: Some(admin),
            journal: Some(journal),
        };
        while !subject.get("/readyz").starts_with("ready") {
            std::thread::sleep(Duration::from_millis(1));
        }
        (subject, started.elapsed())
    }

    /// Has connections, allocator and producer warmed up; a bridge also beyond its first segment, whose space was never written before.
    pub fn warm(self, body_bytes: usize) -> Self {
        const SEGMENT: usize = 64 << 20;
        let count = if self.is_bridge() {
            SEGMENT * 9 / 8 / body_bytes
        } else {
            5000
        };
        Load::of(body_bytes).closed_loop(self.ingress, 64, count as u64);
        self
    }

    /// CPU seconds that it has used.
    pub fn cpu(&self) -> f64 {
        cpu_seconds(self.pid)
    }

    /// The most memory that it has had resident.
    pub fn peak_mib(&self) -> f64 {
        status_mib(self.pid, "VmHWM:")
    }

    /// Its open files.
    pub fn files(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid));
        files.map_or(0, Iterator::count)
    }

    pub fn journal(&self) -> &Path {
        self.journal.as_ref().expect("a bridge").path()
    }

    fn get(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.admin.expect("a bridge"));
        ureq::get(&url)
            .call()
            .and_then(|mut response| response.body_mut().read_to_string())
            .unwrap_or_default()
    }

    /// The sum of a metric over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics");
        let mine = metrics.lines().filter(|line| {
            let rest = line
                .strip_prefix("icr_bridge_")
                .and_then(|line| line.strip_prefix(name));
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        mine.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    pub fn pending(&self) -> f64 {
        self.metric("journal_pending_deliveries")
    }

    /// Waits until no more than `count` deliveries wait for Kafka.
    pub fn wait_pending(&self, count: f64) {
        while self.pending() > count {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn is_bridge(&self) -> bool {
        self.admin.is_some()
    }

    /// SIGTERM, and its end.
    pub fn terminate(mut self) {
        // SAFETY: a signal to a child that has not been waited for.
        unsafe { libc::kill(self.pid as i32, libc::SIGTERM) };
        self.child.wait().unwrap();
    }

    /// SIGTERM; the journal stays.
    pub fn leave(mut self) -> TempDir {
        // SAFETY: a signal to a child that has not been waited for.
        unsafe { libc::kill(self.pid as i32, libc::SIGTERM) };
        self.child.wait().unwrap();
        self.journal.take().expect("a bridge")
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let address =
        |before: &str, after: &str| line.split_once(before)?.1.split_once(after)?.0.parse().ok();
    Some((
        address("listens on http://", "/webhook")?,
        address("admin on http://", "/metrics")?,
    ))
}

/// User and system time of a process.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // SAFETY: asks for a constant of the system.
    ticks / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
}

/// Resident memory of a process.
pub fn resident_mib(pid: u32) -> f64 {
    status_mib(pid, "VmRSS:")
}

fn status_mib(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.unwrap().split_whitespace().next().unwrap();
    kib.parse::<f64>().unwrap() / 1024.0
}
