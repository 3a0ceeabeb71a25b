//! The real binary as a process of its own: for signals, kill -9 and exit codes.

use super::app::SECRET;
use super::eventually::eventually;
use super::http;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

/// The binary with a clean environment: nothing of the tests' own leaks in.
pub fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_icr-bridge"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    settings.iter().for_each(|(name, value)| {
        command.env(format!("ICR_BRIDGE_{name}"), value);
    });
    command
}

/// Runs a command to its end.
pub fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    command(arguments, settings).output().unwrap()
}

/// A bridge that ended before it listened.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub log: Vec<String>,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "the bridge ended with {}: {:#?}",
            self.status, self.log
        )
    }
}

/// `serve`, with `settings` on top of a default secret and free ports.
pub fn serve(
    journal: &Path,
    settings: &[(&str, &str)],
    command: impl Fn(&[&str], &[(&str, &str)]) -> Command,
) -> Command {
    let mut all = vec![
        ("WEBHOOK_SECRET", SECRET),
        ("LISTEN", "127.0.0.1:0"),
        ("ADMIN_LISTEN", "127.0.0.1:0"),
        ("JOURNAL_SEGMENT_BYTES", "4MiB"),
        ("JOURNAL_LOW_WATER_BYTES", "1MiB"),
        ("JOURNAL_DIR", journal.to_str().unwrap()),
    ];
    let names_secret = settings.iter().any(|(name, _)| name.contains("SECRET"));
    all.retain(|(name, _)| {
        let replaced = settings.iter().any(|(other, _)| other == name);
        !(replaced || names_secret && *name == "WEBHOOK_SECRET")
    });
    all.extend_from_slice(settings);
    command(&["serve"], &all)
}

/// A serving bridge; killed when dropped.
pub struct Serving {
    child: Child,
    pub ingress: SocketAddr,
    pub admin: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Serving {
    /// Starts `serve` and waits until it listens. `settings` come on top of a default secret and free ports.
    pub fn start(journal: &Path, settings: &[(&str, &str)]) -> Self {
        Self::try_start(journal, settings, &[]).unwrap_or_else(|ended| panic!("{ended}"))
    }

    /// The same with further variables, as they stand, for a bridge that may end before it listens.
    pub fn try_start(
        journal: &Path,
        settings: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Result<Self, Ended> {
        let mut command = serve(journal, settings, command);
        command.envs(environment.iter().copied());
        Self::of(command)
    }

    /// Runs a command that becomes `serve`, and waits until it listens.
    pub fn of(mut command: Command) -> Result<Self, Ended> {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                lines
                    .map_while(Result::ok)
                    .for_each(|line| log.lock().unwrap().push(line))
            }
        });
        let started = eventually("the bridge says where it listens", || {
            let said = log.lock().unwrap().iter().find_map(|line| addresses(line));
            match said {
                Some(addresses) => Some(Ok(addresses)),
                None => child.try_wait().unwrap().map(Err),
            }
        });
        match started {
            Ok((ingress, admin)) => Ok(Self {
                child,
                ingress,
                admin,
                log,
            }),
            Err(status) => {
                // Its last words may still be in the pipe.
                reader.join().unwrap();
                let log = log.lock().unwrap().clone();
                Err(Ended { status, log })
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time that it has used, in seconds; its own metric counts whole ones.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // User and system time, the 14th and 15th field; the second one, in brackets, may hold anything.
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks: f64 = fields
            .skip(11)
            .take(2)
            .map(|it| it.parse::<f64>().unwrap())
            .sum();
        // SAFETY: asks for a constant of the system.
        ticks / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn metrics(&self) -> super::metrics::Scrape {
        super::metrics::Scrape::of(self.admin)
    }

    pub fn is_ready(&self) -> bool {
        http::get(self.admin, "/readyz").status == 200
    }

    /// User and system time that it has used, in seconds (Linux).
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
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

    /// How many files it has open (Linux).
    pub fn files(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid()));
        files.map_or(0, Iterator::count)
    }

    /// An amount of memory from its status, such as `VmHWM:`, in MiB (Linux).
    pub fn status_mib(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.unwrap().split_whitespace().next().unwrap();
        kib.parse::<f64>().unwrap() / 1024.0
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Waits for its end.
    pub fn wait(mut self) -> ExitStatus {
        eventually("the bridge ends", || self.child.try_wait().unwrap())
    }

    /// SIGTERM, and its end.
    pub fn terminate(self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.wait()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads both addresses from the line that says where the bridge listens.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line = line.replacen("listens on https://", "listens on http://", 1);
    let address =
        |before: &str, after: &str| line.split_once(before)?.1.split_once(after)?.0.parse().ok();
    Some((
        address("listens on http://", "/webhook")?,
        address("admin on http://", "/metrics")?,
    ))
}
