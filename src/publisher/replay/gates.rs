//! Whether topics take records: asked before the first, and when nothing is reported for a while.

use super::super::kafka::{Probe, Surroundings};
use super::super::verdict::FailureReason;
use super::offer::{Halt, Item, Offerer, stuck};
use super::run::Desk;
use std::collections::HashSet;
use std::time::Duration;

/// How long a question for a topic may take.
const PROBE: Duration = Duration::from_secs(1);

/// Between two questions while no broker answers.
const NO_BROKER_PAUSE: Duration = Duration::from_millis(200);

impl Offerer<'_> {
    /// Waits until each topic takes records. One that is missing or forbidden ends the replay.
    pub(super) fn open_gates(&mut self, items: &[Item], desk: &mut Desk<'_>) -> Result<(), Halt> {
        let topics: HashSet<&str> = items
            .iter()
            .map(|item| item.record.topic.as_str())
            .filter(|topic| !self.usable.contains(*topic))
            .collect();
        for topic in topics {
            self.open_gate(topic, desk)?;
            self.usable.insert(topic.to_owned());
        }
        Ok(())
    }

    fn open_gate(&mut self, topic: &str, desk: &mut Desk<'_>) -> Result<(), Halt> {
        let Some(client) = &self.client else {
            return Ok(());
        };
        loop {
            match client.probe(topic, PROBE) {
                Probe::Usable { .. } => return Ok(()),
                Probe::Unusable(FailureReason::NoBroker | FailureReason::TimedOut, _) => {
                    desk.say(Some(&no_broker(&self.surroundings)));
                }
                Probe::Unusable(FailureReason::UnknownTopic, words) => {
                    match self.settings.kafka.creation() {
                        Some(creation) if !self.created.is_spreading(topic) => {
                            client.create(topic, creation).map_err(|words| {
                                Halt::Failed(format!(
                                    "topic {topic} does not exist, and creating it failed: {words}"
                                ))
                            })?;
                            self.created.note(topic);
                        }
                        // The brokers tell each other of it in their own time.
                        Some(_) => {
                            stuck(&mut self.stuck_since, &format!("topic {topic}: {words}"))?
                        }
                        None => return Err(refused(topic, FailureReason::UnknownTopic, &words)),
                    }
                }
                Probe::Unusable(reason, words) => return Err(refused(topic, reason, &words)),
            }
            desk.pause(NO_BROKER_PAUSE)?;
        }
    }

    /// Nothing was reported for a while, though records are in flight.
    pub(super) fn look_into_silence(
        &self,
        items: &[Item],
        desk: &mut Desk<'_>,
    ) -> Result<(), Halt> {
        let Some(client) = &self.client else {
            return Ok(());
        };
        let topics: HashSet<&str> = items.iter().map(|item| &*item.record.topic).collect();
        for topic in topics {
            match client.probe(topic, PROBE) {
                Probe::Unusable(FailureReason::NoBroker | FailureReason::TimedOut, _) => {
                    desk.say(Some(&no_broker(&self.surroundings)));
                    return Ok(());
                }
                Probe::Unusable(reason, words) => return Err(refused(topic, reason, &words)),
                Probe::Usable { .. } => {}
            }
        }
        desk.say(Some("waits: Kafka acknowledges nothing at present"));
        Ok(())
    }
}

fn no_broker(surroundings: &Surroundings) -> String {
    format!("waits: no broker answers at {}", surroundings.brokers)
}

pub(super) fn refused(topic: &str, reason: FailureReason, words: &str) -> Halt {
    Halt::Failed(format!(
        "topic {topic} cannot be written to ({}): {words}; {}",
        reason.name(),
        reason.way_out()
    ))
}
