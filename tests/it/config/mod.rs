//! Configuration: everything that is wrong is said at once, and nothing secret is ever shown.

mod apps;
mod kafka;

use crate::support::app::variables;
use icr_bridge::config::{Config, journal_dir, settings::SETTINGS};

const GOOD: [(&str, &str); 2] = [
    ("WEBHOOK_SECRET", "s3cret"),
    ("KAFKA_BROKERS", "kafka:9092"),
];

fn read(settings: &[(&str, &str)]) -> Result<Config, String> {
    let mut all = GOOD.to_vec();
    all.retain(|(name, _)| !settings.iter().any(|(other, _)| other == name));
    all.extend_from_slice(settings);
    Config::read(variables(&all)).map_err(|error| error.to_string())
}

fn refused(settings: &[(&str, &str)]) -> String {
    read(settings)
        .err()
        .unwrap_or_else(|| panic!("{settings:?} is accepted"))
}

#[test]
fn a_secret_and_brokers_are_enough() {
    let config = read(&[]).unwrap();
    assert_eq!(config.http.listen.to_string(), "0.0.0.0:4040");
    assert_eq!(config.admin_listen.to_string(), "127.0.0.1:4041");
    assert_eq!(config.http.max_body_bytes, 512 << 10);
    assert_eq!(config.journal.segment_bytes, 64 << 20);
    assert_eq!(config.journal.retention_bytes, 10 << 30);
    assert_eq!(config.kafka.window, 10_000);
}

#[test]
fn every_problem_is_reported_at_once_with_the_variable_s_name() {
    let error = refused(&[
        ("KAFKA_BROKERS", ""),
        ("LISTEN", "nowhere"),
        ("MAX_BODY_BYTES", "lots"),
        ("WORKERS", "0"),
        ("CONTENT_MODE", "xml"),
        ("KAFKA_TOPIC", "a topic"),
        ("DROP_SENDER", "yes"),
        ("LOG_FORMAT", "xml"),
    ]);
    assert_eq!(error.lines().count(), 8, "{error}");
    for name in [
        "KAFKA_BROKERS",
        "LISTEN",
        "MAX_BODY_BYTES",
        "WORKERS",
        "CONTENT_MODE",
        "KAFKA_TOPIC",
        "DROP_SENDER",
        "LOG_FORMAT",
    ] {
        assert!(
            error.contains(&format!("ICR_BRIDGE_{name}: ")),
            "{name} in\n{error}"
        );
    }
}

#[test]
fn without_a_secret_nothing_starts() {
    let error = Config::read(variables(&[("KAFKA_BROKERS", "kafka:9092")]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ICR_BRIDGE_WEBHOOK_SECRET: is required"),
        "{error}"
    );
    assert!(refused(&[("WEBHOOK_SECRET", "")]).contains("is empty"));
}

#[test]
fn a_missing_or_empty_secret_file_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    std::fs::write(&empty, "\n\r\n\n").unwrap();
    for path in [empty.to_str().unwrap(), "/nowhere/at/all", ""] {
        let settings = variables(&[
            ("KAFKA_BROKERS", "kafka:9092"),
            ("WEBHOOK_SECRET_FILE", path),
        ]);
        let error = Config::read(settings).unwrap_err().to_string();
        assert!(
            error.contains("ICR_BRIDGE_WEBHOOK_SECRET_FILE: "),
            "{error}"
        );
        let apps = format!("sandbox={path}");
        assert!(refused(&[("APP_SECRET_FILES", &apps)]).contains("ICR_BRIDGE_APP_SECRET_FILES: "));
    }
}

#[test]
fn a_variable_and_its_file_exclude_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "linger.ms=1").unwrap();
    let path = file.to_str().unwrap();
    assert!(
        refused(&[("WEBHOOK_SECRET_FILE", path)]).contains("together with WEBHOOK_SECRET_FILE")
    );
    let both = [
        ("KAFKA_PROPERTIES", "linger.ms=1"),
        ("KAFKA_PROPERTIES_FILE", path),
    ];
    assert!(refused(&both).contains("together with KAFKA_PROPERTIES_FILE"));
}

#[test]
fn a_properties_file_that_is_none_is_refused_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    assert!(refused(&[("KAFKA_PROPERTIES_FILE", folder)]).contains("no regular file"));
    assert!(refused(&[("KAFKA_PROPERTIES_FILE", "/dev/zero")]).contains("no regular file"));
    assert!(refused(&[("KAFKA_PROPERTIES_FILE", "/nowhere/at/all")]).contains("cannot be read"));
    let file = dir.path().join("file");
    std::fs::write(&file, b"linger.ms=1\n\xff").unwrap();
    assert!(refused(&[("KAFKA_PROPERTIES_FILE", file.to_str().unwrap())]).contains("not UTF-8"));
}

