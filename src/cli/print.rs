//! What the commands print.
//!
//! **Guarantee.** No command panics because standard output or standard error cannot be written, which the macros of the standard library
//! and of `anstream` do (clippy.toml disallows them). A result that cannot be written is an I/O error: one sentence on standard error, and
//! exit code 74 if nothing else went wrong. A closed pipe is none: its reader has seen enough. Nobody is left to be told that standard
//! error is full or closed.

use super::Exit;
use parking_lot::Mutex;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// No column of a table is wider. A text from outside can have any length, and a width of more than 65,535 makes formatting panic. Longer
/// cells push the rest of their line to the right.
pub(super) const WIDEST: usize = 100;

/// Why standard output could not be written, the first time.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line on standard output; [`settle`] tells whether it could.
macro_rules! outln {
    ($($argument:tt)*) => {
        $crate::cli::print::out(format_args!("{}\n", format_args!($($argument)*)))
    };
}

/// Prints a line on standard error.
macro_rules! errln {
    ($($argument:tt)*) => {
        $crate::cli::print::err(format_args!($($argument)*))
    };
}

pub(super) use {errln, outln};

/// Prints on standard output.
pub(super) fn out(text: Arguments<'_>) {
    note(anstream::stdout().write_fmt(text));
}

/// Prints a line on standard error.
pub(super) fn err(line: Arguments<'_>) {
    // Nobody is left to be told.
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Remembers a failure to write a result.
pub(super) fn note(written: io::Result<()>) {
    if let Err(error) = written {
        FAILED.lock().get_or_insert(error);
    }
}

/// How a command ends that has printed its result.
pub(super) fn settle(exit: Exit) -> Exit {
    note(io::stdout().flush());
    match FAILED.lock().take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            errln!("icr-bridge: standard output cannot be written: {error}");
            exit.or(Exit::Io)
        }
        _ => exit,
    }
}
