//! The lifecycle of the process: parse, run, exit code.

use icr_bridge::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::parse_or_explain() {
        Ok(cli) => cli.run(),
        Err(exit) => exit,
    }
    .into()
}
