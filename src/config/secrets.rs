//! The apps and where their secrets come from.

use crate::domain::signature::SecretSet;
use std::path::PathBuf;

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
