//! Instructions of a delivery in user space, by valgrind's callgrind: they do not depend on the neighbours.

use super::load::{Load, ORDINARY};
use super::report::Report;
use super::subject::Subject;
use super::topic;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What is counted is the difference between a run with these and one with none.
const COUNT: u64 = 2000;

pub fn measure(report: &mut Report) {
    let valgrind = Command::new("valgrind").arg("--version").output();
    if !valgrind.is_ok_and(|output| output.status.success()) {
        eprintln!("  instructions: valgrind is missing: not measured");
        return;
    }
    let mine = std::env::current_exe().unwrap();
    let verify_only = each(|out, count| {
        let subject = Subject::baseline("verify-only", callgrind(&mine, out));
        Load::of(ORDINARY).closed_loop(subject.ingress, 8, count);
        subject.terminate();
    });
    let bridge = |kafka: bool| {
        each(|out, count| {
            let topic = kafka.then(topic::fresh);
            let command = callgrind(Path::new(env!("CARGO_BIN_EXE_icr-bridge")), out);
            let journal = TempDir::new().unwrap();
            let (subject, _) = Subject::bridge_by(command, journal, topic.as_deref(), &[]);
            Load::of(ORDINARY).closed_loop(subject.ingress, 8, count);
            if kafka {
                subject.wait_pending(0.0);
            }
            subject.terminate();
        })
    };
    let (to_202, whole) = (bridge(false), bridge(true));
    report.add("instructions", "verify-only", verify_only, "");
    report
        .add("instructions", "bridge without Kafka, to 202", to_202, "")
        .of("verify-only", verify_only);
    report
        .add(
            "instructions",
            "bridge, to Kafka's acknowledgement",
            whole,
            "",
        )
        .of("verify-only", verify_only);
}

fn callgrind(program: &Path, out: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program);
    command
}

/// Instructions of one delivery: `run` counts them into a file, for so many.
fn each(run: impl Fn(&Path, u64)) -> f64 {
    let counted = |count: u64| {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("out");
        run(&out, count);
        let text = std::fs::read_to_string(&out).unwrap();
        let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
        totals.unwrap().trim().parse::<f64>().unwrap()
    };
    // The first few also pay for what happens once.
    let few = 100;
    (counted(few + COUNT) - counted(few)) / COUNT as f64
}
