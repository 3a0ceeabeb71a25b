//! Where a fault plays: one bridge with a journal and topics of its own, load, and the hand that breaks things.

mod kafka;

use super::away::Away;
use super::judge::{self, Verdict};
use super::limits::{self, Container};
use super::load::{Deliveries, Fate, Load, Plan, Sent, others};
use super::proxy::Proxy;
use super::shim::{Armed, Call, Rule, Shim};
use super::table::Row;
use super::volume::Volume;
use super::{Excuse, Fault};
use crate::support::eventually::within;
use crate::support::kafka::{OwnBroker, OwnedRecord, RealKafka};
use crate::support::process::{self, Ended, Serving};
use crate::support::service_manager::ServiceManager;
use icr_bridge::simulator::Request;
use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uuid::Uuid;

/// How long anything may take on a machine that is busy with much else: only a failure ever takes as long.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Small, so that its bound on duplicates says something.
pub const WINDOW: u64 = 200;

/// The load that a fault gets unless it asks for another.
const PLAN: Plan = Plan {
    rate: 500,
    connections: 8,
};

/// How much is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// The long form.
    pub long: bool,
    /// Rounds asked for on the command line.
    pub rounds: Option<u64>,
    /// Of all random choices.
    pub seed: u64,
}

/// Where a fault plays.
pub struct Stage {
    // First, so that it ends before its files go.
    bridge: Option<Serving>,
    load: Option<(Load, Instant)>,
    volume: Option<Rc<Volume>>,
    proxy: Option<Rc<Proxy>>,
    brokers: Vec<Rc<OwnBroker>>,
    folder: TempDir,
    pub kafka: RealKafka,
    pub topic: String,
    pub quarantine: String,
    /// The rules that the bridge obeys.
    pub shim: Shim,
    /// Those that keep Kafka away.
    away: Vec<Armed>,
    /// Times without it, in which memory and latencies were watched.
    aways: Vec<Away>,
    /// Records that were read before their topic was deleted.
    earlier: Vec<OwnedRecord>,
    journal: PathBuf,
    effort: Effort,
    random: u64,
    settings: Vec<(String, String)>,
    /// The same at every start, as a service's is.
    ingress: SocketAddr,
    log: Vec<String>,
    deliveries: Arc<Deliveries>,
    next: Arc<AtomicU64>,
    sent: Vec<Sent>,
    /// Times in which there was load.
    loaded: Vec<(Instant, Instant)>,
    /// When something was mended, and a 202 is due.
    mended: Vec<Instant>,
    rounds: u64,
    /// Ends of the bridge that may each leave a window of duplicates.
    crashes: u64,
    /// Producers that were built anew: each may leave a window too.
    rebuilds: u64,
    taken: HashSet<Uuid>,
    everything_again: bool,
    forbidden: HashSet<u64>,
    reconnecting: bool,
    manager: Option<ServiceManager>,
    files: Option<u64>,
    container: Option<Rc<Container>>,
    ledger_was_lost: bool,
    loss_expected: bool,
    notes: Vec<String>,
    skipped: Option<String>,
    modelled: Option<Row>,
}

