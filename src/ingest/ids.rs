//! Ids of deliveries: UUIDv7, unique and in the order of acceptance, also when the wall clock jumps back.

use crate::domain::delivery::Millis;
use uuid::{ContextV7, Timestamp, Uuid};

/// Makes ids; an id's time is the later of the clock and the last id's time.
#[derive(Default)]
pub(super) struct Ids {
    /// Counts within a millisecond.
    context: ContextV7,
    last: Millis,
}

impl Ids {
    /// Every later id will be greater than this one.
    pub(super) fn not_before(&mut self, id: Uuid) {
        if let Some((seconds, nanos)) = id.get_timestamp().map(|timestamp| timestamp.to_unix()) {
            // A new context knows nothing of the counter within that millisecond: begin with the next.
            self.last = self
                .last
                .max(Millis(seconds * 1000 + u64::from(nanos) / 1_000_000 + 1));
        }
    }

    pub(super) fn next(&mut self, now: Millis) -> Uuid {
        self.last = self.last.max(now);
        let (seconds, millis) = (self.last.0 / 1000, (self.last.0 % 1000) as u32);
        Uuid::new_v7(Timestamp::from_unix(
            &self.context,
            seconds,
            millis * 1_000_000,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_in_order_when_the_clock_jumps_back_an_hour() {
        let mut ids = Ids::default();
        let hour = 3_600_000;
        let mut last = ids.next(Millis(10 * hour));
        for now in [
            10 * hour,
            9 * hour,
            9 * hour + 1,
            10 * hour,
            11 * hour,
            10 * hour,
        ] {
            for _ in 0..5000 {
                let id = ids.next(Millis(now));
                assert!(id > last, "{id} after {last}");
                last = id;
            }
        }
    }

    #[test]
    fn ids_go_on_after_the_last_one_of_an_earlier_run() {
        let mut before = Ids::default();
        let last = (0..1000).map(|_| before.next(Millis(5_000))).max().unwrap();
        let mut ids = Ids::default();
        ids.not_before(last);
        assert!(ids.next(Millis(1_000)) > last);
    }

    #[test]
    fn an_id_carries_the_time_of_acceptance() {
        let id = Ids::default().next(Millis(1_700_000_000_123));
        assert_eq!(
            id.get_timestamp().unwrap().to_unix(),
            (1_700_000_000, 123_000_000)
        );
    }
}
