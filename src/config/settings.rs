//! The one table of settings: the raw struct that `envy` fills, the documentation, and the defaults are made from it.

use serde::Deserialize;

pub const PREFIX: &str = "ICR_BRIDGE_";

/// One setting, as the README and `deploy/env.example` list it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The variable's name without the prefix.
    pub name: &'static str,
    /// The default as one would type it; `None` where unset means off or required.
    pub default: Option<&'static str>,
    /// What it does, its unit, and what is allowed.
    pub meaning: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

macro_rules! settings {
    ($($field:ident: $name:literal = $default:expr, $secret:literal, $meaning:literal;)+) => {
        /// Every setting, in the order in which an operator reads them.
        pub const SETTINGS: &[Setting] = &[
            $(Setting { name: $name, default: $default, meaning: $meaning, secret: $secret },)+
        ];

        /// What stands in the environment: strings only, so that `envy` cannot stop at the first error.
        #[derive(Default, Clone, Deserialize)]
        pub(super) struct Raw {
            $(pub(super) $field: Option<String>,)+
        }

        impl Raw {
            /// The value of a setting by its name, as typed.
            pub(super) fn get(&self, name: &str) -> Option<&str> {
                match name {
                    $($name => self.$field.as_deref(),)+
                    _ => None,
                }
            }
        }
    };
}

