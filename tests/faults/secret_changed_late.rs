//! The secret is changed at ICR first, and here a while later: what was turned away in between is judged again, and reaches Kafka.

use crate::harness::stage::Stage;
use crate::harness::{Excuse, Fault};
use crate::support::app::SECRET;
use crate::support::eventually::within;
use crate::support::process;
use std::path::Path;

pub const FAULT: Fault = Fault {
    name: "secret-changed-late",
    title: "the secret is changed at ICR first, then here; what was turned away comes back",
    excuse: Excuse::Unproven(
        "signed with a secret that the bridge was not told yet; each of them is on its topic in the end",
    ),
    run: |stage| {
        let path = stage.folder().join("secret");
        std::fs::write(&path, SECRET).unwrap();
        stage.set("WEBHOOK_SECRET_FILE", path.to_str().unwrap());
        stage.start();
        for round in stage.rounds(2, 10) {
            stage.load_on();
            stage.accept(100);
            let secret = format!("changed-{round}-{:016x}", stage.random(u64::MAX));
            stage.deliveries().sign_with(&secret);
            stage.refuse(200);
            match round % 2 {
                0 => by_itself(stage, &path, &secret),
                _ => by_command(stage, &path, &secret),
            }
        }
        let dropped = stage.bridge().metrics();
        assert_eq!(dropped.value("rejected_ring_dropped_total"), 0.0);
    },
};

/// The bridge notices that the file has changed, and does the rest.
fn by_itself(stage: &mut Stage, path: &Path, secret: &str) {
    std::fs::write(path, secret).unwrap();
    stage.mended();
    stage.accept(100);
    stage.load_off();
    let total = |name: &str| stage.bridge().metrics().sum(name);
    within(crate::harness::stage::PATIENCE, "all are back", || {
        let (rejected, back) = ("deliveries_rejected_total", "deliveries_reverified_total");
        (total(back) >= total(rejected)).then_some(())
    });
    // Nothing is left for the command.
    assert_eq!(reverify(stage, path)["judged"], 0);
}

/// The file is changed while no bridge runs, and somebody runs the command.
fn by_command(stage: &mut Stage, path: &Path, secret: &str) {
    stage.load_off();
    stage.terminate();
    std::fs::write(path, secret).unwrap();
    let sum = reverify(stage, path);
    assert!(sum["accepted"].as_u64() >= Some(200), "{sum}");
    assert_eq!(sum["unproven"], 0);
    stage.start();
}

fn reverify(stage: &Stage, path: &Path) -> serde_json::Value {
    let settings = [
        ("JOURNAL_DIR", stage.journal().to_str().unwrap()),
        ("WEBHOOK_SECRET_FILE", path.to_str().unwrap()),
    ];
    let output = process::run(&["reverify", "--json"], &settings);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}
