//! The command line: one file a command. Each returns how the process ends; only `main` ends it.

mod check_config;
mod completions;
mod demo;
mod drain;
mod errand;
mod healthcheck;
mod inspect;
mod journal;
mod print;
mod replay;
mod reverify;
mod schema;
mod selection;
mod send;
mod serve;
mod stats;

use crate::config::{ConfigError, Variables};
use crate::journal::OpenError;
use clap::{Parser, Subcommand};
use print::errln;
use std::process::ExitCode;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done,
    /// It did not.
    Failed,
    /// A second signal: it left without waiting for anything.
    AtOnce,
    /// A part of it had ended that it cannot do without.
    Broken,
    /// Configuration or usage (sysexits' EX_USAGE).
    Usage,
    /// `journal verify` found damage (EX_DATAERR).
    Damage,
    /// A file or socket could not be used (EX_IOERR).
    Io,
    /// Another process holds the journal (EX_TEMPFAIL).
    Locked,
}

impl Exit {
    /// The first of the two that is not [`Exit::Done`].
    fn or(self, other: Self) -> Self {
        if self == Self::Done { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed | Exit::AtOnce | Exit::Broken => 1,
            Exit::Usage => 64,
            Exit::Damage => 65,
            Exit::Io => 74,
            Exit::Locked => 75,
        })
    }
}

impl From<&OpenError> for Exit {
    fn from(error: &OpenError) -> Self {
        match error {
            OpenError::Locked { .. } => Self::Locked,
            OpenError::NewerVersion { .. } => Self::Failed,
            OpenError::Io { .. } => Self::Io,
        }
    }
}

/// Receives the webhooks of the International Carbon Registry, proves them, makes them safe on disk and publishes them to Kafka.
#[derive(Debug, Parser)]
#[command(
    version,
    long_version = crate::version::LONG,
    propagate_version = true,
    after_help = "Settings are environment variables with the prefix ICR_BRIDGE_; `icr-bridge check-config` lists all of them.\n\
        Exit codes: 0 done, 1 failed, 64 configuration or usage, 65 damage found, 74 I/O, 75 the journal is locked."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the bridge until SIGTERM (the default)
    #[command(
        after_help = "Needs at least ICR_BRIDGE_KAFKA_BROKERS and ICR_BRIDGE_WEBHOOK_SECRET or ICR_BRIDGE_WEBHOOK_SECRET_FILE.\n\
        SIGTERM or Ctrl-C leaves in order; a second one leaves at once. What was answered 202 is safe either way."
    )]
    Serve,
    /// Shows the whole bridge at work: no Kafka, no Docker, nothing to configure
    Demo(demo::Options),
    /// Sends signed deliveries, one or many, to any ICR endpoint, and tells what became of them
    #[command(after_long_help = send::LONG_HELP, after_help = "`icr-bridge send --help` explains secrets, expectations and latencies, and shows examples.")]
    Send(Box<send::Options>),
    /// Checks the configuration and prints what is in force, secrets masked
    CheckConfig,
    /// Asks a running bridge whether it can store deliveries (exit 0) or not (exit 1)
    #[command(after_help = "Needs only ICR_BRIDGE_ADMIN_LISTEN.")]
    Healthcheck,
    /// Shows which deliveries the journal holds, what each was, and what became of it
    #[command(after_help = inspect::AFTER_HELP)]
    Inspect(inspect::Options),
    /// Prints the ledger of the journal: accepted, published, quarantined, held, pending
    #[command(
        after_help = "Needs only ICR_BRIDGE_JOURNAL_DIR. Works beside a running bridge and on a copy."
    )]
    Stats(stats::Options),
    /// Publishes deliveries of the journal again, with the same ids
    #[command(after_help = replay::HELP)]
    Replay(replay::Options),
    /// Judges again what was rejected for its signature, and journals what a secret in force proves
    #[command(after_help = reverify::HELP)]
    Reverify(reverify::Options),
    /// Waits until everything that is in the journal now is published
    #[command(after_help = drain::HELP)]
    Drain(drain::Options),
    /// Prints the contract with consumers: what stands in a record
    #[command(
        after_help = "For example: icr-bridge schema event > event.schema.json; icr-bridge schema --format asyncapi > asyncapi.yaml\n\
        A running bridge serves the same under /schema/ on ICR_BRIDGE_ADMIN_LISTEN."
    )]
    Schema(schema::Options),
    /// Looks after the journal's files
    #[command(subcommand)]
    Journal(journal::Command),
    /// Prints what a shell needs to complete the command line
    #[command(
        after_help = "bash: icr-bridge completions bash > ~/.local/share/bash-completion/completions/icr-bridge\n\
        zsh:  icr-bridge completions zsh > \"${fpath[1]}/_icr-bridge\"\n\
        fish: icr-bridge completions fish > ~/.config/fish/completions/icr-bridge.fish"
    )]
    Completions(completions::Options),
}

impl Cli {
    /// Parses the arguments; help and version go to standard output, wrong usage ends with 64 and says what would be right.
    pub fn parse_or_explain() -> Result<Self, Exit> {
        Self::try_parse().map_err(|error| {
            let printed = error.print();
            if error.use_stderr() {
                return Exit::Usage;
            }
            print::note(printed);
            print::settle(Exit::Done)
        })
    }

    pub fn run(self) -> Exit {
        let variables: Variables = std::env::vars_os().collect();
        let exit = match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(variables),
            Command::Demo(options) => demo::run(options),
            Command::Send(options) => send::run(&options, variables),
            Command::CheckConfig => check_config::run(variables),
            Command::Healthcheck => healthcheck::run(variables),
            Command::Inspect(options) => inspect::run(options, variables),
            Command::Stats(options) => stats::run(options, variables),
            Command::Replay(options) => replay::run(options, variables),
            Command::Reverify(options) => reverify::run(options, variables),
            Command::Drain(options) => drain::run(options, variables),
            Command::Schema(options) => schema::run(options),
            Command::Journal(command) => journal::run(command, variables),
            Command::Completions(options) => completions::run(&options),
        };
        print::settle(exit)
    }
}

/// Says what is wrong with the arguments, where clap cannot know.
fn explain_usage(command: &str, problem: &str) -> Exit {
    errln!(
        "icr-bridge {command}: {problem}\n\nFor more information, try 'icr-bridge {command} --help'."
    );
    Exit::Usage
}

/// Prints every problem of a configuration, and how it ends.
fn explain(error: &ConfigError) -> Exit {
    let count = error.0.len();
    errln!(
        "icr-bridge: {count} problem{} with the configuration:",
        if count == 1 { "" } else { "s" }
    );
    for problem in &error.0 {
        errln!("  {problem}");
    }
    Exit::Usage
}
