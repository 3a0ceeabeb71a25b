//! Single syncs fail: the segment is never written again, what was not acknowledged goes into the next one, and nobody notices. Then the power
//! goes: what the failed sync left in memory is lost, and must not matter.

use crate::harness::shim::{Call, Rule};
use crate::harness::{Excuse, Fault};
use crate::power_cut::cut;

pub const FAULT: Fault = Fault {
    name: "sync-error",
    title: "single syncs fail; then the power goes",
    excuse: Excuse::NoProcess("nobody listens between the power cut and the restart"),
    run: |stage| {
        let volume = stage.volume(256, "data=ordered");
        if let Err(why) = &volume {
            stage.note(format!("killed instead of a power cut: {why}"));
        }
        stage.start();
        stage.load_on();
        let mut struck = 0;
        for _ in stage.rounds(2, 20) {
            stage.kafka_away();
            for path in ["*.log", "*.log", "*/journal", "*/spare-*", "*/cursor"] {
                let after = stage.random(20);
                let sync = Rule::on(Call::Sync, path).after(after).once();
                let rule = stage.shim.arm(sync.fails(libc::EIO));
                stage.accept(60);
                struck += stage.shim.lift(rule);
            }
            match &volume {
                Ok(volume) => cut(stage, volume),
                Err(_) => stage.kill(),
            }
            stage.start();
            stage.accept(20);
            stage.kafka_back();
        }
        stage.accept(100);
        assert!(struck > 0, "no sync failed");
        stage.note(format!("{struck} syncs failed"));
    },
};
