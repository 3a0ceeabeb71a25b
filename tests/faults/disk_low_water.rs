//! Free space falls under the low-water mark, and rises again: the alarm is up meanwhile, and nothing is refused.

use crate::harness::stage::Stage;
use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;

pub const FAULT: Fault = Fault {
    name: "disk-low-water",
    title: "free space falls under the low-water mark, and rises again",
    excuse: Excuse::Nothing,
    run: |stage| {
        let volume = match stage.volume(48, "data=ordered") {
            Ok(volume) => volume,
            Err(why) => return stage.skip(why),
        };
        stage.set("JOURNAL_LOW_WATER_BYTES", "16MiB");
        // However long it takes, the journal itself leaves more than that.
        stage.set("JOURNAL_RETENTION_BYTES", "8MiB");
        stage.start();
        stage.load_on();
        for _ in stage.rounds(2, 10) {
            stage.accept(100);
            alarm(stage, false);
            volume.fill_but(8 << 20);
            alarm(stage, true);
            stage.accept(100);
            volume.empty();
            alarm(stage, false);
        }
    },
};

/// Waits until the alarm is up, or down: `journal_free_bytes` below `journal_low_water_bytes`.
fn alarm(stage: &Stage, up: bool) {
    eventually("the alarm follows the free space", || {
        let metrics = stage.bridge().metrics();
        let free = metrics.value("journal_free_bytes");
        let mark = metrics.value("journal_low_water_bytes");
        ((free < mark) == up).then_some(())
    });
    assert!(stage.bridge().is_ready());
}
