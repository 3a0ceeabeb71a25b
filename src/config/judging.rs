//! What `reverify` needs where no bridge runs.

use super::environment::Environment;
use super::secrets::App;
use super::{ConfigError, Variables, apps, duplicate_window, journal_options, rejected_ring_bytes};
use crate::journal;

/// What it takes to judge again what was rejected, and nothing of Kafka: for `reverify` where no bridge runs.
#[derive(Debug, Clone)]
pub struct Judging {
    pub apps: Vec<App>,
    pub journal: journal::Options,
    /// See [`Config::duplicate_window`](super::Config::duplicate_window).
    pub duplicate_window: usize,
    /// See [`Config::rejected_ring_bytes`](super::Config::rejected_ring_bytes).
    pub rejected_ring_bytes: u64,
}

impl Judging {
    /// Reads and checks the settings that it takes; what is wrong with others is of no concern.
    pub fn read(variables: Variables) -> Result<Self, ConfigError> {
        let mut env = Environment::new(variables);
        let judging = Self {
            apps: apps::read(&mut env),
            journal: journal_options(&mut env),
            duplicate_window: duplicate_window(&mut env),
            rejected_ring_bytes: rejected_ring_bytes(&mut env),
        };
        if env.problems.is_empty() {
            Ok(judging)
        } else {
            env.tell_misspelt();
            Err(ConfigError(env.problems))
        }
    }
}
