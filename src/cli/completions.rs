//! `completions`: what a shell needs to complete the command line.

use super::{Cli, Exit};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::{ErrorKind, Write};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The shell
    shell: Shell,
}

pub(super) fn run(options: &Options) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(
        options.shell,
        &mut Cli::command(),
        "icr-bridge",
        &mut script,
    );
    match std::io::stdout().write_all(&script) {
        // Whoever read the output has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            anstream::eprintln!("icr-bridge completions: {error}");
            Exit::Io
        }
        _ => Exit::Done,
    }
}
