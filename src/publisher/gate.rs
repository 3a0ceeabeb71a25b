//! What is known of the topics: no record is handed over before its topic is known to take it, and silence is looked into.
//!
//! librdkafka would report a missing topic only after 30 s, a topic deleted under it not at all, and brokers that cannot be
//! reached never (its records wait for ever, as they should). So the publisher asks for itself: before the first record of a
//! topic, and when nothing was reported for a while though records are in flight.
use super::health::Health;
use super::kafka::{Client, Probe};
use super::line::{Carry, Line, Rest, still};
use super::prepare::Verdict;
use super::recovery::Trouble;
use super::verdict::FailureReason;
use std::time::{Duration, Instant};

/// How long the first question may hold up the publisher's thread; an unanswered one is repeated.
pub(super) const PROBE: Duration = Duration::from_millis(300);

/// How long a question may hold it up where brokers are connected and slow: more would delay a stop.
const SLOW_PROBE: Duration = Duration::from_secs(2);

/// A first connection takes its time (DNS, TLS, a broker that starts along with us): no complaint before.
const FIRST_CONNECTION: Duration = Duration::from_secs(3);

/// Between two questions while no broker answers. The question itself waits for a broker, so this is short, and recovery quick.
const NO_BROKER_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause between two questions for a topic that is missing: a question is cheap, and whoever creates it waits.
const TOPIC_PAUSE: Duration = Duration::from_secs(1);

/// How many checks in a row may find nothing wrong before the producer itself is suspected.
const UNEXPLAINED_CHECKS: u32 = 6;

impl Line {
    /// A new producer knows nothing of topics.
    pub(super) fn forget_topics(&mut self) {
        self.usable.clear();
        let apps = || self.settings.kafka.apps.iter().map(String::as_str);
        let mut all = self.settings.record.topic.topics(apps());
        all.extend(self.settings.record.quarantine_topic.topics(apps()));
        all.dedup();
        self.to_probe = all.into();
        self.probe_at = None;
    }

    /// Finds out whether the topic of `carry` takes records, and sends it if so.
    pub(super) fn open_gate(&mut self, carry: Carry) -> Rest {
        let topic = carry.record.topic.clone();
        let quarantined = carry.record.quarantined;
        let pause = match self.ask(&topic, FIRST_CONNECTION) {
            Probe::Usable { .. } => {
                self.carry = Some(carry);
                return Rest::No;
            }
            Probe::Unusable(FailureReason::NoBroker | FailureReason::TimedOut, _) => {
                NO_BROKER_PAUSE
            }
            Probe::Unusable(..) => {
                if let Some(reason) = quarantined
                    && self.quarantine_is_given_up()
                {
                    self.pronounce(carry.sequence, Verdict::Hold(reason), &topic);
                    self.read_again(carry.sequence);
                    return Rest::No;
                }
                self.backoff.next().min(TOPIC_PAUSE)
            }
        };
        self.carry = Some(Carry {
            not_before: Some(Instant::now() + pause),
            ..carry
        });
        Rest::Inbox(pause)
    }

    /// Whether the quarantine topic has been missing or forbidden for so long that its records are held instead: one bad
    /// delivery must not stop the line, only because nobody has made a place for it.
    pub(super) fn quarantine_is_given_up(&mut self) -> bool {
        let since = *self.no_quarantine_since.get_or_insert_with(Instant::now);
        since.elapsed() >= self.settings.timings.stall
    }

    /// Asks for topics that no record has needed yet, so that a missing one is told at the start and not at the first record.
    pub(super) fn probe_ahead(&mut self) {
        if self.client.is_none()
            || self.control.deadline().is_some()
            || self.probe_at.and_then(still).is_some()
        {
            return;
        }
        while let Some(topic) = self.to_probe.pop_front() {
            if self.usable.contains(&topic) {
                continue;
            }
            if let Probe::Unusable(FailureReason::NoBroker | FailureReason::TimedOut, _) =
                self.ask(&topic, FIRST_CONNECTION)
            {
                self.to_probe.push_front(topic);
                self.probe_at = Some(Instant::now() + FIRST_CONNECTION);
                return;
            }
        }
    }