#[test]
fn what_would_void_the_promise_is_refused() {
    for property in [
        "acks=1",
        "request.required.acks=1",
        "enable.idempotence=false",
        "delivery.report.only.error=true",
        "transactional.id=x",
    ] {
        assert!(
            refused(&[("KAFKA_PROPERTIES", property)]).contains("ICR_BRIDGE_KAFKA_PROPERTIES: "),
            "{property}"
        );
    }
    assert!(
        refused(&[("KAFKA_PROPERTIES", "no.such.property=1")]).contains("entry 1 is no librdkafka")
    );
    assert!(refused(&[("KAFKA_PROPERTIES", "linger.ms=fast")]).contains("linger.ms"));
}

#[test]
fn an_accepted_body_always_fits_a_record() {
    assert!(refused(&[("MAX_BODY_BYTES", "990000")]).contains("message.max.bytes"));
    assert!(
        read(&[
            ("MAX_BODY_BYTES", "990000"),
            ("KAFKA_PROPERTIES", "message.max.bytes=2000000")
        ])
        .is_ok()
    );
}

#[test]
fn with_signature_headers_a_record_is_up_to_1_75_times_the_body() {
    let headers = ("SIGNATURE_HEADERS", "true");
    assert!(read(&[headers]).is_ok(), "the defaults go together");
    // 64 KiB × 1.75 + 16 KiB
    for (limit, fits) in [("131072", true), ("131071", false)] {
        let properties = format!("message.max.bytes={limit}");
        let settings = [
            headers,
            ("MAX_BODY_BYTES", "64KiB"),
            ("KAFKA_PROPERTIES", &properties),
        ];
        assert!(read(&settings[1..]).is_ok(), "without them there is room");
        match read(&settings) {
            Ok(_) => assert!(fits, "{limit}"),
            Err(error) => {
                assert!(!fits, "{limit}: {error}");
                assert!(
                    error.starts_with("ICR_BRIDGE_MAX_BODY_BYTES: 64KiB is too much"),
                    "{error}"
                );
                assert!(
                    error.contains("lower it to 65532") && error.contains("to 131072"),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn dropping_the_sender_and_sending_the_signed_data_exclude_each_other() {
    assert!(
        refused(&[("DROP_SENDER", "true"), ("SIGNATURE_HEADERS", "true")])
            .contains("SIGNATURE_HEADERS")
    );
}

#[test]
fn kafka_s_own_topics_are_refused() {
    assert!(refused(&[("KAFKA_TOPIC", "__consumer_offsets")]).contains("of Kafka's own"));
    let error = refused(&[("KAFKA_QUARANTINE_TOPIC", "__transaction_state")]);
    assert!(
        error.starts_with("ICR_BRIDGE_KAFKA_QUARANTINE_TOPIC: "),
        "{error}"
    );
}

#[test]
fn a_journal_s_folder_is_the_one_that_was_named_or_the_default_and_no_other() {
    use std::os::unix::ffi::OsStringExt;
    let strange = std::ffi::OsString::from_vec(b"/tmp/\xff".to_vec());
    let named = vec![("ICR_BRIDGE_JOURNAL_DIR".into(), strange.clone())];
    assert_eq!(journal_dir(named.clone()), std::path::Path::new(&strange));
    let error = Config::read([variables(&GOOD), named].concat()).unwrap_err();
    assert_eq!(error.to_string(), "ICR_BRIDGE_JOURNAL_DIR: is not UTF-8");
    let default = std::path::Path::new("./icr-bridge-journal");
    assert_eq!(journal_dir(variables(&[("JOURNAL_DIR", "")])), default);
    assert_eq!(journal_dir(vec![]), default);
}

#[test]
fn a_misspelt_variable_is_named_with_the_nearest() {
    let config = read(&[("KAFKA_BROKER", "x")]).unwrap();
    assert_eq!(
        config.unknown,
        [(
            "ICR_BRIDGE_KAFKA_BROKER".to_owned(),
            Some("ICR_BRIDGE_KAFKA_BROKERS".to_owned())
        )]
    );
}

#[test]
fn no_secret_is_shown() {
    let config = read(&[
        ("WEBHOOK_SECRET", "hunter2"),
        (
            "KAFKA_PROPERTIES",
            "security.protocol=SASL_SSL,sasl.mechanism=PLAIN,sasl.username=u,sasl.password=hunter2",
        ),
    ])
    .unwrap();
    let shown = format!("{:?} {config:?}", config.effective());
    assert!(!shown.contains("hunter2"), "{shown}");
    let error = refused(&[
        ("KAFKA_PROPERTIES", "sasl.password=hunter2,nonsense"),
        ("WEBHOOK_SECRET", ""),
    ]);
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn every_setting_is_shown() {
    let config = read(&[]).unwrap();
    for setting in SETTINGS {
        let name = format!("ICR_BRIDGE_{}", setting.name);
        assert!(
            config.effective().iter().any(|(shown, _)| *shown == name),
            "{name}"
        );
    }
    assert!(
        config
            .effective()
            .iter()
            .any(|(name, value)| name == "topics" && value == "icr.webhooks")
    );
}

#[test]
fn a_word_that_is_no_log_level_is_refused() {
    for filter in ["verbose", "warning", "info,loud"] {
        assert!(
            refused(&[("LOG", filter)]).contains("ICR_BRIDGE_LOG: "),
            "{filter}"
        );
    }
    assert!(read(&[("LOG", "warn,icr_bridge::publisher=debug")]).is_ok());
}

#[test]
fn quarantine_has_a_topic_of_its_own() {
    assert!(
        refused(&[("KAFKA_QUARANTINE_TOPIC", "icr.webhooks")])
            .contains("is also a topic of KAFKA_TOPIC")
    );
    assert!(refused(&[("KAFKA_QUARANTINE_TOPIC", "q.{event}")]).contains("{event} is not allowed"));
}

#[test]
fn a_misspelt_variable_is_named_where_another_is_missing_for_it() {
    let variables = variables(&[("WEBHOOK_SECRET", "x"), ("KAFKA_BROKER", "kafka:9092")]);
    let error = Config::read(variables).unwrap_err().to_string();
    assert!(
        error.contains(
            "ICR_BRIDGE_KAFKA_BROKER: is no setting; did you mean ICR_BRIDGE_KAFKA_BROKERS?"
        ),
        "{error}"
    );
}

#[test]
fn the_rest_of_a_password_with_a_comma_is_not_shown() {
    let error = refused(&[("KAFKA_PROPERTIES", "sasl.password=abc,hunter2=def")]);
    assert!(
        error.contains("needs the file") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn an_admin_token_comes_from_one_place_and_can_be_sent() {
    assert!(read(&[]).unwrap().admin_access.tokens.is_none());
    let config = read(&[
        ("ADMIN_TOKEN", "t0ken"),
        ("ADMIN_HOSTS", "Bridge.example, b"),
    ])
    .unwrap();
    assert_eq!(config.admin_access.hosts, ["bridge.example", "b"]);
    assert!(config.admin_access.tokens.unwrap().holds(b"t0ken"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, "new\r\nold\r\n").unwrap();
    let file = file.to_str().unwrap();
    let config = read(&[("ADMIN_TOKEN_FILE", file)]).unwrap();
    assert_eq!(config.admin_access.tokens.unwrap().count(), 2);
    for (settings, variable, message) in [
        (vec![("ADMIN_TOKEN", "")], "ADMIN_TOKEN", "is empty"),
        (
            vec![("ADMIN_TOKEN", "s p")],
            "ADMIN_TOKEN",
            "cannot stand in",
        ),
        (
            vec![("ADMIN_TOKEN", "a"), ("ADMIN_TOKEN_FILE", file)],
            "ADMIN_TOKEN",
            "together with",
        ),
        (
            vec![("ADMIN_TOKEN_FILE", "")],
            "ADMIN_TOKEN_FILE",
            "cannot be read",
        ),
        (
            vec![("ADMIN_TOKEN_FILE", "/nowhere")],
            "ADMIN_TOKEN_FILE",
            "cannot be read",
        ),
        (
            vec![("ADMIN_HOSTS", "http://x")],
            "ADMIN_HOSTS",
            "leave out scheme",
        ),
        (
            vec![("ADMIN_HOSTS", "*.x")],
            "ADMIN_HOSTS",
            "leave out scheme",
        ),
    ] {
        let error = refused(&settings);
        assert!(
            error.contains(&format!("ICR_BRIDGE_{variable}: ")) && error.contains(message),
            "{error}"
        );
        assert!(!error.contains("s p"), "{error}");
    }
}
