//! The command's side: asks, hears progress, cancels when interrupted.

use super::protocol::{Answer, Failure, MAX_ANSWER, MAX_REQUEST, Progress, Request, Verb, line};
use serde_json::Value;
use std::future::Future;
use std::io;
use std::os::unix::net::UnixStream as StdStream;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The bridge says why.
    #[error("{0}")]
    Failure(Failure),
    #[error("the connection to the bridge cannot be used: {0}")]
    Io(#[source] io::Error),
    /// It was closed before the last line.
    #[error("the bridge ended before it had answered")]
    Closed,
    /// The bridge said something that is no answer.
    #[error("the bridge's answer cannot be read: {0}")]
    Garbled(String),
    /// More than a request may hold.
    #[error("the criteria are longer than 1 MiB; narrow them by time instead of by so many ids")]
    TooLong,
}

impl From<io::Error> for AskError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// Has the bridge carry `verb` out. When `interrupted` comes true the verb is cancelled, and its result still waited for.
pub async fn ask(
    stream: StdStream,
    verb: Verb,
    interrupted: impl Future<Output = ()>,
    mut on_progress: impl FnMut(Progress),
) -> Result<Value, AskError> {
    let request = line(&Request::new(verb));
    if request.len() > MAX_REQUEST {
        return Err(AskError::TooLong);
    }
    let (read, mut write) = UnixStream::from_std(stream)?.into_split();
    // A bridge that refuses says so before it has read: its answer counts, not that it hung up.
    let written = write.write_all(&request).await;
    let mut lines = Lines::new(read);
    let mut interrupted = std::pin::pin!(interrupted);
    let mut cancelled = false;
    loop {
        tokio::select! {
            () = &mut interrupted, if !cancelled => {
                cancelled = true;
                // The bridge may have ended meanwhile; then the next line, or its absence, says so.
                let _ = write.shutdown().await;
            }
            answer = lines.next() => match answer? {
                None => {
                    written?;
                    return Err(AskError::Closed);
                }
                Some(Answer::Progress(progress)) => on_progress(progress),
                Some(Answer::Result(value)) => return Ok(value),
                Some(Answer::Failure(failure)) => return Err(AskError::Failure(failure)),
            }
        }
    }
}

/// Reads answers; safe to be interrupted between any two bytes.
struct Lines {
    read: BufReader<OwnedReadHalf>,
    line: Vec<u8>,
}

impl Lines {
    fn new(read: OwnedReadHalf) -> Self {
        Self {
            read: BufReader::new(read),
            line: Vec::new(),
        }
    }

    async fn next(&mut self) -> Result<Option<Answer>, AskError> {
        let room = (MAX_ANSWER - self.line.len()) as u64;
        let mut limited = (&mut self.read).take(room);
        // What was read before an interruption stays in `line`.
        limited.read_until(b'\n', &mut self.line).await?;
        if self.line.is_empty() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        serde_json::from_slice(&line)
            .map(Some)
            .map_err(|error| AskError::Garbled(error.to_string()))
    }
}
