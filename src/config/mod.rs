//! Configuration: environment variables in, one checked [`Config`] out, or every problem at once.
//!
//! Nothing is half configured: a value that cannot be used stops the start with the variable's name and what it should be.
//! Secrets are held as keys and never printed.

mod admin;
mod apps;
mod brokers;
mod environment;
mod judging;
mod kafka;
mod secrets;
pub mod settings;
mod show;
mod tls;

use crate::domain::record::RecordSettings;
use crate::domain::signature::SecretSet;
use crate::journal;
use crate::publisher::properties;
use crate::tls::Identity;
pub use admin::AdminAccess;
pub use apps::DEFAULT_APP;
pub use environment::Problem;
pub(crate) use environment::parse_size;
use environment::{Environment, nearest, size};
pub use judging::Judging;
pub use secrets::{App, SecretSource};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Room that a quarantine record's headers may take beside the body, below `message.max.bytes`.
const RECORD_HEADROOM: u64 = 16 << 10;

/// The smallest segment: a few full-sized groups.
const MIN_SEGMENT_BYTES: u64 = 64 << 10;

/// The largest ring of rejected deliveries: its index is held in memory, and takes up to a third of that.
const MAX_RING_BYTES: u64 = 4 << 30;

/// The checked configuration of `serve`.
#[derive(Debug, Clone)]
pub struct Config {
    pub http: Http,
    pub admin_listen: SocketAddr,
    /// Who is served there, beyond metrics and probes.
    pub admin_access: AdminAccess,
    /// The apps that deliver here, `default` first where it is open.
    pub apps: Vec<App>,
    pub journal: journal::Options,
    pub record: RecordSettings,
    pub kafka: Kafka,
    /// Deliveries among which a repeat is recognised.
    pub duplicate_window: usize,
    /// Bytes that rejected deliveries may take on disk; 0: none is kept.
    pub rejected_ring_bytes: u64,
    /// Time between SIGTERM and closing the ingress.
    pub shutdown_delay: Duration,
    /// Variables with our prefix that name no setting, each with the nearest that does.
    pub unknown: Vec<(String, Option<String>)>,
    /// What can be used and was hardly meant so, a sentence each. Never a secret.
    pub warnings: Vec<String>,
    shown: Vec<(String, String)>,
}

/// The ingress listener.
#[derive(Debug, Clone)]
pub struct Http {
    pub listen: SocketAddr,
    /// Certificate and key; `None`: no TLS.
    pub tls: Option<Identity>,
    /// Largest body in bytes, inflated.
    pub max_body_bytes: usize,
    /// Time for a request's head.
    pub header_timeout: Duration,
    /// Time for a request's body.
    pub body_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Connections served at a time.
    pub max_connections: usize,
    pub workers: usize,
}

#[derive(Clone)]
pub struct Kafka {
    pub brokers: String,
    /// The operator's own librdkafka properties, by canonical name.
    pub properties: BTreeMap<String, String>,
    /// Whether missing topics are created, and how.
    pub create_topics: bool,
    /// Partitions of a created topic.
    pub partitions: i32,
    /// Replication factor of a created topic.
    pub replication_factor: i32,
    /// Records under way at most.
    pub window: usize,
}

impl std::fmt::Debug for Kafka {
    /// Leaves out the properties: they hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kafka")
            .field("brokers", &self.brokers)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

/// How and what is logged. Read apart from the rest, so that a wrong configuration can be reported in the right format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Directives of `tracing_subscriber::EnvFilter`.
    pub directives: String,
    /// JSON lines instead of text.
    pub json: bool,
}

/// Everything that is wrong, never empty.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<Problem>);

/// Variables as `std::env::vars_os` gives them; tests pass their own.
pub type Variables = Vec<(OsString, OsString)>;

