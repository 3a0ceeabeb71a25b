//! The wall clock jumps an hour back and forth, and further. Ids stay unique and in order, Kafka (which refuses records from the future) takes all records, and
//! retention, to which everything is suddenly old, deletes nothing that is not published.

use crate::harness::shim::{Call, Rule};
use crate::harness::stage::Stage;
use crate::harness::{Excuse, Fault};
use crate::support::eventually::eventually;

/// Seconds from the true time, one jump after the other. Kafka takes what is up to an hour ahead.
const JUMPS: [i64; 6] = [3600, -3600, 0, 3500, 86_400, 0];

pub const FAULT: Fault = Fault {
    name: "clock-jumps",
    title: "the wall clock jumps an hour and a day back and forth, with Kafka there and away",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.set("JOURNAL_RETENTION_HOURS", "1");
        stage.start();
        stage.load_on();
        for round in stage.rounds(2, 10) {
            for seconds in JUMPS {
                if round % 2 == 0 && seconds > 3600 {
                    // Some segments without a published record, closed before the jump that makes them old.
                    stage.kafka_away();
                    stage.accept(400);
                }
                stage.shim.shift_clock(seconds);
                if seconds < 0 {
                    // A process that starts knows the later time from the journal alone.
                    stage.load_off();
                    stage.kill();
                    stage.start();
                    stage.load_on();
                }
                stage.accept(150);
                if seconds > 3600 {
                    retention_looks(stage);
                }
                stage.kafka_back();
                // Also while the clock is wrong: nothing waits for somebody to set it right.
                stage.settle_below(50);
            }
        }
        // Published are also those accepted in what is now the future.
        stage.settle();
    },
};

/// Waits until housekeeping has looked twice, as it does once a second: it syncs the cursor then, with deliveries coming.
fn retention_looks(stage: &Stage) {
    // Never strikes; it counts.
    let looks = Rule::on(Call::Sync, "*/cursor").by("journal-keeper");
    let rule = stage.shim.arm(looks.after(u64::MAX).delays(0));
    eventually("housekeeping has looked twice", || {
        (stage.shim.seen(&rule) >= 2).then_some(())
    });
    stage.shim.lift(rule);
}
