//! The watch over certificate and key: a renewed pair is in force within seconds, without a restart and without a connection lost.

use super::{Identity, Tls, TlsError};
use crate::secrets::PERIOD;
use crate::secrets::file::Look;
use crate::secrets::rules::{self, News, Rules};
use prometheus::IntCounter;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// The watch at work, on a thread of its own. It ends when this is dropped.
pub struct Watch {
    ask: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Begins to watch the files of `identity`, which is in force. `failures` counts the states in which they could not be used;
    /// `changed` is told of each identity that has been put in force.
    pub fn start(
        tls: Tls,
        identity: Identity,
        failures: IntCounter,
        changed: impl FnMut(&Identity) + Send + 'static,
    ) -> io::Result<Self> {
        let (ask, asked) = sync_channel(1);
        let keeper = Keeper {
            tls,
            identity,
            rules: Rules::default(),
            failures,
            changed,
        };
        let thread = std::thread::Builder::new()
            .name("tls".to_owned())
            .spawn(move || keeper.run(&asked))?;
        Ok(Self { ask, thread })
    }

    /// Whether its thread has ended, for a bug.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Has both files read at once, as SIGHUP asks for. Returns without waiting for it.
    pub fn read_now(&self) {
        // Full: it is asked for already.
        let _ = self.ask.try_send(());
    }
}

struct Keeper<F> {
    tls: Tls,
    identity: Identity,
    rules: Rules<(Look, Look), TlsError>,
    failures: IntCounter,
    changed: F,
}

impl<F: FnMut(&Identity)> Keeper<F> {
    fn run(mut self, asked: &Receiver<()>) {
        loop {
            match asked.recv_timeout(PERIOD) {
                Ok(()) => self.tend(true),
                Err(RecvTimeoutError::Timeout) => self.tend(false),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Reads the files if that is due, and puts them in force if they are others.
    fn tend(&mut self, at_once: bool) {
        let look = self.identity.files.look();
        if !self.rules.due(look, Instant::now()) && !at_once {
            return;
        }
        let read = self.identity.files.read();
        let (after, now) = (self.identity.files.look(), Instant::now());
        if after != look {
            self.rules.changing(after, now);
            if at_once {
                tracing::warn!(
                    "TLS: certificate or key is being written at this moment; they are read once they have been unchanged for {:?}",
                    rules::SETTLED
                );
            }
            return;
        }
        let read = read.and_then(|read| self.judge(read));
        let outcome = match &read {
            Ok(read) => Ok(!read.same(&self.identity)),
            Err(error) => Err(*error),
        };
        let news = self.rules.judge(look, now, outcome);
        match (news, read) {
            (News::Failed(error), _) => {
                self.failures.inc();
                tracing::error!(
                    "TLS: {}: {error}; the last good certificate stays in force",
                    self.identity.files
                );
            }
            (News::Changed { .. }, Ok(read)) => self.replace(read),
            (News::Recovered, _) => tracing::info!("TLS: certificate and key are good again"),
            (News::None, Err(error)) if at_once => {
                tracing::error!(
                    "TLS: {}: as before: {error}; the last good certificate stays in force",
                    self.identity.files
                )
            }
            (News::None, Ok(_)) if at_once => tracing::info!("TLS: the certificate is unchanged"),
            (News::None | News::Changed { .. }, _) => {}
        }
    }

    /// A certificate that has expired is no renewal.
    fn judge(&self, read: Identity) -> Result<Identity, TlsError> {
        if read.expired() && !read.same(&self.identity) {
            Err(TlsError::Expired)
        } else {
            Ok(read)
        }
    }

    fn replace(&mut self, read: Identity) {
        self.tls.replace(&read);
        (self.changed)(&read);
        self.identity = read;
        tracing::info!(
            "TLS: a new certificate is in force; connections that are open keep the one they began with"
        );
        if let Some(doubt) = self.identity.doubt() {
            tracing::warn!("TLS: {doubt}");
        }
    }
}
