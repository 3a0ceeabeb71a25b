//! A broker that belongs to one test, which may start, stop, kill and pause it.

use super::{RealKafka, run, script, unique};
use std::fmt::Write as _;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A broker of one test's own, which it may stop, kill, pause and start again. Gone with its data when dropped.
pub struct OwnBroker {
    kafka: RealKafka,
    folder: PathBuf,
}

impl Deref for OwnBroker {
    type Target = RealKafka;

    fn deref(&self) -> &RealKafka {
        &self.kafka
    }
}

impl OwnBroker {
    /// Starts one; takes some 3 s and 300 MB.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with further properties, `["message.max.bytes=2000"]` and the like.
    pub fn start_with(properties: &[&str]) -> Self {
        let parent =
            std::env::var("KAFKA_WORK").unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
        Self::start_in(Path::new(&parent), properties)
    }

    /// The same with options for its Java.
    pub fn start_with_java(options: &str, properties: &[String]) -> Self {
        let parent =
            std::env::var("KAFKA_WORK").unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
        let folder = Path::new(&parent).join(unique("broker"));
        let mut command = script("start");
        command
            .arg(&folder)
            .args(properties)
            .env("KAFKA_OPTS", options);
        Self::started(folder, command)
    }

    /// The same with its folder in this one.
    pub fn start_in(parent: &Path, properties: &[&str]) -> Self {
        let folder = parent.join(unique("broker"));
        let mut command = script("start");
        command.arg(&folder).args(properties);
        Self::started(folder, command)
    }

    /// Starts the second broker of this one's cluster, with its folder beside. None where brokers run in containers: they do not see each other.
    pub fn join(&self) -> Option<Self> {
        self.join_as(2, &[])
    }

    /// The same with a node's id of its own and further properties.
    pub fn join_as(&self, node: u32, properties: &[&str]) -> Option<Self> {
        if self.in_container() {
            return None;
        }
        let folder = self.folder.with_file_name(unique("broker"));
        let mut command = script("start");
        command
            .arg(&folder)
            .args(properties)
            .env("KAFKA_JOIN", &self.folder)
            .env("KAFKA_NODE", node.to_string());
        Some(Self::started(folder, command))
    }

    /// Whether it runs in a container, out of which only its two ordinary listeners lead.
    pub fn in_container(&self) -> bool {
        self.kafka.container.is_some()
    }

    /// Adds properties, which count from the next start on.
    pub fn configure(&self, properties: &[String]) {
        let path = self.folder.join("config/server.properties");
        let mut text = std::fs::read_to_string(&path).unwrap();
        for property in properties {
            writeln!(text, "{property}").unwrap();
        }
        std::fs::write(path, text).unwrap();
    }

    fn started(folder: PathBuf, command: Command) -> Self {
        // From here on a panic must not leave the process behind.
        let mut broker = Self {
            kafka: RealKafka {
                bootstrap: String::new(),
                sasl_bootstrap: None,
                container: None,
            },
            folder,
        };
        let said = run(command);
        let line = |name: &str| {
            let lines = said.lines();
            lines
                .filter_map(|line| line.split_once('='))
                .find(|(found, _)| *found == name)
                .map(|(_, it)| it.to_owned())
        };
        broker.kafka = RealKafka {
            bootstrap: line("KAFKA_BOOTSTRAP").expect("KAFKA_BOOTSTRAP"),
            sasl_bootstrap: line("KAFKA_SASL_BOOTSTRAP"),
            container: line("KAFKA_CONTAINER"),
        };
        broker
    }

    /// Stops it in order, and waits until it is gone.
    pub fn stop(&self) {
        self.end("--stop");
    }

    /// Stops it in order and starts it again.
    pub fn roll(&self) {
        self.stop();
        self.restart();
    }

    /// `kill -9`. The next start takes some 5 s, since the broker's old session must run out.
    pub fn kill(&self) {
        self.end("--kill");
    }

    /// Its connections stay, and it answers nothing.
    pub fn pause(&self) {
        self.end("--pause");
    }

    /// The end of [`OwnBroker::pause`].
    pub fn resume(&self) {
        self.end("--resume");
    }

    /// Starts it again after [`OwnBroker::stop`] or [`OwnBroker::kill`]: same ports, same data.
    pub fn restart(&self) {
        let mut command = script("start");
        command.arg(&self.folder);
        run(command);
    }

    /// The same with another property, from now on.
    pub fn restart_with(&self, property: &str) {
        let file = self.folder.join("config/server.properties");
        let properties = std::fs::read_to_string(&file).unwrap();
        // Of a property that stands there twice the last counts.
        std::fs::write(&file, format!("{properties}\n{property}\n")).unwrap();
        self.restart();
    }

    fn end(&self, how: &str) {
        let mut command = script("stop");
        command.arg(&self.folder).arg(how);
        run(command);
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        let mut command = script("stop");
        // Nothing to report to: a broker that does not go is seen by tests/run, which ends all of them.
        let _ = command.arg(&self.folder).arg("--remove").output();
    }
}
