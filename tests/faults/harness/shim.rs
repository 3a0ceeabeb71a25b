//! The rules of `tests/faults/shim.c`: what is to go wrong in a bridge that runs.
//!
//! ```text
//! let rule = shim.arm(Rule::on(Call::Sync, "*.log").by("journal-writer").after(20).once().kills_after());
//! shim.hits(&rule)
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Bytes before the rules, and of a rule: `struct control` and `struct rule` of the shim.
const HEAD: u64 = 16;
const RULE: usize = 264;
const RULES: u64 = 16;

/// A kind of system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Call {
    Open = 1,
    Read = 2,
    /// To a file; [`Call::Send`] is to a socket.
    Write = 3,
    /// `fdatasync`, `fsync`.
    Sync = 4,
    /// `fallocate`.
    Reserve = 5,
    Truncate = 6,
    /// Matched by the new name.
    Rename = 7,
    Unlink = 8,
    /// Matched by `address:port`.
    Connect = 9,
    Send = 10,
    /// `futimens`.
    Times = 11,
    /// `flock`.
    Lock = 12,
    /// All of these.
    Any = 255,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Action {
    Fail = 1,
    Delay = 2,
    KillBefore = 3,
    KillAfter = 4,
    TearAndKill = 5,
    FailAfter = 6,
    TearAndFail = 7,
    Lie = 8,
    Lead = 9,
}

/// Which calls, and what happens to them.
#[derive(Debug, Clone)]
pub struct Rule {
    call: Call,
    path: String,
    thread: String,
    skip: u64,
    times: u64,
    action: Action,
    value: i32,
}

/// Calls without what happens to them yet.
#[derive(Debug, Clone)]
pub struct Aim {
    call: Call,
    path: String,
    thread: String,
    skip: u64,
    times: u64,
}

impl Rule {
    /// Calls about files that the pattern matches (`*` crosses `/`).
    pub fn on(call: Call, path: &str) -> Aim {
        Aim {
            call,
            path: path.to_owned(),
            thread: "*".to_owned(),
            skip: 0,
            times: 0,
        }
    }
}

impl Aim {
    /// Of threads with such a name: `journal-writer`, `journal-keeper`, `publisher` …
    pub fn by(mut self, thread: &str) -> Self {
        self.thread = thread.to_owned();
        self
    }

    /// Lets so many pass first.
    pub fn after(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Only the first that is hit.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Only so many.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// The call is not made, and fails with this errno.
    pub fn fails(self, errno: i32) -> Rule {
        self.with(Action::Fail, errno)
    }

    /// The call is made, and fails all the same.
    pub fn fails_after(self, errno: i32) -> Rule {
        self.with(Action::FailAfter, errno)
    }

    /// Half of a write is made, and it fails.
    pub fn tears_and_fails(self, errno: i32) -> Rule {
        self.with(Action::TearAndFail, errno)
    }

    /// A sync is not made, and said to be done.
    pub fn lies(self) -> Rule {
        self.with(Action::Lie, 0)
    }

    /// The call takes so much longer.
    pub fn delays(self, millis: i32) -> Rule {
        self.with(Action::Delay, millis)
    }

    /// A connection is made to this port instead.
    pub fn leads_to(self, port: u16) -> Rule {
        self.with(Action::Lead, port.into())
    }

    /// The process is killed instead of the call.
    pub fn kills_before(self) -> Rule {
        self.with(Action::KillBefore, 0)
    }

    /// The process is killed when the call has been made.
    pub fn kills_after(self) -> Rule {
        self.with(Action::KillAfter, 0)
    }

    /// Half of a write is made, and the process is killed.
    pub fn tears_and_kills(self) -> Rule {
        self.with(Action::TearAndKill, 0)
    }

    fn with(self, action: Action, value: i32) -> Rule {
        let Self {
            call,
            path,
            thread,
            skip,
            times,
        } = self;
        Rule {
            call,
            path,
            thread,
            skip,
            times,
            action,
            value,
        }
    }
}

/// A rule in force.
#[derive(Debug)]
pub struct Armed(u64);

/// The shim, and the control file of one bridge.
pub struct Shim {
    library: PathBuf,
    path: PathBuf,
    control: File,
}

impl Shim {
    /// Compiles the shim where that has not been done, and makes a control file without rules in `folder`.
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("control");
        let mut options = File::options();
        let control = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        control.set_len(HEAD + RULES * RULE as u64).unwrap();
        Self {
            library: LIBRARY.clone(),
            path,
            control,
        }
    }