impl Stage {
    /// A fresh journal and fresh topics; nothing runs yet.
    pub fn new(kafka: RealKafka, fault: &Fault, effort: Effort) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&format!("{}-", fault.name))
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let topic = kafka.new_topic(fault.name, 3);
        let quarantine = format!("{topic}.quarantine");
        kafka.create_topic(&quarantine, 1, &[]);
        let run = effort.seed ^ u64::from(std::process::id()) << 32;
        Self {
            bridge: None,
            load: None,
            volume: None,
            proxy: None,
            brokers: Vec::new(),
            topic,
            quarantine,
            kafka,
            shim: Shim::new(folder.path()),
            away: Vec::new(),
            aways: Vec::new(),
            earlier: Vec::new(),
            journal: folder.path().join("journal"),
            folder,
            effort,
            random: effort.seed,
            settings: Vec::new(),
            ingress: free_address(),
            log: Vec::new(),
            deliveries: Arc::new(Deliveries::new(run >> 1)),
            next: Arc::new(AtomicU64::new(0)),
            sent: Vec::new(),
            loaded: Vec::new(),
            mended: Vec::new(),
            rounds: 1,
            crashes: 0,
            rebuilds: 0,
            taken: HashSet::new(),
            everything_again: false,
            forbidden: HashSet::new(),
            reconnecting: false,
            manager: None,
            files: None,
            container: None,
            ledger_was_lost: false,
            loss_expected: false,
            notes: Vec::new(),
            skipped: None,
            modelled: None,
        }
    }

    // How much.

    /// The rounds to play: in the short form, in the long one, or as the command line says.
    pub fn rounds(&mut self, short: u64, long: u64) -> std::ops::Range<u64> {
        let usual = if self.effort.long { long } else { short };
        self.rounds = self.effort.rounds.unwrap_or(usual);
        0..self.rounds
    }

    /// Whether the long form is wanted.
    pub fn is_long(&self) -> bool {
        self.effort.long
    }

    /// A random number below `limit`, the same for the same seed.
    pub fn random(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    // The bridge.

    /// A setting for the next start, without the prefix.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// From the next start on the ingress's socket is kept and handed over by a service manager.
    pub fn hand_over(&mut self) {
        self.manager = Some(ServiceManager::at(self.ingress));
    }

    /// From the next start on so many open files are allowed.
    pub fn limit_files(&mut self, files: u64) {
        self.files = Some(files);
    }

    /// From the next start on the bridge runs in a container with so many bytes of memory.
    ///
    /// # Errors
    /// Why this machine does not allow it.
    pub fn contain(&mut self, bytes: u64) -> Result<Rc<Container>, String> {
        let container = Rc::new(Container::new(bytes)?);
        self.container = Some(Rc::clone(&container));
        Ok(container)
    }

    /// Puts the journal on a filesystem of its own, of so many MiB, mounted with these options.
    ///
    /// # Errors
    /// Why this machine does not allow it.
    pub fn volume(&mut self, mebibytes: u64, options: &str) -> Result<Rc<Volume>, String> {
        let volume = Rc::new(Volume::new(self.folder.path(), mebibytes, options)?);
        self.journal = volume.path().join("journal");
        self.volume = Some(Rc::clone(&volume));
        Ok(volume)
    }

    /// The same on another filesystem, made by its `mkfs` with these arguments.
    ///
    /// # Errors
    /// Why this machine does not allow it.
    pub fn volume_of(
        &mut self,
        kind: &'static str,
        arguments: &[&str],
        mebibytes: u64,
    ) -> Result<Rc<Volume>, String> {
        let folder = self.folder.path();
        let volume = Volume::make(folder, mebibytes, "noatime", kind, arguments)?;
        let volume = Rc::new(volume);
        self.journal = volume.path().join("journal");
        self.volume = Some(Rc::clone(&volume));
        Ok(volume)
    }

    /// The journal's folder.
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// A folder for anything that the fault needs; gone with the stage.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the bridge and waits until it listens.
    pub fn start(&mut self) {
        self.try_start()
            .unwrap_or_else(|ended| panic!("the bridge does not start: {ended}"));
    }

    /// The same for one that may end before it listens.
    pub fn try_start(&mut self) -> Result<(), Ended> {
        assert!(self.bridge.is_none(), "a bridge runs already");
        let ingress = self.ingress.to_string();
        let mut all: Vec<(&str, String)> = vec![
            ("LISTEN", ingress),
            ("KAFKA_BROKERS", self.kafka.bootstrap.clone()),
            ("KAFKA_TOPIC", self.topic.clone()),
            ("KAFKA_QUARANTINE_TOPIC", self.quarantine.clone()),
            ("PUBLISH_WINDOW", WINDOW.to_string()),
            // Small enough to roll often.
            ("JOURNAL_SEGMENT_BYTES", "256KiB".to_owned()),
            ("WORKERS", "2".to_owned()),
        ];
        let settings = self.settings.clone();
        for (name, value) in &settings {
            all.retain(|(known, _)| known != name);
            all.push((name, value.clone()));
        }
        let all: Vec<_> = all
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let environment = self.shim.environment();
        let environment = environment
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        if !self.sent.is_empty() || self.load.is_some() {
            self.mended();
        }
        let started = match &self.manager {
            Some(manager) => manager.try_start(&self.journal, &all, &environment),
            None => {
                let mut command = process::serve(&self.journal, &all, process::command);
                command.envs(environment);
                if let Some(files) = self.files {
                    limits::files(&mut command, files);
                }
                if let Some(container) = &self.container {
                    container.around(&mut command);
                }
                Serving::of(command)
            }
        };
        self.bridge = Some(started.inspect_err(|ended| {
            // As a crash: what was under way may come twice.
            self.log.extend(ended.log.iter().cloned());
            self.crashes += 1;
        })?);
        Ok(())
    }

    /// The bridge that runs.
    pub fn bridge(&self) -> &Serving {
        self.bridge.as_ref().expect("a bridge runs")
    }

    /// Whether a bridge runs.
    pub fn is_running(&self) -> bool {
        self.bridge.is_some()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.remember_rebuilds();
        self.end();
    }

    fn end(&mut self) {
        let bridge = self.bridge.take().expect("a bridge runs");
        self.log.extend(bridge.log());
        bridge.kill();
        self.crashes += 1;
    }

    /// Stops it in the middle of whatever it does: SIGSTOP, and every thread stands.
    pub fn freeze(&self) {
        self.bridge().signal(libc::SIGSTOP);
        let tasks = format!("/proc/{}/task", self.bridge().pid());
        within(PATIENCE, "every thread of the bridge stands", || {
            let stands = |task: std::io::Result<std::fs::DirEntry>| {
                let stat = std::fs::read_to_string(task.unwrap().path().join("stat"));
                // The state stands behind the name, which stands in brackets.
                stat.is_ok_and(|stat| stat.rsplit(')').next().unwrap().starts_with(" T"))
            };
            let mut tasks = std::fs::read_dir(&tasks).unwrap();
            tasks.all(stands).then_some(())
        });
    }

    /// The end of [`Stage::freeze`].
    pub fn thaw(&mut self) {
        self.bridge().signal(libc::SIGCONT);
        self.mended();
    }

    /// `kill -9` for one that was frozen: it does nothing any more.
    pub fn kill_frozen(&mut self) {
        self.end();
    }

    /// SIGTERM, and its end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.remember_rebuilds();
        let bridge = self.bridge.take().expect("a bridge runs");
        self.log.extend(bridge.log());
        // What Kafka did not acknowledge in a second is published again.
        self.crashes += 1;
        bridge.terminate()
    }

    /// Aims: waits until this rule has killed the bridge, and lifts it.
    pub fn kill_at(&mut self, rule: Rule) {
        let armed = self.shim.arm(rule);
        self.wait_until_killed();
        assert_eq!(self.shim.lift(armed), 1, "it was this rule");
    }

    /// Waits until a rule of the shim has killed the bridge.
    pub fn wait_until_killed(&mut self) {
        let bridge = self.bridge.as_mut().expect("a bridge runs");
        let status = within(PATIENCE, "a rule of the shim kills the bridge", || {
            bridge.ended()
        });
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{:#?}", bridge.log());
        let bridge = self.bridge.take().expect("a bridge runs");
        self.log.extend(bridge.log());
        self.crashes += 1;
    }

    /// Runs another command of the binary on a journal's folder.
    pub fn command(&self, arguments: &[&str], journal: &Path) -> std::process::Output {
        process::run(arguments, &[("JOURNAL_DIR", journal.to_str().unwrap())])
    }

    /// What `icr-bridge stats` says of the journal.
    pub fn stats(&self) -> serde_json::Value {
        let output = self.command(&["stats", "--json"], &self.journal);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    // Kafka.

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

    // Load.

    /// The deliveries of this stage, by number.
    pub fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Turns the usual load on.
    pub fn load_on(&mut self) {
        self.load_on_with(PLAN);
    }

    /// Turns load on.
    pub fn load_on_with(&mut self, plan: Plan) {
        assert!(self.load.is_none(), "there is load already");
        let load = Load::start(
            &self.deliveries,
            &self.next,
            self.ingress,
            plan,
            self.reconnecting,
        );
        self.load = Some((load, Instant::now()));
    }

    /// Every other connection of the load is to serve for one delivery only.
    pub fn reconnect(&mut self) {
        self.reconnecting = true;
    }

    /// Where the bridge listens.
    pub fn ingress(&self) -> SocketAddr {
        self.ingress
    }

    /// A delivery of its own that the fault sends by itself, and the number that it goes by.
    pub fn delivery(&self) -> (u64, Request) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if !Deliveries::is_unintelligible(number) {
                return (number, self.deliveries.request(number));
            }
        }
    }

    /// What became of such a delivery: it is judged like those of the load.
    pub fn delivered(&mut self, number: u64, fate: Fate) {
        let answered = Instant::now();
        self.sent.push(Sent {
            number,
            fate,
            // Nothing is known about its place behind others.
            sent: answered - Duration::from_secs(3600),
            answered,
        });
    }

    /// Such a delivery must not be taken: it may be on no topic.
    pub fn forbid(&mut self, number: u64) {
        self.forbidden.insert(number);
    }

    /// What was sent so far, by loads that are off.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// Turns the load off, waiting for the answers that are due.
    pub fn load_off(&mut self) {
        let Some((load, since)) = self.load.take() else {
            return;
        };
        let until = Instant::now();
        self.sent.extend(load.stop());
        self.loaded.push((since, until));
    }

    /// Waits until so many more deliveries were answered 202: the way to let time pass under load.
    pub fn accept(&mut self, count: u64) {
        let (load, _) = self.load.as_ref().expect("there is load");
        let wanted = load.accepted() + count;
        within(PATIENCE, "more deliveries are accepted", || {
            (load.accepted() >= wanted).then_some(())
        });
    }

    /// Waits until so many more deliveries were answered, but not with 202.
    pub fn refuse(&mut self, count: u64) {
        let (load, _) = self.load.as_ref().expect("there is load");
        let wanted = load.refused() + count;
        within(PATIENCE, "more deliveries are refused", || {
            (load.refused() >= wanted).then_some(())
        });
    }

    /// Waits until so many more deliveries were sent, whatever was answered.
    pub fn send(&mut self, count: u64) {
        let (load, _) = self.load.as_ref().expect("there is load");
        let wanted = load.sent() + count;
        within(PATIENCE, "more deliveries are sent", || {
            (load.sent() >= wanted).then_some(())
        });
    }

    /// Something was mended just now: the time to the next 202 is measured. (A start counts by itself.)
    pub fn mended(&mut self) {
        self.mended.push(Instant::now());
    }

    /// The ids of all deliveries that were accepted, of load that is off.
    pub fn accepted_ids(&self) -> impl Iterator<Item = Uuid> {
        self.sent.iter().filter_map(|sent| match sent.fate {
            Fate::Accepted(id) => Some(id),
            _ => None,
        })
    }

    // The end.

    /// Waits until nothing is pending in the bridge that runs, as long as it gets on.
    pub fn settle(&mut self) {
        self.settle_below(1);
    }

    /// The same under load: waits until fewer than so many are pending.
    pub fn settle_below(&mut self, count: u64) {
        let bridge = self.bridge();
        let pending = || bridge.metrics().value("journal_pending_deliveries");
        let mut least = pending();
        while least >= count as f64 {
            least = within(PATIENCE, "fewer are pending", || {
                Some(pending()).filter(|now| *now < least)
            });
        }
    }

    /// These deliveries were destroyed by the fault itself: they may be missing, as far as the ledger says so.
    pub fn take(&mut self, ids: impl IntoIterator<Item = Uuid>) {
        self.taken.extend(ids);
    }

    /// The fault destroyed the cursor: everything that is on disk may be published again.
    pub fn expect_everything_again(&mut self) {
        self.everything_again = true;
    }

    /// The fault destroyed what the ledger's counts of published and quarantined stand in: they need not agree with the topics.
    pub fn forget_ledger(&mut self) {
        self.ledger_was_lost = true;
    }

    /// Deliveries must be seen to be lost: the fault is beyond what anybody could survive, and tries the suite itself.
    pub fn expect_loss(&mut self) {
        self.loss_expected = true;
    }

    /// Adds a line below the table.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// This fault cannot be played on this machine.
    pub fn skip(&mut self, why: impl Into<String>) {
        self.skipped = Some(why.into());
    }

    /// It was played without a bridge: this is what it showed.
    pub fn modelled(&mut self, row: Row) {
        self.modelled = Some(row);
    }

    /// What the bridge has logged, all its processes together.
    pub fn log(&self) -> Vec<String> {
        let now = self.bridge.iter().flat_map(Serving::log);
        self.log.iter().cloned().chain(now).collect()
    }

    fn remember_rebuilds(&mut self) {
        let rebuilds = self.bridge().metrics().sum("producer_rebuilds_total");
        self.rebuilds += rebuilds as u64;
    }

    /// Settles and judges. What the fault's story left undone is a violation.
    pub fn finish(&mut self, fault: &Fault) -> Row {
        let mut row = Row {
            fault: fault.name,
            rounds: self.rounds,
            why: fault.excuse.why(),
            skipped: self.skipped.clone(),
            notes: self.notes.clone(),
            ..self.modelled.clone().unwrap_or_default()
        };
        if self.modelled.is_some() && row.lost > 0 {
            row.violations.push(format!("{} lost", row.lost));
        }
        if self.modelled.is_some() || self.skipped.is_some() {
            return row;
        }
        self.load_off();
        self.kafka_back();
        if self.bridge.is_none() {
            self.start();
        }
        self.settle();
        let topics = (self.topic.as_str(), self.quarantine.as_str());
        let verdict = judge::judge(
            &self.kafka,
            topics,
            &self.earlier,
            &self.deliveries,
            &self.sent,
            &self.taken,
            &self.forbidden,
        );
        self.remember_rebuilds();
        self.fill(&mut row, &verdict);
        self.tell_aways(&mut row);
        if self.loss_expected {
            self.tell_expected_loss(&mut row);
            return row;
        }
        if verdict.taken > 0 {
            row.notes.push(format!(
                "{} deliveries were destroyed on disk by the fault itself before they were published; the ledger says so, too",
                verdict.taken
            ));
        }
        row.violations.extend(self.ledger(&verdict));
        row.violations
            .extend(self.violations(&fault.excuse, &verdict));
        row
    }

    fn tell_expected_loss(&self, row: &mut Row) {
        if row.lost == 0 {
            row.violations
                .push("nothing was seen to be lost: the suite is blind".to_owned());
        }
        row.notes
            .push(format!("{} seen to be lost, as it must be", row.lost));
        (row.lost, row.out_of_order) = (0, 0);
    }

    /// What the bridge itself says: `/metrics`, `icr-bridge stats` and the topics agree.
    fn ledger(&self, verdict: &Verdict) -> Vec<String> {
        let mut violations = Vec::new();
        let unaccounted = self.bridge().metrics().value("unaccounted_deliveries");
        if unaccounted != 0.0 {
            violations.push(format!("unaccounted_deliveries is {unaccounted}"));
        }
        let stats = self.stats();
        let found = (verdict.published, verdict.quarantined);
        let told = ["published", "quarantined"].map(|name| stats[name].as_u64());
        if stats["pending"] != 0
            || stats["unaccounted"] != 0
            || stats["written_off"] != verdict.taken
            || !self.ledger_was_lost && told != [Some(found.0), Some(found.1)]
        {
            let taken = verdict.taken;
            violations.push(format!(
                "stats: {stats}, but in the topics: {found:?}, and destroyed: {taken}"
            ));
        }
        violations
    }

    fn fill(&self, row: &mut Row, verdict: &Verdict) {
        row.sent = self.sent.len() as u64;
        row.others = others(&self.sent);
        row.accepted = row.sent - row.refused();
        row.published = verdict.published;
        row.quarantined = verdict.quarantined;
        row.duplicated = verdict.duplicated;
        row.lost = verdict.lost.len() as u64;
        row.out_of_order = verdict.out_of_order;
        let mut accepted: Vec<Instant> = self
            .sent
            .iter()
            .filter(|sent| matches!(sent.fate, Fate::Accepted(_)))
            .map(|sent| sent.answered)
            .collect();
        accepted.sort_unstable();
        let gaps = self.loaded.iter().map(|period| gap(&accepted, *period));
        row.gap = gaps.max().unwrap_or_default();
        let next = |mended: &Instant| {
            let next = accepted.partition_point(|answered| answered < mended);
            accepted.get(next).map(|answered| *answered - *mended)
        };
        row.recovery = self.mended.iter().filter_map(next).max();
    }

    fn violations(&self, excuse: &Excuse, verdict: &Verdict) -> Vec<String> {
        let mut violations = verdict.problems.clone();
        if !verdict.lost.is_empty() {
            let some: Vec<_> = verdict.lost.iter().take(5).map(Uuid::to_string).collect();
            violations.push(format!(
                "{} lost: {} …",
                verdict.lost.len(),
                some.join(", ")
            ));
        }
        if verdict.out_of_order > 0 {
            violations.push(format!("{} out of order", verdict.out_of_order));
        }
        let unexcused: Vec<_> = self
            .sent
            .iter()
            .filter(|sent| !excuse.covers(&sent.fate))
            .cloned()
            .collect();
        if !unexcused.is_empty() {
            violations.push(format!("not 202: {:?}", others(&unexcused)));
        }
        let gone = |sent: &&Sent| {
            matches!(excuse, Excuse::Unproven(_))
                && matches!(sent.fate, Fate::Status(403, _))
                && !verdict.numbers.contains(&sent.number)
        };
        let gone = self.sent.iter().filter(gone).count();
        if gone > 0 {
            violations.push(format!("{gone} were answered 403 and did not come back"));
        }
        let window = self
            .settings
            .iter()
            .find(|(name, _)| name == "PUBLISH_WINDOW");
        let window = window.map_or(WINDOW, |(_, window)| window.parse().unwrap());
        let allowed = (self.crashes + self.rebuilds) * window;
        if verdict.duplicated > allowed && !self.everything_again {
            violations.push(format!(
                "{} duplicated, where {} crashes and {} rebuilt producers explain {allowed} at most",
                verdict.duplicated, self.crashes, self.rebuilds
            ));
        }
        if self.sent.is_empty() {
            violations.push("nothing was sent".to_owned());
        }
        violations
    }
}

/// How much CPU time the bridge has had, in seconds.
pub fn cpu_seconds(bridge: &Serving) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", bridge.pid())).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    // `utime` and `stime`, in ticks of a hundredth of a second.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// The longest time without an acceptance in a period.
fn gap(accepted: &[Instant], (since, until): (Instant, Instant)) -> Duration {
    let within = accepted.iter().filter(|at| **at > since && **at < until);
    let mut longest = Duration::ZERO;
    let mut last = since;
    for at in within.chain([&until]) {
        longest = longest.max(*at - last);
        last = *at;
    }
    longest
}

/// An address where nobody listens, below the range from which systems take the ports of outgoing connections: one of the load's own
/// would else get it while the bridge is down.
fn free_address() -> SocketAddr {
    // No two stages of this process get the same one.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let first = u64::from(std::process::id());
    let ports =
        (0..1000).map(|_| 20_000 + (first * 7 + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    let addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port as u16)));
    let mut free = addresses.filter(|address| TcpListener::bind(address).is_ok());
    free.next().expect("a free port")
}
