//! The machine, as far as figures depend on it (Linux).

use serde::Serialize;
use std::fmt;
use std::fs;

#[derive(Serialize)]
pub struct Machine {
    cpu: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
    filesystem: String,
    build: &'static str,
}

impl Machine {
    pub fn here() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split(':').nth(1))
                .map_or("unknown".to_owned(), |value| value.trim().to_owned())
        };
        let memory = field("/proc/meminfo", "MemTotal");
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory
                .split(' ')
                .next()
                .and_then(|kib| kib.parse::<u64>().ok())
                .unwrap_or_default()
                / 1024,
            kernel: kernel.trim().to_owned(),
            filesystem: filesystem_of(&std::env::temp_dir()),
            build: icr_bridge::version::LONG,
        }
    }
}

/// The kind of the filesystem that journals are put on here.
fn filesystem_of(path: &std::path::Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let here = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (at, kind) = (fields.next()?, fields.next()?);
        path.starts_with(at).then_some((at.len(), kind))
    });
    here.max()
        .map_or("unknown".to_owned(), |(_, kind)| kind.to_owned())
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cores of {}, {} MiB, Linux {}, {}; icr-bridge {}",
            self.cores,
            self.cpu,
            self.memory_mib,
            self.kernel,
            self.filesystem,
            self.build.replace('\n', ", ")
        )
    }
}