settings! {
    listen: "LISTEN" = Some("0.0.0.0:4040"), false,
        "Address of the ingress listener: `POST /webhook`, `POST /webhook/<app>`. Without effect where the service manager hands a socket over.";
    admin_listen: "ADMIN_LISTEN" = Some("127.0.0.1:4041"), false,
        "Address of the admin listener: `/metrics`, `/healthz`, `/readyz`, `/schema/`.";
    tls_certificate_file: "TLS_CERTIFICATE_FILE" = None, false,
        "File with a certificate chain, PEM, the server's own first: the ingress listener then speaks TLS (1.2 and 1.3) and nothing else. Read again, together with the key, when it has changed. Not needed behind a proxy that ends TLS.";
    tls_key_file: "TLS_KEY_FILE" = None, false,
        "File with the private key of that certificate, PEM, unencrypted.";
    instance: "INSTANCE" = None, false,
        "Name of this replica, `[A-Za-z0-9_.-]{1,64}`: header `ce_instance`.";
    webhook_secret: "WEBHOOK_SECRET" = None, true,
        "Secret of `/webhook` (app `default`), exactly as typed at ICR. This, the file, or `APP_SECRET_FILES` is required.";
    webhook_secret_file: "WEBHOOK_SECRET_FILE" = None, false,
        "File with the secrets of `/webhook`, one a line: the first current, the others still accepted. Read again when it has changed.";
    app_secret_files: "APP_SECRET_FILES" = None, false,
        "`name=/path,…`: opens `/webhook/<name>` for each, with the secrets of its file, read again when it has changed. Names match `[a-z0-9-]{1,32}`.";
    journal_dir: "JOURNAL_DIR" = Some("./icr-bridge-journal"), false,
        "Folder of the journal; created with mode 0700.";
    journal_segment_bytes: "JOURNAL_SEGMENT_BYTES" = Some("64MiB"), false,
        "Size of a segment, 64 KiB to 1 GiB.";
    journal_spare_segments: "JOURNAL_SPARE_SEGMENTS" = Some("2"), false,
        "Preallocated segments kept ahead, 0 to 64.";
    journal_queue: "JOURNAL_QUEUE" = Some("4096"), false,
        "Deliveries that may wait for the disk; more are refused with 503. 1 to 1,000,000.";
    journal_retention_hours: "JOURNAL_RETENTION_HOURS" = Some("168"), false,
        "Published segments are kept for this long.";
    journal_retention_bytes: "JOURNAL_RETENTION_BYTES" = Some("10GiB"), false,
        "Published segments go, oldest first, while the journal is larger than this.";
    journal_low_water_bytes: "JOURNAL_LOW_WATER_BYTES" = Some("1GiB"), false,
        "Free space of the filesystem under which the alarm is raised.";
    kafka_brokers: "KAFKA_BROKERS" = None, false,
        "Bootstrap servers, `host:port,…`. Required by `serve`.";
    kafka_topic: "KAFKA_TOPIC" = Some("icr.webhooks"), false,
        "Topic, a template: `{app}` and `{event}` are allowed. With several apps it must contain `{app}`.";
    kafka_quarantine_topic: "KAFKA_QUARANTINE_TOPIC" = Some("icr.webhooks.quarantine"), false,
        "Topic of proven but unintelligible deliveries; `{app}` is allowed.";
    kafka_key: "KAFKA_KEY" = Some("{event}:{organization}"), false,
        "Record key, a template: `{app}`, `{event}` and `{organization}` are allowed.";
    kafka_shared_topic: "KAFKA_SHARED_TOPIC" = Some("false"), false,
        "Whether several apps may share one topic.";
    kafka_properties: "KAFKA_PROPERTIES" = None, true,
        "librdkafka properties, `name=value`, separated by commas: TLS, SASL, tuning. A value that contains a comma needs the file.";
    kafka_properties_file: "KAFKA_PROPERTIES_FILE" = None, false,
        "The same, one a line, from a file; lines that begin with `#` are comments.";
    kafka_create_topics: "KAFKA_CREATE_TOPICS" = Some("false"), false,
        "Whether missing topics are created.";
    kafka_topic_partitions: "KAFKA_TOPIC_PARTITIONS" = Some("6"), false,
        "Partitions of a created topic.";
    kafka_topic_replication_factor: "KAFKA_TOPIC_REPLICATION_FACTOR" = Some("1"), false,
        "Replication factor of a created topic.";
    publish_window: "PUBLISH_WINDOW" = Some("10000"), false,
        "Records that may be under way to Kafka; at most as many appear twice after a crash. 1 to 1,000,000.";
    content_mode: "CONTENT_MODE" = Some("binary"), false,
        "CloudEvents content mode of event records: `binary` or `structured`.";
    drop_sender: "DROP_SENDER" = Some("false"), false,
        "Whether `sender` (personal data) is published as null. Quarantine keeps the whole body.";
    signature_headers: "SIGNATURE_HEADERS" = Some("false"), false,
        "Whether records carry `icr_signed_data` and `icr_signature`, so that consumers can verify ICR's signature. Excludes `DROP_SENDER`.";
    max_body_bytes: "MAX_BODY_BYTES" = Some("512KiB"), false,
        "Largest body, inflated. Must stay 16 KiB below the property `message.max.bytes`; with `SIGNATURE_HEADERS` that holds for 1.75 times as much.";
    duplicate_window: "DUPLICATE_WINDOW" = Some("100000"), false,
        "Deliveries among which a repeat is recognised; 0 switches that off.";
    rejected_ring_bytes: "REJECTED_RING_BYTES" = Some("64MiB"), false,
        "Disk space for deliveries rejected as `signature_wrong`, kept to be judged again; up to 4 GiB, 0 keeps none.";
    header_timeout_seconds: "HEADER_TIMEOUT_SECONDS" = Some("5"), false,
        "Time for a request's head, then 408.";
    body_timeout_seconds: "BODY_TIMEOUT_SECONDS" = Some("10"), false,
        "Time for a request's body, then 408.";
    keep_alive_seconds: "KEEP_ALIVE_SECONDS" = Some("75"), false,
        "How long an idle connection is kept.";
    max_connections: "MAX_CONNECTIONS" = Some("10000"), false,
        "Connections served at a time, shared evenly among the workers. When all places are taken, those that have been silent the longest make room.";
    workers: "WORKERS" = None, false,
        "HTTP worker threads; default: one a core.";
    shutdown_delay_seconds: "SHUTDOWN_DELAY_SECONDS" = Some("0"), false,
        "How long to go on accepting after SIGTERM, not ready, so that a load balancer notices.";
    admin_token: "ADMIN_TOKEN" = None, true,
        "Token that everything on the admin listener but `/metrics`, `/healthz` and `/readyz` asks for, as `Authorization: Bearer <token>`. Without one the rest is served on loopback only.";
    admin_token_file: "ADMIN_TOKEN_FILE" = None, false,
        "File with such tokens, one a line: the first current, the others still accepted.";
    admin_hosts: "ADMIN_HOSTS" = None, false,
        "Host names by which the rest may be addressed, separated by commas, beside `localhost` and addresses; other `Host` headers are refused.";
    log: "LOG" = Some("info"), false,
        "What is logged: `error`, `warn`, `info`, `debug`, or directives like `info,icr_bridge::publisher=debug`.";
    log_format: "LOG_FORMAT" = Some("text"), false,
        "`text` or `json`.";
}

/// The table's entry for a name.
pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}
