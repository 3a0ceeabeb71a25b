//! What is measured, as a process of its own; its CPU time and memory as the kernel counts them (Linux).

use super::load::SECRET;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server under load.
pub struct Subject {
    child: Child,
    pub pid: u32,
    pub ingress: SocketAddr,
    pub admin: Option<SocketAddr>,
    journal: Option<TempDir>,
}

impl Subject {
    /// A bare actix handler that verifies and answers 202.
    pub fn verify_only() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("verify-only-server")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
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
        Self::bridge_on(tempfile::tempdir().unwrap(), topic).0
    }

    /// The bridge on a given journal, and the time from exec until it was ready.
    pub fn bridge_on(journal: TempDir, topic: Option<&str>) -> (Self, Duration) {
        let started = Instant::now();
        let brokers = topic.map_or_else(
            || "127.0.0.1:1".to_owned(),
            |_| std::env::var("KAFKA_BOOTSTRAP").expect("KAFKA_BOOTSTRAP"),
        );
        let topic = topic.unwrap_or("bench");
        let mut child = Command::new(env!("CARGO_BIN_EXE_icr-bridge"))
            .arg("serve")
            .env_clear()
            .env("ICR_BRIDGE_WEBHOOK_SECRET", SECRET)
            .env("ICR_BRIDGE_LISTEN", "127.0.0.1:0")
            .env("ICR_BRIDGE_ADMIN_LISTEN", "127.0.0.1:0")
            .env("ICR_BRIDGE_JOURNAL_DIR", journal.path())
            .env("ICR_BRIDGE_KAFKA_BROKERS", brokers)
            .env("ICR_BRIDGE_KAFKA_TOPIC", topic)
            .env(
                "ICR_BRIDGE_KAFKA_QUARANTINE_TOPIC",
                format!("{topic}.quarantine"),
            )
            .env("ICR_BRIDGE_KAFKA_CREATE_TOPICS", "true")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
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

    fn get(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.admin.expect("a bridge"));
        ureq::get(&url)
            .call()
            .and_then(|mut response| response.body_mut().read_to_string())
            .unwrap_or_default()
    }

    /// Whether the journal has nothing pending, and this process published at least `count`.
    pub fn has_published(&self, count: u64) -> bool {
        let metrics = self.get("/metrics");
        let sum = |name: &str| -> u64 {
            let mine = metrics.lines().filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            });
            mine.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
                .sum()
        };
        sum("icr_bridge_records_published_total") >= count
            && sum("icr_bridge_journal_pending_deliveries") == 0
    }

    /// Waits until everything is acknowledged.
    pub fn wait_published(&self, count: u64) {
        while !self.has_published(count) {
            std::thread::sleep(Duration::from_millis(20));
        }
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
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .next()
        .unwrap()
        .parse::<f64>()
        .unwrap()
        / 1024.0
}
