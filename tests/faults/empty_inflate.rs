//! Bodies that put out nothing, or next to nothing, in every form that keeps a decoder busy, from six hostile senders. No request costs more
//! than its share of a worker, and beside them every genuine delivery is taken.

use crate::harness::client::{Raw, head, statuses};
use crate::harness::stage::Stage;
use crate::harness::{Excuse, Fault};
use crate::support::hollow::{self, Hollow};
use icr_bridge::simulator::Request;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const SENDERS: usize = 6;

/// As large as a body may be by default.
const SIZE: usize = 512 << 10;

/// CPU time of a request, all threads together. Half of it is the bound; the rest is what the bridge does besides, and the clock's grain.
/// Without a bound it is a second and more.
const MOST: f64 = 0.1;

pub const FAULT: Fault = Fault {
    name: "empty-inflate",
    title: "six senders of compressed bodies that put out nothing",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.start();
        let (number, request) = stage.delivery();
        stage.forbid(number);
        let attacks = hollow::all(SIZE);
        cost_of_each(stage, &request, &attacks);
        stage.load_on();
        let (address, stop, sent) = (stage.ingress(), AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..SENDERS {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let turn = sent.fetch_add(1, Ordering::Relaxed);
                        attack(Raw::open(address), &request, &attacks[turn % attacks.len()]);
                    }
                });
            }
            for _ in stage.rounds(1, 20) {
                stage.accept(500);
            }
            stop.store(true, Ordering::Relaxed);
        });
        stage.note(format!(
            "{} hostile requests beside the load",
            sent.load(Ordering::Relaxed)
        ));
    },
};

/// Without any load, so that all CPU time is theirs.
fn cost_of_each(stage: &mut Stage, request: &Request, attacks: &[Hollow]) {
    let mut worst = (0.0, "");
    for hollow in attacks {
        let costs = (0..5).map(|_| {
            let before = stage.bridge().cpu_seconds();
            attack(Raw::open(stage.ingress()), request, hollow);
            stage.bridge().cpu_seconds() - before
        });
        // The least of them: whatever else the process does meanwhile does not count.
        let least = costs.fold(f64::INFINITY, f64::min);
        if least > worst.0 {
            worst = (least, hollow.name);
        }
    }
    let (most, name) = worst;
    stage.note(format!(
        "{:.0} ms of CPU time at most ({name})",
        most * 1000.0
    ));
    assert!(most < MOST, "{name}: {most} s of CPU time");
}

fn attack(mut raw: Raw, request: &Request, hollow: &Hollow) {
    let headers = format!(
        "Content-Encoding: {}\r\nContent-Length: {}\r\nConnection: close\r\n",
        hollow.encoding,
        hollow.body.len()
    );
    raw.send([head(request, &headers).as_bytes(), &hollow.body].concat());
    let answers = raw.rest().expect("the connection is closed");
    assert_eq!(statuses(&answers), [400], "{}", hollow.name);
}
