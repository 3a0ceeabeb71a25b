//! `completions`: what a shell needs to complete the command line.

use super::{Cli, Exit, print};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::Write;

const NAME: &str = "icr-bridge";

/// The same to `clap_complete`'s bash script, which takes a hyphen in the name for one between commands and then completes no
/// option of a command (<https://github.com/clap-rs/clap/issues/6421>).
const NAME_IN_BASH: &str = "icr_bridge";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The shell
    shell: Shell,
}

pub(super) fn run(options: &Options) -> Exit {
    let script = match options.shell {
        Shell::Bash => bash(),
        shell => generate(shell, NAME),
    };
    print::note(std::io::stdout().write_all(&script));
    Exit::Done
}

fn generate(shell: Shell, name: &str) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), name, &mut script);
    script
}

/// The real name stands only at the end of the lines that register the function.
fn bash() -> Vec<u8> {
    let script = generate(Shell::Bash, NAME_IN_BASH);
    let script = String::from_utf8_lossy(&script);
    let registered = format!(" {NAME_IN_BASH}\n");
    script
        .replace(&registered, &format!(" {NAME}\n"))
        .into_bytes()
}
