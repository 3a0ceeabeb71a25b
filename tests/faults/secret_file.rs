//! The secret file is half written, emptied, deleted and unreadable, for longer than it takes the bridge to notice: the last good secret stays
//! in force.

use crate::harness::shim::{Call, Rule};
use crate::harness::stage::Stage;
use crate::harness::{Excuse, Fault};
use crate::support::app::SECRET;
use crate::support::eventually::eventually;
use std::path::Path;
use std::time::Duration;

pub const FAULT: Fault = Fault {
    name: "secret-file",
    title: "the secret file is half written, emptied, deleted and unreadable",
    excuse: Excuse::Nothing,
    run: |stage| {
        let path = stage.folder().join("secret");
        std::fs::write(&path, SECRET).unwrap();
        stage.set("WEBHOOK_SECRET_FILE", path.to_str().unwrap());
        stage.start();
        stage.load_on();
        for _ in stage.rounds(1, 5) {
            stage.accept(50);
            written_piece_by_piece(stage, &path);

            std::fs::write(&path, "").unwrap();
            until_noticed(stage);
            std::fs::write(&path, SECRET).unwrap();
            until_good_again(stage);

            std::fs::remove_file(&path).unwrap();
            until_noticed(stage);
            std::fs::write(&path, SECRET).unwrap();
            until_good_again(stage);

            // Nothing but the rights changes: the system refuses to open it.
            let rule = Rule::on(Call::Open, path.to_str().unwrap()).fails(libc::EACCES);
            let rule = stage.shim.arm(rule);
            std::fs::write(&path, SECRET).unwrap();
            until_noticed(stage);
            assert!(stage.shim.lift(rule) > 0, "it was to be read");
            until_good_again(stage);
        }
    },
};

/// Somebody writes it slowly: half of it stands there for a second.
fn written_piece_by_piece(stage: &mut Stage, path: &Path) {
    let (half, _) = SECRET.split_at(SECRET.len() / 2);
    for contents in [half, SECRET] {
        std::fs::write(path, contents).unwrap();
        stage.accept_for(Duration::from_secs(1));
    }
}

fn until_noticed(stage: &mut Stage) {
    let failures = || {
        stage
            .bridge()
            .metrics()
            .value("secret_reload_failures_total")
    };
    let lines = stage
        .log()
        .iter()
        .filter(|line| line.contains(GOOD))
        .count();
    let expected = lines as f64 + 1.0;
    eventually("the bridge notices", || {
        (failures() >= expected).then_some(())
    });
    stage.accept(100);
}

fn until_good_again(stage: &mut Stage) {
    let failures = stage.bridge().metrics();
    let failures = failures.value("secret_reload_failures_total") as usize;
    eventually("the file is good again", || {
        let log = stage.log();
        let lines = log.iter().filter(|line| line.contains(GOOD)).count();
        (lines >= failures).then_some(())
    });
    stage.accept(50);
}

/// What the bridge says once for each time.
const GOOD: &str = "the secret file is good again";
