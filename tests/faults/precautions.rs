//! A filesystem does not offer what the journal does for speed or out of caution: reserving space, changing a file's time or length, syncing a
//! folder by itself, locking. Writing and syncing work, so every delivery is stored.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};

const REFUSALS: [i32; 6] = [
    libc::EPERM,
    libc::EINVAL,
    libc::EOPNOTSUPP,
    libc::ENOSYS,
    libc::EACCES,
    libc::ENOSPC,
];

pub const FAULT: Fault = Fault {
    name: "precautions",
    title: "the filesystem refuses to reserve space, to change times, to sync a folder or to lock",
    excuse: Excuse::Nothing,
    run: |stage| {
        let folder = format!("*{}", stage.journal().display());
        let files = format!("{folder}/*");
        for round in stage.rounds(REFUSALS.len() as u64, 24) {
            let errno = REFUSALS[round as usize % REFUSALS.len()];
            let unsupported = if errno == libc::ENOSPC {
                libc::EBADF
            } else {
                errno
            };
            let mut rules = vec![
                Rule::on(Call::Reserve, &files).fails(errno),
                Rule::on(Call::Times, &files).fails(errno),
                Rule::on(Call::Sync, &folder).fails(unsupported),
            ];
            if round % 2 == 0 {
                rules.push(Rule::on(Call::Lock, &files).fails(libc::ENOLCK));
            }
            if round % 3 == 0 {
                // The last way to ask whether a sync may be believed: a byte is written again.
                rules.push(
                    Rule::on(Call::Truncate, &files)
                        .by("journal-writer")
                        .fails(errno),
                );
            }
            let rules: Vec<_> = rules.into_iter().map(|rule| stage.shim.arm(rule)).collect();
            stage.start();
            stage.load_on();
            // Several segments.
            stage.accept(500);
            stage.load_off();
            let log = stage.bridge().log().join("\n");
            for sentence in ["cannot reserve space", "cannot sync a folder"] {
                assert!(log.contains(sentence), "{sentence}: {log}");
            }
            assert_eq!(log.contains("has no file locks"), round % 2 == 0, "{log}");
            for (number, rule) in rules.into_iter().enumerate() {
                assert!(stage.shim.lift(rule) > 0, "rule {number} has struck");
            }
            stage.kill();
        }
        stage.start();
        stage.load_on();
        stage.accept(100);
    },
};
