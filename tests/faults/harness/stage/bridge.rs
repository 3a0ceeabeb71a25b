//! The stage's bridge: its settings and limits, its journal's folder, and the ways to start, freeze, kill and stop it.

use super::super::limits::{self, Container};
use super::super::shim::Rule;
use super::super::volume::Volume;
use super::{PATIENCE, Stage, WINDOW};
use crate::support::eventually::within;
use crate::support::process::{self, Ended, Serving};
use crate::support::service_manager::ServiceManager;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::rc::Rc;

impl Stage {
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

    /// What the bridge has logged, all its processes together.
    pub fn log(&self) -> Vec<String> {
        let now = self.bridge.iter().flat_map(Serving::log);
        self.log.iter().cloned().chain(now).collect()
    }

    pub(super) fn remember_rebuilds(&mut self) {
        let rebuilds = self.bridge().metrics().sum("producer_rebuilds_total");
        self.rebuilds += rebuilds as u64;
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
