//! The stage's Kafka: one of its own to break, one with something in between, and times without it.

use super::super::away::{self, Away};
use super::super::proxy::Proxy;
use super::super::shim::{Call, Rule};
use super::super::table::Row;
use super::{PATIENCE, Stage};
use crate::support::eventually::within;
use crate::support::kafka::OwnBroker;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

impl Stage {
    /// A broker that no other fault uses, with the stage's topics: it may be stopped, killed and paused.
    pub fn own_broker(&mut self) -> Rc<OwnBroker> {
        self.own_broker_with(&[])
    }

    /// The same with further properties.
    pub fn own_broker_with(&mut self, properties: &[&str]) -> Rc<OwnBroker> {
        let broker = Rc::new(OwnBroker::start_in(self.folder.path(), properties));
        self.use_broker(&broker);
        self.kafka.create_topic(&self.topic, 3, &[]);
        self.kafka.create_topic(&self.quarantine, 1, &[]);
        broker
    }

    /// A cluster of two, and a topic that wants both: the second. None where brokers can't see each other.
    pub fn own_cluster(&mut self) -> Option<Rc<OwnBroker>> {
        let first = Rc::new(OwnBroker::start_in(self.folder.path(), &[]));
        let second = Rc::new(first.join()?);
        self.use_broker(&first);
        let both = [("min.insync.replicas", "2")];
        self.kafka.create_replicated_topic(&self.topic, 3, 2, &both);
        self.kafka.create_topic(&self.quarantine, 1, &[]);
        // Until the end: what still waits then wants both, too.
        self.brokers.push(Rc::clone(&second));
        Some(second)
    }

    fn use_broker(&mut self, broker: &Rc<OwnBroker>) {
        self.kafka = (***broker).clone();
        self.brokers.push(Rc::clone(broker));
    }

    /// Makes the topic anew with such a configuration: before the first start.
    pub fn topic_with(&self, config: &[(&str, &str)]) {
        self.kafka.delete_topic(&self.topic);
        self.kafka.create_topic(&self.topic, 3, config);
    }

    /// Makes the quarantine topic anew with such a configuration: before the first start.
    pub fn quarantine_with(&self, config: &[(&str, &str)]) {
        self.kafka.delete_topic(&self.quarantine);
        self.kafka.create_topic(&self.quarantine, 1, config);
    }

    /// The topic is going to be deleted, and nothing more comes into it: the judge gets to know what stands there.
    pub fn read_ahead(&mut self) {
        let records = self.kafka.read_now(&[&self.topic]);
        assert!(!records.is_empty(), "there is something to be deleted");
        self.earlier.extend(records);
    }

    /// From the next start on the bridge reaches Kafka through this.
    pub fn proxy(&mut self) -> Rc<Proxy> {
        let broker = self.kafka.bootstrap.clone();
        let proxy = Rc::new(Proxy::before(broker.parse().expect("one broker")));
        self.shim
            .arm(Rule::on(Call::Connect, &broker).leads_to(proxy.port()));
        self.proxy = Some(Rc::clone(&proxy));
        proxy
    }

    /// One that stands beside: who is told its address goes through it, whatever address the broker itself advertises.
    pub fn proxy_in_front(&mut self) -> Rc<Proxy> {
        let broker = self.kafka.bootstrap.parse().expect("one broker");
        let proxy = Rc::new(Proxy::before(broker));
        self.proxy = Some(Rc::clone(&proxy));
        proxy
    }

    /// Takes Kafka away from the bridge alone: connections break and are refused. What is not published then is on disk only, and a loss
    /// cannot hide behind a record that was published in time.
    pub fn kafka_away(&mut self) {
        let broker = self.kafka.bootstrap.clone();
        let rules = [
            Rule::on(Call::Connect, &broker).fails(libc::ECONNREFUSED),
            Rule::on(Call::Send, "socket:*")
                .by("rdk:*")
                .fails(libc::EPIPE),
        ];
        self.away = rules.map(|rule| self.shim.arm(rule)).into();
    }

    /// The end of [`Stage::kafka_away`].
    pub fn kafka_back(&mut self) {
        for rule in self.away.drain(..) {
            self.shim.lift(rule);
        }
    }

    /// What happens here happens without Kafka: nothing of it may be felt at the door, and memory may not grow with what waits.
    pub fn without_kafka(&mut self, story: impl FnOnce(&mut Self)) {
        let mut away = Away::begin(self.bridge());
        story(self);
        away.end(self.bridge());
        self.aways.push(away);
    }

    /// Lets so much time pass under load, with 202s all along.
    pub fn accept_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.accept(20);
        }
    }

    /// Waits until the oldest delivery that waits for Kafka has done so for so long.
    pub fn wait_until_old(&self, age: Duration) {
        within(PATIENCE, "what waits is old", || {
            let metrics = self.bridge().metrics();
            let oldest = metrics.maybe("journal_oldest_pending_timestamp_seconds")?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            (now.as_secs_f64() - oldest > age.as_secs_f64()).then_some(())
        });
    }

    /// How many deliveries wait for Kafka.
    pub fn waiting(&self) -> f64 {
        let metrics = self.bridge().metrics();
        metrics.value("journal_pending_deliveries")
    }

    /// Waits until the bridge counts one more such failure to publish.
    pub fn publishing_fails(&self, reason: &str) {
        let series = format!("publish_failures_total{{reason=\"{reason}\"}}");
        let count = || self.bridge().metrics().maybe(&series).unwrap_or(0.0);
        let before = count();
        within(PATIENCE, &format!("publishing fails: {reason}"), || {
            (count() > before).then_some(())
        });
    }

    /// What times without Kafka have shown.
    pub(super) fn tell_aways(&self, row: &mut Row) {
        if self.aways.is_empty() {
            return;
        }
        let (note, violations) = away::judge(&self.aways, &self.sent, self.effort.long);
        row.notes.push(note);
        row.violations.extend(violations);
    }
}
