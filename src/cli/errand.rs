//! Has a verb carried out: by the running bridge over its control socket, or, where none runs, here, with the journal opened under its lock.

use super::print::errln;
use super::{Exit, explain};
use crate::app::publisher_settings;
use crate::config::{self, Judging, Log, Publishing, Variables};
use crate::control::client::{AskError, ask};
use crate::control::protocol::Progress;
use crate::control::work::{Stop, Stopper, Work};
use crate::control::{FailureKind, Services, Verb, address, verbs};
use crate::ingest::Ingest;
use crate::journal::storage::{Disk, Storage};
use crate::journal::{self, Journal, OpenError};
use crate::metrics::Metrics;
use crate::publisher::replay::Replayer;
use crate::publisher::{Publisher, Silent, Sink, StartError};
use crate::rejected;
use crate::shutdown::Signals;
use crate::telemetry;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{self, IsTerminal};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A bridge that starts has the lock before it listens, and one that leaves stops listening before it gives the lock back: both are
/// waited for.
const BETWEEN: Duration = Duration::from_secs(5);

/// Between two looks while a bridge starts or leaves.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often progress is printed where no terminal shows it.
const PRINT_EVERY: Duration = Duration::from_secs(10);

/// How long the last records may take to Kafka when a command that publishes by itself ends.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// What the verb takes where no bridge runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// The publisher beside it, as in the bridge.
    Publish,
    /// The way to Kafka, and no publisher.
    Nothing,
    /// The secrets, and nothing of Kafka.
    Judge,
}

/// The settings for that.
enum Settings {
    Publishing(Box<Publishing>),
    Judging(Box<Judging>),
}

impl Settings {
    fn journal(&self) -> &journal::Options {
        match self {
            Self::Publishing(settings) => &settings.journal,
            Self::Judging(settings) => &settings.journal,
        }
    }
}

/// A command that is carried out there or here.
pub(super) struct Errand {
    /// Its name, for messages.
    pub name: &'static str,
    /// What it takes where no bridge runs.
    pub alone: Alone,
}

/// Who carries it out.
enum Way {
    Bridge(UnixStream),
    Here(Journal, Settings),
}