impl Config {
    /// Reads and checks everything that `serve` needs, the secret files, certificate and key included.
    pub fn read(variables: Variables) -> Result<Self, ConfigError> {
        let mut env = Environment::new(variables);
        let http = http(&mut env);
        let admin_listen = address(&mut env, "ADMIN_LISTEN");
        let admin_access = admin::read(&mut env);
        let apps = apps::read(&mut env);
        let journal = journal_options(&mut env);
        let names: Vec<_> = apps.iter().map(|app| app.name.clone()).collect();
        let record = kafka::record_settings(&mut env, &names);
        let kafka = kafka::settings(&mut env);
        let config = Self {
            duplicate_window: duplicate_window(&mut env),
            rejected_ring_bytes: rejected_ring_bytes(&mut env),
            shutdown_delay: Duration::from_secs(env.number("SHUTDOWN_DELAY_SECONDS", 0..=3600)),
            unknown: env
                .unknown
                .iter()
                .map(|name| (name.clone(), nearest(name)))
                .collect(),
            warnings: Vec::new(),
            shown: Vec::new(),
            http,
            admin_listen,
            admin_access,
            apps,
            journal,
            record,
            kafka,
        };
        check_sizes(&mut env, &config);
        if config.http.listen == config.admin_listen && config.http.listen.port() != 0 {
            env.problem(
                "ADMIN_LISTEN",
                "is the same address as LISTEN; give it another port",
            );
        }
        log(&mut env);
        let shown = show::effective(&env, &config);
        if env.problems.is_empty() {
            Ok(Self {
                warnings: env.warnings,
                shown,
                ..config
            })
        } else {
            env.tell_misspelt();
            Err(ConfigError(env.problems))
        }
    }

    /// Every setting with its effective value, secrets masked, the topics spelled out: what `check-config` prints.
    pub fn effective(&self) -> &[(String, String)] {
        &self.shown
    }
}

/// What it takes to publish from a journal, and nothing of the door: for commands that do so where no bridge runs.
#[derive(Debug, Clone)]
pub struct Publishing {
    /// The names of the apps that may have delivered, as far as they are configured.
    pub apps: Vec<String>,
    pub journal: journal::Options,
    pub record: RecordSettings,
    pub kafka: Kafka,
}

impl Publishing {
    /// Reads and checks the settings that it takes; what is wrong with others is of no concern.
    pub fn read(variables: Variables) -> Result<Self, ConfigError> {
        let mut env = Environment::new(variables);
        let apps = apps::names(&env);
        let publishing = Self {
            journal: journal_options(&mut env),
            record: kafka::record_settings(&mut env, &apps),
            kafka: kafka::settings(&mut env),
            apps,
        };
        if env.problems.is_empty() {
            Ok(publishing)
        } else {
            env.tell_misspelt();
            Err(ConfigError(env.problems))
        }
    }
}

/// The journal's folder alone: for commands that need nothing else.
pub fn journal_dir(variables: Variables) -> PathBuf {
    let name = format!("{}JOURNAL_DIR", settings::PREFIX);
    let set = variables
        .into_iter()
        .find_map(|(variable, value)| (variable == *name && !value.is_empty()).then_some(value));
    let default = settings::setting("JOURNAL_DIR").and_then(|setting| setting.default);
    // As it stands, also where it is not UTF-8: another folder must never be taken for the one that was named.
    set.map_or_else(|| default.unwrap_or_default().into(), PathBuf::from)
}

/// The secrets of one app alone, for `send`; `None` where the environment names none for it.
pub fn secrets_of(variables: Variables, app: &str) -> Result<Option<SecretSet>, ConfigError> {
    let mut env = Environment::new(variables);
    let secrets = apps::secrets_of(&mut env, app);
    if env.problems.is_empty() {
        Ok(secrets)
    } else {
        Err(ConfigError(env.problems))
    }
}

/// The form of records alone: for commands that show records and publish none.
pub fn record_settings(variables: Variables) -> Result<RecordSettings, ConfigError> {
    let mut env = Environment::new(variables);
    let settings = kafka::record_settings(&mut env, &[]);
    if env.problems.is_empty() {
        Ok(settings)
    } else {
        Err(ConfigError(env.problems))
    }
}

/// The admin address alone: for `healthcheck`.
pub fn admin_listen(variables: Variables) -> Result<SocketAddr, ConfigError> {
    let mut env = Environment::new(variables);
    let listen = address(&mut env, "ADMIN_LISTEN");
    env.problems
        .retain(|problem| problem.variable.ends_with("ADMIN_LISTEN"));
    if env.problems.is_empty() {
        Ok(listen)
    } else {
        Err(ConfigError(env.problems))
    }
}

/// The log settings alone; a wrong one falls back to the default and is reported by [`Config::read`].
pub fn log_settings(variables: Variables) -> Log {
    log(&mut Environment::new(variables))
}

fn log(env: &mut Environment) -> Log {
    let directives = env.parse(
        "LOG",
        "a log level or filter such as `info,icr_bridge=debug`",
        |text| is_log_filter(text).then(|| text.to_owned()),
    );
    let json = env.parse("LOG_FORMAT", "`text` or `json`", |text| match text {
        "text" => Some(false),
        "json" => Some(true),
        _ => None,
    });
    Log {
        directives: directives.unwrap_or_else(|| "info".to_owned()),
        json: json.unwrap_or(false),
    }
}

