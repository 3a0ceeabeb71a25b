//! Things that are not the journal's have its names: numbers that overflow, pipes, sockets, folders, links that lead nowhere, a hundred kinds of
//! almost-names.

use crate::harness::{Excuse, Fault};
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

pub const FAULT: Fault = Fault {
    name: "foreign-names",
    title: "pipes, folders, links and numbers out of bounds have the names of the journal's files",
    excuse: Excuse::Nothing,
    run: |stage| {
        std::fs::create_dir_all(stage.journal().join("held")).unwrap();
        for round in stage.rounds(2, 10) {
            let journal = stage.journal().to_owned();
            numbers(&journal);
            things(&journal, round);
            stage.start();
            stage.load_on();
            stage.accept(200);
            stage.load_off();
            stage.settle();
            // A folder has the next segment's name, whichever that is.
            let last = stage.stats()["last_sequence"].as_u64().unwrap();
            for base in last + 1..last + 400 {
                std::fs::create_dir_all(journal.join(format!("{base:020}.log"))).unwrap();
            }
            stage.kafka_away();
            stage.load_on();
            stage.accept(300);
            stage.load_off();
            stage.kill();
            // What is accepted is on disk, and is found again.
            stage.start();
            stage.load_on();
            stage.accept(100);
            stage.load_off();
            stage.kafka_back();
            let status = stage.terminate();
            assert_eq!(status.code(), Some(0), "it hears SIGTERM");
        }
    },
};

fn numbers(journal: &Path) {
    let most = u64::MAX;
    for number in [
        most,
        most - 1,
        1 << 63,
        10_000_000_000_000_000_000,
        (1 << 62) + 1,
    ] {
        for name in [
            format!("held/{number}"),
            format!("held/{number:020}"),
            format!("spare-{number}"),
            format!("{number:020}.log"),
            format!("{number:020}.outcomes"),
        ] {
            std::fs::write(journal.join(name), b"").unwrap();
        }
    }
    // Within bounds, and no copies all the same.
    for number in [1_u64 << 40, 1 << 60, 4_611_686_018_427_387_904] {
        std::fs::write(journal.join(format!("held/{number:020}")), b"").unwrap();
    }
    for name in [
        "00000000000000000001.log ",
        "spare-+7",
        "spare-keys",
        "1.log",
        "notes.tmp",
    ] {
        std::fs::write(journal.join(name), b"not ours").unwrap();
    }
    std::fs::write(journal.join(OsStr::from_bytes(b"\xff\xfe.log")), b"").unwrap();
}

/// Something that is no file under each name, another thing in each round.
fn things(journal: &Path, round: u64) {
    let names = [
        "cursor",
        "memo",
        "memo.tmp",
        "lock",
        "held/released",
        "held/released.tmp",
        "spare-1",
        "spare-2",
        "00000000000000000001.log",
        "00000000000000000001.outcomes",
        "rejected",
        "control.sock",
        "control.sock.new",
    ];
    for (name, number) in names.iter().zip(round..) {
        let path = journal.join(name);
        // Only what is not there yet, but for what a start makes anew.
        if round > 0 && !matches!(*name, "memo" | "lock" | "control.sock") {
            continue;
        }
        let _ = std::fs::remove_file(&path);
        match number % 4 {
            0 => pipe(&path),
            1 => std::fs::create_dir(&path).unwrap(),
            2 => std::os::unix::fs::symlink("nowhere/at/all", &path).unwrap(),
            _ => drop(UnixListener::bind(short(&path)).unwrap()),
        }
    }
}

fn pipe(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: `path` ends in NUL and outlives the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

/// A socket's path has a hundred bytes at the most.
fn short(path: &Path) -> std::path::PathBuf {
    let here = std::env::current_dir().unwrap();
    path.strip_prefix(here).unwrap_or(path).to_owned()
}