impl Errand {
    /// Has `verb` carried out; its result, or how the process ends (said already).
    pub(super) fn run<T: DeserializeOwned>(
        &self,
        verb: Verb,
        variables: Variables,
    ) -> Result<T, Exit> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| self.fail(Exit::Io, &error.to_string()))?;
        let way = self.way(variables)?;
        let done = runtime.block_on(async {
            match way {
                Way::Bridge(stream) => self.ask(stream, verb).await,
                Way::Here(journal, settings) => self.work(journal, settings, verb).await,
            }
        });
        if done == Err(Exit::AtOnce) {
            // Dropping the runtime would wait for what a second signal says not to wait for.
            std::mem::forget(runtime);
        }
        serde_json::from_value(done?).map_err(|error| {
            self.fail(Exit::Failed, &format!("the result cannot be read: {error}"))
        })
    }

    /// Whether a bridge answers on the journal's socket.
    pub(super) fn is_there_a_bridge(&self, variables: &Variables) -> bool {
        address::connect(&config::journal_dir(variables.clone())).is_ok()
    }

    fn fail(&self, exit: Exit, why: &str) -> Exit {
        errln!("icr-bridge {}: {why}", self.name);
        exit
    }

    fn way(&self, variables: Variables) -> Result<Way, Exit> {
        let dir = config::journal_dir(variables.clone());
        let nothing = match journal::exists(&dir) {
            Ok(true) => None,
            Ok(false) => Some("there is no journal; set ICR_BRIDGE_JOURNAL_DIR".to_owned()),
            Err(error) => Some(format!("{error}; run it as the bridge's user")),
        };
        if let Some(why) = nothing {
            return Err(self.fail(Exit::Io, &format!("{}: {why}", dir.display())));
        }
        let until = Instant::now() + BETWEEN;
        let mut quiet = false;
        loop {
            match address::connect(&dir) {
                Ok(stream) => return Ok(Way::Bridge(stream)),
                Err(error) if nobody_listens(&error) => {}
                Err(error) => {
                    let why = format!(
                        "{}: {error}; run it as the bridge's user",
                        dir.join(address::NAME).display()
                    );
                    return Err(self.fail(Exit::Io, &why));
                }
            }
            match self.open(&dir, &variables, &mut quiet) {
                Ok((journal, settings)) => return Ok(Way::Here(journal, settings)),
                Err(Obstacle::Locked) if Instant::now() < until => std::thread::sleep(LOOK_EVERY),
                Err(obstacle) => return Err(self.obstacle(&dir, obstacle)),
            }
        }
    }

    fn obstacle(&self, dir: &Path, obstacle: Obstacle) -> Exit {
        match obstacle {
            Obstacle::Locked => self.fail(
                Exit::Locked,
                &format!(
                    "{}: another process holds the journal, and nobody answers on {}; a bridge says at its start why it has no control socket",
                    dir.display(),
                    address::NAME
                ),
            ),
            Obstacle::Open(error) => self.fail(Exit::from(&error), &error.to_string()),
            Obstacle::Config(error) => {
                let what = match self.alone {
                    Alone::Publish | Alone::Nothing => "publish",
                    Alone::Judge => "judge and journal",
                };
                errln!(
                    "icr-bridge {}: no bridge runs on {}, so it would {what} by itself, and needs the bridge's settings for that",
                    self.name,
                    dir.display()
                );
                explain(&error)
            }
        }
    }

    fn open(
        &self,
        dir: &Path,
        variables: &Variables,
        quiet: &mut bool,
    ) -> Result<(Journal, Settings), Obstacle> {
        let read = match self.alone {
            Alone::Publish | Alone::Nothing => Publishing::read(variables.clone())
                .map(|settings| Settings::Publishing(Box::new(settings))),
            Alone::Judge => Judging::read(variables.clone())
                .map(|settings| Settings::Judging(Box::new(settings))),
        };
        let disk: Arc<dyn Storage> = Arc::new(Disk);
        let settings = match read {
            Ok(settings) => settings,
            // Who needs no settings once the bridge answers should not be told to set some.
            Err(_) if journal::is_locked(&disk, dir) => return Err(Obstacle::Locked),
            Err(error) => return Err(Obstacle::Config(error)),
        };
        if !std::mem::replace(quiet, true) {
            telemetry::start(&log_settings(variables));
        }
        let options = settings.journal().clone();
        let opened = Journal::open(disk, options, Arc::new(Warn));
        match opened {
            Ok(journal) => Ok((journal, settings)),
            Err(OpenError::Locked { .. }) => Err(Obstacle::Locked),
            Err(error) => Err(Obstacle::Open(error)),
        }
    }

    /// The bridge does it.
    async fn ask(&self, stream: UnixStream, verb: Verb) -> Result<Value, Exit> {
        let cancel = Notify::new();
        let show = Show::new(self.name);
        let asked = ask(stream, verb, cancel.notified(), |progress| {
            show.show(&progress)
        });
        let answered = tokio::select! {
            answered = asked => answered,
            exit = self.interrupts(|| cancel.notify_one()) => return Err(exit),
        };
        show.end();
        answered.map_err(|error| match error {
            AskError::Failure(failure) if failure.kind == FailureKind::Io => {
                self.fail(Exit::Io, &failure.message)
            }
            AskError::Io(error) => self.fail(Exit::Io, &AskError::Io(error).to_string()),
            AskError::TooLong => self.fail(Exit::Usage, &error.to_string()),
            error => self.fail(Exit::Failed, &error.to_string()),
        })
    }

    /// It is done here.
    async fn work(&self, journal: Journal, settings: Settings, verb: Verb) -> Result<Value, Exit> {
        let (services, publisher) = match settings {
            Settings::Publishing(settings) => self.publish_from(journal, *settings)?,
            Settings::Judging(settings) => (self.judge_for(journal, *settings)?, None),
        };
        let stopper = Stopper::default();
        let show = Arc::new(Show::new(self.name));
        let listener = Arc::clone(&show);
        let mut work = Work::new(
            stopper.clone(),
            Box::new(move |progress| listener.show(&progress)),
        );
        let job = tokio::task::spawn_blocking(move || {
            let done = verbs::perform(verb, &services, &mut work);
            if let Some(publisher) = publisher {
                // It says so itself where it does not come to its end.
                let _ = publisher.stop(LAST_FLUSH);
            }
            if let Some(ingest) = &services.ingest {
                ingest.close();
            }
            services.journal.close();
            done
        });
        let done = tokio::select! {
            done = job => done,
            exit = self.interrupts(|| stopper.stop(Stop::Cancelled)) => return Err(exit),
        };
        show.end();
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failure)) if failure.kind == FailureKind::Io => {
                Err(self.fail(Exit::Io, &failure.message))
            }
            Ok(Err(failure)) => Err(self.fail(Exit::Failed, &failure.message)),
            Err(error) => Err(self.fail(Exit::Failed, &error.to_string())),
        }
    }

    fn publish_from(
        &self,
        journal: Journal,
        settings: Publishing,
    ) -> Result<(Services, Option<Publisher>), Exit> {
        let settings = publisher_settings(settings.apps, settings.record, settings.kafka);
        let failed = |error: StartError| self.fail(Exit::Failed, &error.to_string());
        let publishes = self.alone == Alone::Publish;
        let sink: Arc<dyn Sink> = Arc::new(Silent);
        let replayer = Replayer::new(
            journal.clone(),
            settings.clone(),
            Arc::clone(&sink),
            publishes,
        );
        let services = Services {
            journal: journal.clone(),
            replayer: Some(replayer.map_err(failed)?),
            ingest: None,
        };
        let publisher = match publishes {
            true => Some(Publisher::start(journal, settings, sink).map_err(failed)?),
            false => None,
        };
        Ok((services, publisher))
    }

    fn judge_for(&self, journal: Journal, settings: Judging) -> Result<Services, Exit> {
        let failed = |error: &dyn std::error::Error| self.fail(Exit::Failed, &error.to_string());
        let apps = settings.apps.iter().map(|app| app.name.as_str());
        // Nobody scrapes them.
        let metrics = Arc::new(Metrics::new(apps, "none").map_err(|error| failed(&error))?);
        let ring = rejected::beside(
            &journal,
            &settings.journal,
            settings.rejected_ring_bytes,
            metrics.ring.clone(),
        );
        let ring = ring.map_err(|error| failed(&error))?;
        let ingest = Ingest::new(
            journal.clone(),
            &settings.apps,
            settings.duplicate_window,
            metrics,
        );
        let ingest = ingest.map_err(|error| failed(&error))?.with_ring(ring);
        Ok(Services {
            journal,
            replayer: None,
            ingest: Some(Arc::new(ingest)),
        })
    }

    /// Cancels at the first signal; comes true at the second.
    async fn interrupts(&self, cancel: impl Fn()) -> Exit {
        let Ok(mut signals) = Signals::new() else {
            // Then a signal ends the process as ever.
            return std::future::pending().await;
        };
        signals.leave(|| {}).await;
        errln!("cancelling; a second signal leaves at once");
        cancel();
        signals.leave(|| {}).await;
        Exit::AtOnce
    }
}

