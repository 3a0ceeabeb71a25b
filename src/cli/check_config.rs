//! `check-config`: every problem, or everything that is in force.

use super::print::{errln, outln};
use super::{Exit, explain};
use crate::config::{Config, Variables};
use crate::descriptors;
use crate::journal::storage::{Disk, Storage};

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
        outln!("{name:width$}  {value}");
    }
    for (name, nearest) in &config.unknown {
        let hint = nearest
            .as_ref()
            .map(|nearest| format!("; did you mean {nearest}?"))
            .unwrap_or_default();
        errln!("warning: {name} is no setting and has no effect{hint}");
    }
    match descriptors::share_out(&config.http) {
        Ok((_, None)) => {}
        Ok((_, Some(lowered))) => errln!("warning: here {lowered}"),
        Err(few) => errln!("warning: here {few}"),
    }
    for warning in &config.warnings {
        errln!("warning: {warning}");
    }
    let dir = &config.journal.dir;
    for what in Disk.shortcomings(dir) {
        errln!("warning: {}: {what}", dir.display());
    }
    Exit::Done
}
