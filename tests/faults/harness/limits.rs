//! Limits of the system that a bridge is started under: open files, and the memory of a container.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// A control group with a limit of memory, as a container has; gone with this.
pub struct Container {
    folder: PathBuf,
    peak: &'static str,
    failures: &'static str,
}

impl Container {
    /// Of so many bytes.
    ///
    /// # Errors
    /// Why this machine has none to offer.
    pub fn new(bytes: u64) -> Result<Self, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("icr-bridge-{}-{number}", std::process::id());
        let (root, limit, peak, failures) =
            if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
                (
                    "/sys/fs/cgroup",
                    "memory.max",
                    "memory.peak",
                    "memory.events",
                )
            } else {
                (
                    "/sys/fs/cgroup/memory",
                    "memory.limit_in_bytes",
                    "memory.max_usage_in_bytes",
                    "memory.failcnt",
                )
            };
        let folder = Path::new(root).join(name);
        let made = fs::create_dir(&folder).and_then(|()| {
            fs::write(folder.join(limit), bytes.to_string())?;
            fs::metadata(folder.join("cgroup.procs"))
        });
        let container = Self {
            folder,
            peak,
            failures,
        };
        match made {
            Ok(_) => Ok(container),
            Err(error) => Err(format!("no control group with a limit of memory: {error}")),
        }
    }

    /// Has a command run in it.
    pub fn around(&self, command: &mut Command) {
        let mut members = File::options()
            .write(true)
            .open(self.folder.join("cgroup.procs"))
            .unwrap();
        // SAFETY: writes two bytes to a file that is open; between fork and exec that is allowed.
        unsafe { command.pre_exec(move || members.write_all(b"0\n")) };
    }

    /// The most bytes that it has had, the system's buffers for its sockets and files included.
    pub fn peak(&self) -> Option<u64> {
        let peak = fs::read_to_string(self.folder.join(self.peak)).ok()?;
        peak.trim().parse().ok()
    }

    /// What the system tells of its limit being reached.
    pub fn failures(&self) -> String {
        let told = fs::read_to_string(self.folder.join(self.failures)).unwrap_or_default();
        told.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Has a command start with so many open files allowed, and no more to be had.
pub fn files(command: &mut Command, files: u64) {
    // SAFETY: one system call; between fork and exec that is allowed.
    unsafe { command.pre_exec(move || rlimit::Resource::NOFILE.set(files, files)) };
}