    /// Asks for a topic, creates it if it is missing and that was asked for, and tells what is wrong; of brokers that cannot be
    /// reached only when that has lasted for `grace`.
    fn ask(&mut self, topic: &str, grace: Duration) -> Probe {
        let Some(client) = &self.client else {
            return Probe::Unusable(FailureReason::NoBroker, String::new());
        };
        let mut probe = client.probe(topic, self.probe_patience);
        let missing = matches!(probe, Probe::Unusable(FailureReason::UnknownTopic, _));
        let spreading = missing && self.created.is_spreading(topic);
        if missing
            && !spreading
            && let Some(creation) = self.settings.kafka.creation()
        {
            probe = match client.create(topic, creation) {
                Ok(()) => {
                    tracing::info!(topic, "created topic {topic}");
                    self.created.note(topic);
                    // The brokers tell each other of it in their own time; the next question may see it.
                    client.probe(topic, self.probe_patience)
                }
                Err(words) => Probe::Unusable(
                    FailureReason::UnknownTopic,
                    format!("it does not exist, and creating it failed: {words}"),
                ),
            };
        }
        // No answer over a connection that stands: it may take its time. Without one, waiting longer would not help.
        let connected = client.health().brokers_up() != Some(0);
        match &probe {
            Probe::Unusable(FailureReason::NoBroker | FailureReason::TimedOut, _) => {
                self.probe_patience = if connected {
                    (self.probe_patience * 2).min(SLOW_PROBE)
                } else {
                    PROBE
                };
            }
            _ => self.probe_patience = PROBE,
        }
        match &probe {
            Probe::Usable { .. } => {
                self.usable.insert(topic.to_owned());
                self.blocked_since = None;
            }
            Probe::Unusable(reason, words) => {
                let since = *self.blocked_since.get_or_insert_with(Instant::now);
                let connecting =
                    matches!(reason, FailureReason::NoBroker | FailureReason::TimedOut)
                        && since.elapsed() < grace;
                let spreading =
                    *reason == FailureReason::UnknownTopic && self.created.is_spreading(topic);
                if !connecting && !spreading {
                    let (reason, words) = (*reason, words.clone());
                    self.report_failure(reason, &format!("topic {topic}"), &words);
                }
            }
        }
        probe
    }

    /// Looks into a silence: records are in flight, and nothing is reported.
    pub(super) fn look_for_a_stall(&mut self) {
        let silent = self.last_report.elapsed() >= self.settings.timings.stall;
        if self.window.sent() == 0 || !silent || self.client.is_none() {
            return;
        }
        // The next look comes after as long a silence again.
        self.last_report = Instant::now();
        let mut short = 0;
        for number in self.window.topics() {
            let Some(topic) = self.names.get(number).cloned() else {
                continue;
            };
            match self.ask(&topic, Duration::ZERO) {
                Probe::Usable { short: of_it } => short += of_it,
                Probe::Unusable(reason, words) => {
                    self.unexplained = 0;
                    // Gone or forbidden under a live producer, which would wait for ever: back to the gate.
                    if !matches!(reason, FailureReason::NoBroker | FailureReason::TimedOut) {
                        self.trouble = Some(Trouble {
                            reason,
                            topic,
                            words,
                        });
                    }
                    return;
                }
            }
        }
        let in_flight = self.window.sent();
        let health = self.client.as_ref().map(Client::health);
        if let Some(words) = health.and_then(Health::not_as_advertised) {
            self.report_failure(FailureReason::NoBroker, "brokers", &words);
            // Only a new client is sure to ask the bootstrap servers again, once the addresses are corrected there.
            self.rebuild_if_it_lasts(FailureReason::NoBroker, words);
            return;
        }
        if short > 0 {
            self.report_failure(
                FailureReason::NotEnoughReplicas,
                "the topic",
                &format!(
                    "{in_flight} records wait, and {short} partitions lack replicas or a leader"
                ),
            );
            return;
        }
        let health = self.client.as_ref().map(Client::health);
        let words = match health.and_then(Health::producer_id) {
            Some(words) => format!("{in_flight} records wait without any report: {words}"),
            None => format!(
                "{in_flight} records wait without any report, though brokers and topics look well"
            ),
        };
        self.report_failure(FailureReason::Stalled, "the topic", &words);
        self.rebuild_if_it_lasts(FailureReason::Stalled, words);
    }

    /// Counts a look that has shown nothing to wait for; after some of them the producer is given up for a new one.
    fn rebuild_if_it_lasts(&mut self, reason: FailureReason, words: String) {
        self.unexplained += 1;
        if self.unexplained >= UNEXPLAINED_CHECKS {
            self.unexplained = 0;
            self.trouble = Some(Trouble {
                reason,
                topic: "any".to_owned(),
                words,
            });
        }
    }
}
