//! `check-config`: every problem, or everything that is in force.

use super::{Exit, explain};
use crate::config::{Config, Variables};

pub(super) fn run(variables: Variables) -> Exit {
    let config = match Config::read(variables) {
        Ok(config) => config,
        Err(error) => return explain(&error),
    };
    let width = config
        .effective()
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    for (name, value) in config.effective() {
        anstream::println!("{name:width$}  {value}");
    }
    for (name, nearest) in &config.unknown {
        let hint = nearest
            .as_ref()
            .map(|nearest| format!("; did you mean {nearest}?"))
            .unwrap_or_default();
        anstream::eprintln!("warning: {name} is no setting and has no effect{hint}");
    }
    for warning in &config.warnings {
        anstream::eprintln!("warning: {warning}");
    }
    Exit::Done
}
