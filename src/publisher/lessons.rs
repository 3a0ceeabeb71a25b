//! What refusals teach that is no record's fault: a topic takes nothing that old, the clocks differ, a codec is not known.
//!
//! Where several records of a batch are refused, librdkafka reports each of them as invalid (`INVALID_RECORD`), also those that were too
//! old. So an invalid record is a suspect like any other (`recovery`), and only where none of the suspects is refused alone is their age
//! taken for the cause.

use super::line::Line;
use super::recovery::Trouble;
use super::stamps::Lesson;
use super::verdict::FailureReason;
use crate::domain::delivery::Millis;

/// What has been refused since the producer was built.
#[derive(Default)]
pub(super) struct Learned {
    /// The youngest timestamp that was refused as such.
    stamp: Option<RefusedStamp>,
    /// The youngest timestamp of an invalid record in a batch.
    invalid: Option<RefusedStamp>,
    /// Whether the codec was refused.
    pub(super) compression: bool,
}

/// A timestamp that a topic has refused, and when it did.
pub(super) struct RefusedStamp {
    topic: String,
    stamp: Millis,
    at: Millis,
}

impl Learned {
    /// A topic has refused this timestamp.
    pub(super) fn refused(&mut self, topic: &str, stamp: Millis) {
        keep_younger(&mut self.stamp, topic, stamp);
    }

    /// A record with this timestamp, one of a batch, was called invalid.
    pub(super) fn invalid(&mut self, topic: &str, stamp: Millis) {
        keep_younger(&mut self.invalid, topic, stamp);
    }

    /// The youngest timestamp of an invalid record in a batch.
    pub(super) fn take_invalid(&mut self) -> Option<RefusedStamp> {
        self.invalid.take()
    }
}

fn keep_younger(known: &mut Option<RefusedStamp>, topic: &str, stamp: Millis) {
    if known.as_ref().is_none_or(|known| known.stamp < stamp) {
        *known = Some(RefusedStamp {
            topic: topic.to_owned(),
            stamp,
            at: super::kafka::now(),
        });
    }
}

impl Line {
    /// Takes to heart what was refused for its timestamp or its codec; whether there is something else to try.
    pub(super) fn learn(&mut self, learned: Learned, trouble: &mut Trouble) -> bool {
        let another = learned.compression && self.surroundings.compression.refused().is_some();
        let Some(RefusedStamp { topic, stamp, at }) = learned.stamp else {
            return another;
        };
        let lesson = self.stamps.refused(&topic, stamp, at);
        if let Lesson::TooOld(_) = lesson {
            trouble.reason = FailureReason::RecordRefused;
        }
        self.tell_lesson(&topic, lesson) || another
    }

    /// Takes to heart that a timestamp was too old, which nobody has said in so many words.
    pub(super) fn learn_that_it_was_too_old(&mut self, refused: &RefusedStamp) {
        let RefusedStamp { topic, stamp, at } = refused;
        if let Some(lesson) = self.stamps.too_old(topic, *stamp, *at) {
            self.tell_lesson(topic, lesson);
        }
    }

    /// Logs a lesson, the same one once in a while; whether it is one.
    fn tell_lesson(&self, topic: &str, lesson: Lesson) -> bool {
        let (kind, words) = match lesson {
            Lesson::TooOld(age) => {
                let words = format!(
                    "topic {topic} does not take records this old (message.timestamp.before.max.ms): those that are {} s old \
                     or older go with the present time as their timestamp; ce_time stays the time of acceptance",
                    age as f64 / 1000.0
                );
                ("too old", words)
            }
            Lesson::ClockAhead(by) => {
                let words = format!(
                    "topic {topic} does not take the present time as a timestamp: this machine's clock is taken to be {} h {} the \
                     brokers'; set it right",
                    by.unsigned_abs() as f64 / 3_600_000.0,
                    if by > 0 { "ahead of" } else { "behind" }
                );
                ("clock", words)
            }
            Lesson::Nothing => return false,
        };
        if self.surroundings.throttle.pass(kind, topic).is_some() {
            tracing::warn!(topic, "{words}");
        }
        true
    }
}
