//! The progress bar: on a terminal, and nowhere else.

use super::{SIGNED, code, send, text};
use crate::support::endpoint::{ACCEPTED, Endpoint, Reply};
use crate::support::process::command;
use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Stdio;

/// A terminal: our side of it, and the side that a process gets.
fn terminal() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    let size = libc::winsize {
        ws_row: 24,
        ws_col: 120,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the pointers are to live variables, and null stands for defaults.
    let opened = unsafe {
        libc::openpty(
            &raw mut ours,
            &raw mut theirs,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            (&raw const size).cast_mut(),
        )
    };
    assert_eq!(opened, 0);
    // SAFETY: both were opened just now and belong to nobody else.
    unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}

#[test]
fn progress_is_shown_on_a_terminal_while_the_output_stays_clean() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let (mut ours, theirs) = terminal();
    let arguments = [
        "send",
        &endpoint.url(),
        "--json",
        "--rate",
        "100",
        "--count",
        "60",
    ];
    let mut command = command(&arguments, SIGNED);
    command
        .env("TERM", "xterm")
        .stdout(Stdio::piped())
        .stderr(theirs);
    let child = command.spawn().unwrap();
    // Our copy of their side would keep the terminal open.
    drop(command);
    let mut shown = Vec::new();
    // Linux says EIO once nobody holds the other side any more.
    let _ = ours.read_to_end(&mut shown);
    let output = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&shown);
    assert!(
        shown.contains("/60") && shown.contains("202: "),
        "{shown:?}"
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code(&output), &report["deliveries"]), (0, &60.into()));
}

#[test]
fn no_progress_is_written_into_a_pipe() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let output = send(&endpoint.url(), &["--count", "50"]);
    assert!(output.stderr.is_empty(), "{}", text(&output));
    assert!(!text(&output).contains('\u{1b}'), "{}", text(&output));
}
