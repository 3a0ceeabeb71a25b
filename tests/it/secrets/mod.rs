//! Secrets in files: a rotation under load, files that are not what they should be, and a start that fails closed.
//!
//! Rights are not tried out by taking them away: tests may run as root, who reads whatever it likes. A folder in the file's place and
//! a link that leads nowhere fail for everybody, at the same two calls.

mod file;
mod rotation;
mod start;
mod trouble;

use crate::support::eventually::within;
use crate::support::http;
use crate::support::process::Serving;
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::simulator::{Request, Simulator};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// "Within seconds": two of them must pass anyway, and a machine that builds at the same time is slow.
const SECONDS: Duration = Duration::from_secs(15);

const FAILURES: &str = "secret_reload_failures_total";

/// A bridge whose secrets are in files, and those files.
struct Rig {
    dir: TempDir,
    bridge: Option<Serving>,
    next: AtomicU64,
}

impl Rig {
    /// A folder without a bridge yet.
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            bridge: None,
            next: AtomicU64::new(0),
        }
    }

    /// The default app alone, with its secrets in the file `secret`.
    fn with_secrets(contents: &str) -> Self {
        let mut rig = Self::new();
        std::fs::write(rig.path("secret"), contents).unwrap();
        rig.serve();
        rig
    }

    fn serve(&mut self) {
        let file = self.path("secret");
        self.serve_with(&[("WEBHOOK_SECRET_FILE", file.to_str().unwrap())]);
    }

    fn serve_with(&mut self, settings: &[(&str, &str)]) {
        let mut all = vec![("KAFKA_BROKERS", "127.0.0.1:1"), ("LOG", "trace")];
        all.extend_from_slice(settings);
        self.bridge = Some(Serving::start(&self.path("journal"), &all));
    }

    fn bridge(&self) -> &Serving {
        self.bridge.as_ref().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A delivery that nobody has sent before.
    fn delivery(&self, secret: &str) -> Request {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Simulator::new(SecretSet::single(secret.as_bytes()).unwrap(), 3, 1)
            .delivery(EventKind::WarehouseTransaction, number)
    }

    /// The answer to a fresh delivery at `path`, signed with `secret`.
    fn status_at(&self, path: &str, secret: &str) -> u16 {
        let request = self.delivery(secret);
        http::post(
            self.bridge().ingress,
            path,
            &[("x-icr-signature-256", &request.signature)],
            &request.body,
        )
        .status
    }

    fn status(&self, secret: &str) -> u16 {
        self.status_at("/webhook", secret)
    }

    fn until_accepted(&self, secret: &str) {
        within(SECONDS, "the secret is in force", || {
            (self.status(secret) == 202).then_some(())
        });
    }

    fn until_refused(&self, secret: &str) {
        within(SECONDS, "the secret is not in force any more", || {
            (self.status(secret) == 403).then_some(())
        });
    }

    fn until_failures(&self, count: f64) {
        within(SECONDS, "the failure is counted", || {
            (self.bridge().metrics().value(FAILURES) >= count).then_some(())
        });
        assert_eq!(self.bridge().metrics().value(FAILURES), count);
    }

    fn until_logged(&self, words: &str) {
        within(SECONDS, words, || (self.lines(words) > 0).then_some(()));
    }

    /// So many lines with these words, and no more: a line is written a moment after what it tells.
    fn assert_logged(&self, words: &str, times: usize) {
        within(SECONDS, words, || {
            (self.lines(words) >= times).then_some(())
        });
        assert_eq!(self.lines(words), times, "{words}");
    }

    /// How many log lines contain these words.
    fn lines(&self, words: &str) -> usize {
        let log = self.bridge().log();
        log.iter().filter(|line| line.contains(words)).count()
    }

    fn assert_not_logged(&self, secrets: &[&str]) {
        let log = self.bridge().log().join("\n");
        for secret in secrets {
            assert!(!log.contains(secret), "{secret} is logged");
        }
    }

    /// Signs deliveries with `secret` and sends them, one after the other, while `during` runs; none may be refused, and at
    /// least one must have been sent.
    fn under_load<T>(&self, secrets: &[&str], during: impl FnOnce() -> T) -> T {
        let stop = AtomicBool::new(false);
        let refused = Mutex::new(Vec::new());
        let sent = AtomicU64::new(0);
        let result = std::thread::scope(|scope| {
            for secret in secrets {
                let (stop, refused, sent) = (&stop, &refused, &sent);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let status = self.status(secret);
                        sent.fetch_add(1, Ordering::Relaxed);
                        if status != 202 {
                            refused.lock().unwrap().push(((*secret).to_owned(), status));
                        }
                        std::thread::sleep(Duration::from_millis(2));
                    }
                });
            }
            // Ends the load whatever happens, else the scope never ends.
            let _stop = Stop(&stop);
            during()
        });
        let refused = refused.into_inner().unwrap();
        assert!(refused.is_empty(), "{} refused: {refused:?}", refused.len());
        assert!(sent.into_inner() > 0);
        result
    }
}

/// Raises the flag when dropped, also in a panic.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs cases beside each other: most of their time they wait for a file to settle.
fn at_once(cases: &[&(dyn Fn() + Sync)]) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(case);
        }
    });
}

fn make_pipe(path: &Path) {
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: a path that ends in NUL, and lives until the call is over.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

/// Writes beside and renames over: never there in part.
fn rename_over(path: &Path, contents: &str) {
    let beside = path.with_extension("next");
    std::fs::write(&beside, contents).unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// A volume as Kubernetes mounts secrets: `secret` → `..data/secret`, `..data` → a folder of its own for each version.
struct Volume {
    dir: PathBuf,
    version: u32,
}

impl Volume {
    fn new(dir: &Path, contents: &str) -> Self {
        std::fs::create_dir(dir).unwrap();
        let mut volume = Self {
            dir: dir.to_owned(),
            version: 0,
        };
        volume.swap(contents);
        std::os::unix::fs::symlink("..data/secret", volume.file()).unwrap();
        volume
    }

    fn file(&self) -> PathBuf {
        self.dir.join("secret")
    }

    /// What the kubelet does: a new folder, a new link, renamed over the old one, the old folder removed.
    fn swap(&mut self, contents: &str) {
        let name = |version| format!("..2026_01_01_{version}");
        self.version += 1;
        let folder = self.dir.join(name(self.version));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("secret"), contents).unwrap();
        std::os::unix::fs::symlink(name(self.version), self.dir.join("..data_tmp")).unwrap();
        std::fs::rename(self.dir.join("..data_tmp"), self.dir.join("..data")).unwrap();
        if self.version > 1 {
            std::fs::remove_dir_all(self.dir.join(name(self.version - 1))).unwrap();
        }
    }
}
