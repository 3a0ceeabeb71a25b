//! The watch over secret files: a secret that was changed in its file is in force within seconds, without a restart and without a
//! delivery refused.
//!
//! **Guarantees.**
//! - The secrets in force are always those of a whole file: one that has been unchanged for two seconds when it is read, and that
//!   did not change meanwhile. Only SIGHUP, somebody's word that the file is ready, has it read at once.
//! - Over an empty, missing, unreadable or oversized file the last good secrets stay in force; that is counted and logged once for
//!   each bad state, and so is its end.
//! - Replacing a file's contents, renaming another file over it, and swapping a symbolic link on the way to it (as Kubernetes does)
//!   are all noticed: by asking for its metadata twice a second, which works on every filesystem, where notifications of the
//!   kernel do not.
//!
//! The watch decides nothing about deliveries: it hands new secrets to whom [`Watch::start`] was given, and who else wants to know
//! of a rotation is called from there.

pub mod file;
pub mod rules;

use crate::domain::signature::SecretSet;
use file::{SecretFile, SecretFileError};
use prometheus::IntCounter;
use rules::{News, Rules};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks: often enough to see a slow writer's steps, and half a second is what a rotation may well take longer.
pub const PERIOD: Duration = Duration::from_millis(500);

/// Whose secrets they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// An app's, with which its deliveries are proven.
    App(String),
    /// The admin listener's: its tokens.
    Admin,
}

impl Owner {
    /// The app's name, for the log.
    fn app(&self) -> Option<&str> {
        match self {
            Self::App(name) => Some(name),
            Self::Admin => None,
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::App(name) => write!(f, "app {name}"),
            Self::Admin => f.write_str("admin listener"),
        }
    }
}

/// Somebody's secrets, and where they are read again.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Whose they are.
    pub owner: Owner,
    pub secrets: SecretSet,
    /// Their file; `None` where they came from a variable, and stay until a restart.
    pub file: Option<PathBuf>,
}

/// The watch at work, on a thread of its own: a filesystem may keep whoever asks it waiting. It ends when this is dropped.
pub struct Watch {
    ask: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Begins to watch. `changed` puts new secrets in force; it is called on the watch's own thread. `failures` counts the
    /// states in which a file could not be used.
    pub fn start(
        all: Vec<Watched>,
        failures: IntCounter,
        changed: impl FnMut(&Owner, &SecretSet) + Send + 'static,
    ) -> io::Result<Self> {
        let (ask, asked) = sync_channel(1);
        let rules = all.iter().map(|_| Rules::default()).collect();
        let keeper = Keeper {
            all,
            rules,
            failures,
            changed,
        };
        let thread = std::thread::Builder::new()
            .name("secrets".to_owned())
            .spawn(move || keeper.run(&asked))?;
        Ok(Self { ask, thread })
    }

    /// Whether its thread has ended, for a bug.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Has every file read at once, as SIGHUP asks for. Returns without waiting for it.
    pub fn read_now(&self) {
        // Full: it is asked for already.
        let _ = self.ask.try_send(());
    }
}

struct Keeper<F> {
    all: Vec<Watched>,
    /// One for each.
    rules: Vec<Rules>,
    failures: IntCounter,
    changed: F,
}