/// A bare word that is no level would silence everything: it names a target that does not exist.
fn is_log_filter(text: &str) -> bool {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let sound = |part: &str| {
        let part = part.trim();
        part.contains('=')
            || part.contains("::")
            || levels.contains(&part.to_ascii_lowercase().as_str())
    };
    text.split(',').all(sound) && tracing_subscriber::EnvFilter::try_new(text).is_ok()
}

fn address(env: &mut Environment, name: &'static str) -> SocketAddr {
    env.parse(
        name,
        "an address such as 0.0.0.0:4040 or [::]:4040",
        |text| text.parse().ok(),
    )
    .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn seconds(env: &mut Environment, name: &'static str) -> Duration {
    Duration::from_secs(env.number(name, 1..=86_400))
}

fn http(env: &mut Environment) -> Http {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Http {
        listen: address(env, "LISTEN"),
        tls: tls::read(env),
        max_body_bytes: usize::try_from(env.bytes("MAX_BODY_BYTES", 1..=(64 << 20)))
            .unwrap_or(usize::MAX),
        header_timeout: seconds(env, "HEADER_TIMEOUT_SECONDS"),
        body_timeout: seconds(env, "BODY_TIMEOUT_SECONDS"),
        keep_alive: seconds(env, "KEEP_ALIVE_SECONDS"),
        max_connections: env.number("MAX_CONNECTIONS", 1..=1_000_000),
        workers: if env.is_set("WORKERS") {
            env.number("WORKERS", 1..=1024)
        } else {
            cores
        },
    }
}

fn duplicate_window(env: &mut Environment) -> usize {
    env.number("DUPLICATE_WINDOW", 0..=10_000_000)
}

fn rejected_ring_bytes(env: &mut Environment) -> u64 {
    env.bytes("REJECTED_RING_BYTES", 0..=MAX_RING_BYTES)
}

fn journal_options(env: &mut Environment) -> journal::Options {
    let hours: u64 = env.number("JOURNAL_RETENTION_HOURS", 0..=876_000);
    journal::Options {
        dir: PathBuf::from(env.text("JOURNAL_DIR").unwrap_or_default()),
        segment_bytes: env.bytes("JOURNAL_SEGMENT_BYTES", MIN_SEGMENT_BYTES..=(1 << 30)),
        spare_segments: env.number("JOURNAL_SPARE_SEGMENTS", 0..=64),
        queue: env.number("JOURNAL_QUEUE", 1..=1_000_000),
        retention_age: Duration::from_secs(hours * 3600),
        retention_bytes: env.bytes("JOURNAL_RETENTION_BYTES", 0..=u64::MAX),
        low_water_bytes: env.bytes("JOURNAL_LOW_WATER_BYTES", 0..=u64::MAX),
    }
}

/// A body that was accepted must fit the quarantine topic's record whatever happens, and with `SIGNATURE_HEADERS` the event's record
/// too: that is checked before the first delivery.
fn check_sizes(env: &mut Environment, config: &Config) {
    let limit = properties::message_max_bytes(&config.kafka.properties);
    let body = config.http.max_body_bytes as u64;
    let too_large = |record: u64| record.saturating_add(RECORD_HEADROOM) > limit;
    if too_large(body) {
        env.problem(
            "MAX_BODY_BYTES",
            format!(
                "{} must stay 16 KiB below the property message.max.bytes, which is {limit}; lower it, or raise that property here and at the broker",
                size(body)
            ),
        );
    } else if config.record.signature_headers && too_large(with_signed_data(body)) {
        let most = limit.saturating_sub(RECORD_HEADROOM) / 7 * 4;
        env.problem(
            "MAX_BODY_BYTES",
            format!(
                "{} is too much together with SIGNATURE_HEADERS: a record then holds signed data and event, up to 1.75 times the body; \
                 lower it to {most}, or raise the property message.max.bytes from {limit} to {} here and at the broker",
                size(body),
                with_signed_data(body) + RECORD_HEADROOM
            ),
        );
    }
}

/// The largest event of a body and its signed data beside it: base64 writes four digits for three bytes of the event.
fn with_signed_data(body: u64) -> u64 {
    body.saturating_add(body.div_ceil(4) * 3)
}
