//! The bridge's side: listens, has verbs carried out on threads of their own, and never waits for a client for long.

use super::address;
use super::protocol::{Answer, Failure, FailureKind, MAX_REQUEST, Progress, Request, line};
use super::verbs::{Services, perform};
use crate::work::{Stop, Stopper, Work};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// Connections at a time: operators and their scripts are few.
const CONNECTIONS: usize = 16;

/// In which a client must have sent its request, and must take what is written to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long verbs may take to end when the bridge leaves.
const LEAVE_IN: Duration = Duration::from_secs(3);

/// After a failure to accept, so that one that lasts (no descriptors left) does not spin.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// The socket at work.
pub struct Server {
    dir: PathBuf,
    /// Which socket is ours.
    bound: Option<(u64, u64)>,
    leaving: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens in the journal's folder `dir`; must be called while its lock is held, within a tokio runtime.
    ///
    /// # Errors
    /// The system's, where the socket cannot be bound: no reason not to serve.
    pub fn start(dir: &Path, services: Services) -> io::Result<Self> {
        let listener = UnixListener::from_std(address::bind(dir)?)?;
        let (leaving, left) = watch::channel(false);
        let task = tokio::spawn(listen(listener, Arc::new(services), left));
        Ok(Self {
            dir: dir.to_owned(),
            bound: address::mark(dir),
            leaving,
            task,
        })
    }

    /// Tells verbs under way to end, and takes no more; does not wait.
    pub fn leave(&self) {
        self.leaving.send_replace(true);
    }

    /// Waits until verbs have ended and answered, not for long, and removes the socket. The journal must still be open.
    pub async fn stop(self) {
        self.leave();
        let mut task = self.task;
        if timeout(LEAVE_IN, &mut task).await.is_err() {
            task.abort();
        }
        address::remove(&self.dir, self.bound);
    }
}

async fn listen(listener: UnixListener, services: Arc<Services>, mut left: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = told_to_leave(&mut left) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS => {
                    connections.spawn(serve(stream, Arc::clone(&services), left.clone()));
                }
                Ok((stream, _)) => {
                    let full = Failure::new(FailureKind::Busy, "too many are connected to the control socket");
                    // As much as fits into the socket's buffer, and that is all of it.
                    let _ = stream.try_write(&line(&Answer::Failure(full)));
                }
                Err(error) => {
                    tracing::warn!("the control socket cannot accept: {error}");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection, from its request to the last line.
async fn serve(stream: UnixStream, services: Arc<Services>, left: watch::Receiver<bool>) {
    let (mut read, mut write) = stream.into_split();
    let last = match request(&mut read).await {
        None => return,
        Some(Err(failure)) => Answer::Failure(failure),
        Some(Ok(bytes)) => match Request::parse(&bytes) {
            Err(failure) => Answer::Failure(failure),
            Ok(verb) => {
                let (speak, heard) = watch::channel(Progress::default());
                let stopper = Stopper::default();
                let listener = Box::new(move |progress| {
                    speak.send_replace(progress);
                });
                let mut work = Work::new(stopper.clone(), listener);
                let job = tokio::task::spawn_blocking(move || perform(verb, &services, &mut work));
                match attend(job, heard, stopper, left, (&mut read, &mut write)).await {
                    Ok(value) => Answer::Result(value),
                    Err(failure) => Answer::Failure(failure),
                }
            }
        },
    };
    // Who is gone is not told.
    let _ = say(&mut write, &last).await;
}

/// The request line without its end; `None` where nobody is there any more.
async fn request(read: &mut OwnedReadHalf) -> Option<Result<Vec<u8>, Failure>> {
    let malformed = |what: &str| Some(Err(Failure::new(FailureKind::Malformed, what)));
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let whole = timeout(PATIENCE, async {
        loop {
            let count = read.read(&mut chunk).await?;
            let new = chunk.get(..count).unwrap_or_default();
            let end = new.iter().position(|byte| *byte == b'\n');
            bytes.extend_from_slice(new.get(..end.unwrap_or(count)).unwrap_or_default());
            if count == 0 || end.is_some() || bytes.len() >= MAX_REQUEST {
                return io::Result::Ok(end.is_some());
            }
        }
    });
    match whole.await {
        Ok(Ok(true)) if bytes.len() < MAX_REQUEST => Some(Ok(bytes)),
        Ok(Ok(_)) if bytes.len() >= MAX_REQUEST => malformed("the request is longer than 1 MiB"),
        Ok(Ok(_)) if bytes.is_empty() => None,
        Ok(Ok(_)) => malformed("the request ends in the middle of its line"),
        Ok(Err(_)) => None,
        Err(_) => malformed("no request came within 5 seconds"),
    }
}

/// Passes progress on until the job ends; stops it when the client or the bridge wants it, or the client does not listen.
async fn attend(
    mut job: JoinHandle<Result<Value, Failure>>,
    mut heard: watch::Receiver<Progress>,
    stopper: Stopper,
    mut left: watch::Receiver<bool>,
    (read, write): (&mut OwnedReadHalf, &mut OwnedWriteHalf),
) -> Result<Value, Failure> {
    let mut beyond = [0; 1];
    loop {
        let stopped = stopper.asked().is_some();
        tokio::select! {
            done = &mut job => return done.unwrap_or_else(|error| {
                tracing::error!("a verb of the control socket panicked: a bug in this bridge: {error}");
                Err(Failure::new(FailureKind::Failed, "a bug in the bridge; its log says more"))
            }),
            // The end, an error, or more than a request: all the same.
            _ = read.read(&mut beyond), if !stopped => stopper.stop(Stop::Cancelled),
            () = told_to_leave(&mut left), if !stopped => stopper.stop(Stop::Leaving),
            Ok(()) = heard.changed() => {
                let progress = heard.borrow_and_update().clone();
                if say(write, &Answer::Progress(progress)).await.is_err() {
                    stopper.stop(Stop::Cancelled);
                }
            }
        }
    }
}

/// Comes true when the bridge leaves, also in disorder.
async fn told_to_leave(left: &mut watch::Receiver<bool>) {
    let _ = left.wait_for(|left| *left).await;
}

async fn say(write: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let bytes = line(answer);
    match timeout(PATIENCE, write.write_all(&bytes)).await {
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