impl<F: FnMut(&Owner, &SecretSet)> Keeper<F> {
    fn run(mut self, asked: &Receiver<()>) {
        let any_file = self.all.iter().any(|one| one.file.is_some());
        loop {
            let next = if any_file {
                asked.recv_timeout(PERIOD)
            } else {
                // Nothing to look at, and no reason to wake up.
                asked.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let at_once = match next {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if at_once && !any_file {
                tracing::info!(
                    "there is no secret file to read again; a secret in a variable changes with a restart"
                );
            }
            for index in 0..self.all.len() {
                self.tend(index, at_once);
            }
        }
    }

    /// Reads a file if that is due, and puts its secrets in force if they are others.
    fn tend(&mut self, index: usize, at_once: bool) {
        let (Some(watched), Some(rules)) = (self.all.get_mut(index), self.rules.get_mut(index))
        else {
            return;
        };
        let Some(path) = &watched.file else { return };
        let look = file::look(path);
        if !rules.due(look, Instant::now()) && !at_once {
            return;
        }
        let read = file::read(path);
        let (after, now) = (file::look(path), Instant::now());
        if after != look {
            rules.changing(after, now);
            if at_once {
                tracing::warn!(
                    app = watched.owner.app(),
                    "{}: {} is being written at this moment; it is read once it has been unchanged for {:?}",
                    watched.owner,
                    path.display(),
                    rules::SETTLED
                );
            }
            return;
        }
        let outcome = read.as_ref().map(|read| read.secrets != watched.secrets);
        let outcome = outcome.map_err(|error| *error);
        let news = rules.judge(look, now, outcome);
        if matches!(news, News::Failed(_)) {
            self.failures.inc();
        }
        tell(watched, path, news);
        if news == News::None && at_once {
            tell_unchanged(watched, path, outcome.err());
        }
        if let (News::Changed { .. }, Ok(read)) = (news, read) {
            self.replace(index, read);
        }
    }

    fn replace(&mut self, index: usize, read: SecretFile) {
        let Some(watched) = self.all.get_mut(index) else {
            return;
        };
        (self.changed)(&watched.owner, &read.secrets);
        let before = std::mem::replace(&mut watched.secrets, read.secrets).count();
        let (owner, now) = (watched.owner.clone(), watched.secrets.count());
        let app = owner.app();
        tracing::info!(
            app,
            secrets = now,
            "{owner}: its secrets have changed: {now} in force, {before} before"
        );
        if let Some(doubt) = read.doubt {
            tracing::warn!(app, "{owner}: {doubt}");
        }
        let apps = self.all.iter();
        let sets = apps.filter_map(|one| Some((one.owner.app()?, &one.secrets)));
        for warning in shared(sets).filter(|warning| app.is_some_and(|app| warning.concerns(app))) {
            tracing::warn!(app, "{warning}");
        }
    }
}

/// Logs what is new of a file.
fn tell(watched: &Watched, path: &Path, news: News) {
    let (owner, app, path) = (&watched.owner, watched.owner.app(), path.display());
    match news {
        News::Failed(error) => tracing::error!(
            app,
            "{owner}: {path}: {error}; the last good secrets ({}) stay in force",
            watched.secrets.count()
        ),
        News::Recovered | News::Changed { recovered: true } => {
            tracing::info!(app, "{owner}: {path}: the secret file is good again");
        }
        News::Changed { recovered: false } | News::None => {}
    }
}

/// Logs that nothing is new: for somebody who asked.
fn tell_unchanged(watched: &Watched, path: &Path, trouble: Option<SecretFileError>) {
    let (owner, app, path) = (&watched.owner, watched.owner.app(), path.display());
    let count = watched.secrets.count();
    match trouble {
        Some(error) => tracing::error!(
            app,
            "{owner}: {path}: as before: {error}; the last good secrets ({count}) stay in force"
        ),
        None => tracing::info!(
            app,
            "{owner}: {path}: unchanged, {count} secret(s) in force"
        ),
    }
}

/// Two apps that have a secret in common: what is signed for one is proven at the other's path as well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the apps {first} and {second} have a secret in common: a delivery for one of them is proven at the other's path as well; give each its own at ICR"
)]
pub struct Shared {
    first: String,
    second: String,
}

impl Shared {
    fn concerns(&self, app: &str) -> bool {
        [&self.first, &self.second].contains(&&app.to_owned())
    }
}

/// Every pair of apps (name, secrets) with a secret in common.
pub fn shared<'a>(
    apps: impl Iterator<Item = (&'a str, &'a SecretSet)> + Clone,
) -> impl Iterator<Item = Shared> {
    let pairs = apps.clone().enumerate().flat_map(move |(index, first)| {
        apps.clone()
            .skip(index + 1)
            .map(move |second| (first, second))
    });
    pairs
        .filter(|((_, first), (_, second))| first.shares_with(second))
        .map(|((first, _), (second, _))| Shared {
            first: first.to_owned(),
            second: second.to_owned(),
        })
}
