//! The kernel makes the filesystem read-only, as it does at an error of the disk (`errors=remount-ro`). Only unmounting ends that: the bridge is
//! stopped for it, and started again.

use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;

pub const FAULT: Fault = Fault {
    name: "disk-read-only",
    title: "the kernel remounts the filesystem read-only; later it is unmounted, checked and mounted again",
    excuse: Excuse::Refusals(
        &["storage_error"],
        "nothing can be written anywhere in the journal's folder",
    ),
    run: |stage| {
        let volume = match stage.volume(48, "errors=remount-ro") {
            Ok(volume) => volume,
            Err(why) => return stage.skip(why),
        };
        stage.start();
        for round in stage.rounds(2, 10) {
            stage.load_on();
            stage.accept(200);
            if round % 2 == 0 {
                stage.kafka_away();
            }
            volume.become_read_only();
            stage.refuse(100);
            eventually("the bridge is not ready", || {
                (!stage.bridge().is_ready()).then_some(())
            });
            stage.load_off();
            let status = stage.terminate();
            assert_eq!(status.code(), Some(0), "it leaves in order all the same");
            volume.remount();
            stage.kafka_back();
            stage.start();
        }
        stage.load_on();
        stage.accept(200);
    },
};