    /// The variables with which a process loads it.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAULT_CONTROL", self.path.display().to_string()),
        ]
    }

    /// Puts a rule in force, at once.
    pub fn arm(&self, rule: Rule) -> Armed {
        let free = (0..RULES).find(|slot| self.number(*slot, 0, 4) == 0);
        let slot = free.expect("at most 16 rules at a time");
        let mut bytes = vec![0; RULE];
        bytes[4..8].copy_from_slice(&(rule.call as u32).to_ne_bytes());
        bytes[8..12].copy_from_slice(&(rule.action as u32).to_ne_bytes());
        bytes[12..16].copy_from_slice(&rule.value.to_ne_bytes());
        bytes[16..24].copy_from_slice(&rule.skip.to_ne_bytes());
        bytes[24..32].copy_from_slice(&rule.times.to_ne_bytes());
        assert!(rule.path.len() < 184 && rule.thread.len() < 32, "{rule:?}");
        bytes[48..48 + rule.path.len()].copy_from_slice(rule.path.as_bytes());
        bytes[232..232 + rule.thread.len()].copy_from_slice(rule.thread.as_bytes());
        self.write(slot, 0, &bytes);
        self.write(slot, 0, &1u32.to_ne_bytes());
        Armed(slot)
    }

    /// How often it struck.
    pub fn hits(&self, rule: &Armed) -> u64 {
        self.number(rule.0, 40, 8)
    }

    /// How many calls it was about, struck or not.
    pub fn seen(&self, rule: &Armed) -> u64 {
        self.number(rule.0, 32, 8)
    }

    /// Takes a rule out of force; how often it struck.
    pub fn lift(&self, rule: Armed) -> u64 {
        self.write(rule.0, 0, &0u32.to_ne_bytes());
        self.hits(&rule)
    }

    /// Shifts the bridge's wall clock to so many seconds from the true time.
    pub fn shift_clock(&self, seconds: i64) {
        let nanos = seconds * 1_000_000_000;
        self.control.write_all_at(&nanos.to_ne_bytes(), 0).unwrap();
    }

    fn number(&self, slot: u64, at: u64, length: usize) -> u64 {
        let mut bytes = [0; 8];
        let place = HEAD + slot * RULE as u64 + at;
        self.control
            .read_exact_at(&mut bytes[..length], place)
            .unwrap();
        u64::from_ne_bytes(bytes)
    }

    fn write(&self, slot: u64, at: u64, bytes: &[u8]) {
        let place = HEAD + slot * RULE as u64 + at;
        self.control.write_all_at(bytes, place).unwrap();
    }
}

/// The compiled shim: one compilation for all faults that begin at once.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(library);

/// Compiles the shim where its source is younger.
fn library() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults-shim.so");
    let made = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    if made(&library) >= made(&source) && library.exists() {
        return library;
    }
    // Under another name first: a process that runs may have the old one loaded.
    let fresh = library.with_extension(format!("{}.so", std::process::id()));
    let compiled = Command::new("cc")
        .args(["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror"])
        .args(["-shared", "-fPIC", "-pthread", "-o"])
        .arg(&fresh)
        .arg(&source)
        .output()
        .expect("cc");
    assert!(
        compiled.status.success(),
        "the shim does not compile: {}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    std::fs::rename(&fresh, &library).unwrap();
    library
}