/// Why it cannot be done here.
enum Obstacle {
    Locked,
    Config(config::ConfigError),
    Open(OpenError),
}

fn nobody_listens(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, InvalidFilename, NotFound, WouldBlock};
    matches!(
        error.kind(),
        ConnectionRefused | InvalidFilename | NotFound | WouldBlock
    )
}

/// Warnings alone, unless the operator wants more: the command speaks for itself.
fn log_settings(variables: &Variables) -> Log {
    let set = variables
        .iter()
        .any(|(name, value)| name == "ICR_BRIDGE_LOG" && !value.is_empty());
    let mut log = config::log_settings(variables.clone());
    if !set {
        log.directives = "warn".to_owned();
    }
    log
}

/// The journal's warnings go to the log.
struct Warn;

impl journal::Observer for Warn {
    fn warning(&self, message: &str) {
        tracing::warn!("{message}");
    }
}

/// Shows progress on standard error: a bar on a terminal, else a line once in a while.
struct Show {
    name: &'static str,
    bar: Option<indicatif::ProgressBar>,
    printed: parking_lot::Mutex<(Instant, Option<String>)>,
}

impl Show {
    fn new(name: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = indicatif::ProgressStyle::with_template(
                "{prefix} {wide_bar} {human_pos}/{human_len} {eta} {msg}",
            );
            let bar = indicatif::ProgressBar::no_length().with_prefix(name);
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self {
            name,
            bar,
            printed: parking_lot::Mutex::new((Instant::now(), None)),
        }
    }

    fn show(&self, progress: &Progress) {
        let note = progress.note.as_deref().unwrap_or_default();
        if let Some(bar) = &self.bar {
            if let Some(total) = progress.total {
                bar.set_length(total);
            }
            bar.set_position(progress.done);
            bar.set_message(note.to_owned());
            return;
        }
        let mut printed = self.printed.lock();
        if printed.0.elapsed() < PRINT_EVERY && printed.1 == progress.note {
            return;
        }
        *printed = (Instant::now(), progress.note.clone());
        let of = progress
            .total
            .map_or("so far".to_owned(), |total| format!("of {total}"));
        errln!("{}: {} {of}  {note}", self.name, progress.done);
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
