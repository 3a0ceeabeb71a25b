//! The apps and where their secrets come from.

use crate::domain::signature::SecretSet;
use std::path::{Path, PathBuf};

/// An app or environment that delivers here, with its own path, secrets, source and labels.
#[derive(Clone)]
pub struct App {
    /// `default` for `/webhook`, else the path's last segment.
    pub name: String,
    /// Where its secrets are read again.
    pub source: SecretSource,
    /// The secrets at start.
    pub secrets: SecretSet,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("name", &self.name)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Where an app's secrets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The variable `WEBHOOK_SECRET`: fixed until a restart.
    Variable,
    /// A file, re-read when it changes.
    File(PathBuf),
}

/// Why a secret file cannot be used. Says nothing of its contents, nor its path: somebody may have put the secret itself there.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read.
    #[error("the file cannot be read: {source}")]
    Unreadable {
        /// The system's word.
        source: std::io::Error,
    },
    /// It holds no secret.
    #[error("the file is empty; write one secret a line, the current one first")]
    Empty,
}

/// Reads a secret file: one secret a line, the current one first.
pub fn read_file(path: &Path) -> Result<SecretSet, SecretFileError> {
    let contents = std::fs::read(path).map_err(|source| SecretFileError::Unreadable { source })?;
    SecretSet::from_file(&contents).map_err(|_| SecretFileError::Empty)
}
