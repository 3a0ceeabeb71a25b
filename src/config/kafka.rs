//! What becomes of a record and how it gets to Kafka: topics, keys and librdkafka's properties.

use super::environment::Environment;
use super::{Kafka, brokers};
use crate::domain::normalize::Redaction;
use crate::domain::record::{ContentMode, RecordSettings};
use crate::domain::template::{Template, TemplateError};
use crate::publisher::properties;
use crate::secrets::file;
use std::collections::BTreeMap;
use std::path::Path;

/// Topics in which brokers keep their own state (`Topic.java` of Kafka 4).
const INTERNAL: [&str; 4] = [
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
    "__cluster_metadata",
];

pub(super) fn record_settings(env: &mut Environment, apps: &[String]) -> RecordSettings {
    let topic = template(env, "KAFKA_TOPIC", Template::topic);
    let quarantine_topic = template(env, "KAFKA_QUARANTINE_TOPIC", quarantine_topic);
    let key = template(env, "KAFKA_KEY", Template::key);
    check_topics(env, &topic, &quarantine_topic, apps);
    let drop_sender = env.flag("DROP_SENDER");
    let signature_headers = env.flag("SIGNATURE_HEADERS");
    if drop_sender && signature_headers {
        env.problem(
            "DROP_SENDER",
            "cannot be true together with SIGNATURE_HEADERS, whose signed data holds the sender",
        );
    }
    let content_mode = env.parse(
        "CONTENT_MODE",
        "`binary` or `structured`",
        |text| match text {
            "binary" => Some(ContentMode::Binary),
            "structured" => Some(ContentMode::Structured),
            _ => None,
        },
    );
    let instance = env.parse(
        "INSTANCE",
        "a name of the form [A-Za-z0-9_.-]{1,64}",
        |text| {
            let fits = text.len() <= 64
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
            fits.then(|| text.to_owned())
        },
    );
    RecordSettings {
        topic,
        quarantine_topic,
        key,
        content_mode: content_mode.unwrap_or_default(),
        redaction: Redaction { drop_sender },
        signature_headers,
        instance,
    }
}

/// No two apps share a topic by accident, and quarantine has one of its own.
fn check_topics(env: &mut Environment, topic: &Template, quarantine: &Template, apps: &[String]) {
    if ["KAFKA_TOPIC", "KAFKA_QUARANTINE_TOPIC"].map(|name| env.has_problem(name)) != [false; 2] {
        return;
    }
    if !env.flag("KAFKA_SHARED_TOPIC")
        && let Some(problem) = shared_topic(topic, apps)
    {
        env.problem("KAFKA_TOPIC", problem);
    }
    let ordinary = topics(topic, apps);
    for (variable, names) in [
        ("KAFKA_TOPIC", &ordinary),
        ("KAFKA_QUARANTINE_TOPIC", &topics(quarantine, apps)),
    ] {
        if let Some(name) = names.iter().find(|name| INTERNAL.contains(&name.as_str())) {
            let problem = format!(
                "`{name}` is a topic of Kafka's own, which takes no records; choose another"
            );
            env.problem(variable, problem);
        }
    }
    for name in topics(quarantine, apps) {
        let Some(twin) = ordinary.iter().find(|other| alike(&name, other)) else {
            continue;
        };
        let problem = if name == *twin {
            format!(
                "`{name}` is also a topic of KAFKA_TOPIC; choose another, so that consumers need not tell them apart"
            )
        } else {
            format!(
                "Kafka does not allow `{name}` beside the topic `{twin}`, which differs in `.` and `_` alone; choose another"
            )
        };
        env.problem("KAFKA_QUARANTINE_TOPIC", problem);
        return;
    }
}

/// Every topic that a template can name.
fn topics(template: &Template, apps: &[String]) -> Vec<String> {
    template.topics(apps.iter().map(String::as_str))
}

/// Whether Kafka allows only one of two topics: its metrics cannot tell `.` from `_`, so it refuses to create the second.
fn alike(one: &str, other: &str) -> bool {
    let plain = |byte: u8| if byte == b'.' { b'_' } else { byte };
    one.bytes().map(plain).eq(other.bytes().map(plain))
}

/// Why two apps' records would stand in one topic, by way of a template without `{app}` or one in which names run together.
fn shared_topic(topic: &Template, apps: &[String]) -> Option<String> {
    let named = |app: &String| topic.topics([app.as_str()]);
    apps.iter().enumerate().find_map(|(index, app)| {
        let mine = named(app);
        let (other, both) = apps.iter().skip(index + 1).find_map(|other| {
            let both = named(other).into_iter().find(|name| mine.contains(name))?;
            Some((other, both))
        })?;
        let way_out = if topic.has_app() {
            "separate `{app}` from what follows, such as `icr.{app}.{event}`"
        } else {
            "put `{app}` into it, such as `icr.webhooks.{app}`"
        };
        Some(format!(
            "`{}`: the apps {} and {} would share the topic `{both}`; {way_out}, or set KAFKA_SHARED_TOPIC=true",
            topic.text(),
            app,
            other
        ))
    })
}

fn template(
    env: &mut Environment,
    name: &'static str,
    parse: fn(&str) -> Result<Template, TemplateError>,
) -> Template {
    let text = env.text(name).unwrap_or_default().to_owned();
    parse(&text).unwrap_or_else(|error| {
        env.problem(name, format!("`{text}`: {error}"));
        Template::fixed("invalid")
    })
}

/// What is unintelligible has no event.
fn quarantine_topic(text: &str) -> Result<Template, TemplateError> {
    let template = Template::topic(text)?;
    if template.has_event() {
        Err(TemplateError(
            "{event} is not allowed here, only {app} is".to_owned(),
        ))
    } else {
        Ok(template)
    }
}

pub(super) fn settings(env: &mut Environment) -> Kafka {
    let brokers = env.text("KAFKA_BROKERS").unwrap_or_default().to_owned();
    if brokers.is_empty() {
        env.problem(
            "KAFKA_BROKERS",
            "is required: the bootstrap servers, such as kafka-1:9092,kafka-2:9092",
        );
    } else {
        for problem in brokers::problems(&brokers) {
            env.problem("KAFKA_BROKERS", problem);
        }
    }
    let properties = kafka_properties(env);
    Kafka {
        brokers: brokers::normal(&brokers),
        properties,
        create_topics: env.flag("KAFKA_CREATE_TOPICS"),
        partitions: env.number("KAFKA_TOPIC_PARTITIONS", 1..=100_000),
        replication_factor: env.number("KAFKA_TOPIC_REPLICATION_FACTOR", 1..=100),
        window: env.number("PUBLISH_WINDOW", 1..=1_000_000),
    }
}

/// The properties' file holds passwords, and is read with the same care as a secret file.
fn properties_file(path: &str) -> Result<String, String> {
    let contents = file::contents(Path::new(path)).map_err(|error| error.to_string())?;
    String::from_utf8(contents).map_err(|_| "the file is not UTF-8".to_owned())
}

fn kafka_properties(env: &mut Environment) -> BTreeMap<String, String> {
    if env.is_set("KAFKA_PROPERTIES") && env.is_set("KAFKA_PROPERTIES_FILE") {
        env.problem(
            "KAFKA_PROPERTIES",
            "is set together with KAFKA_PROPERTIES_FILE; set one of them",
        );
        return BTreeMap::new();
    }
    let (name, text) = match env.text("KAFKA_PROPERTIES_FILE").map(str::to_owned) {
        None => (
            "KAFKA_PROPERTIES",
            env.text("KAFKA_PROPERTIES").unwrap_or_default().to_owned(),
        ),
        Some(path) => match properties_file(&path) {
            Ok(text) => ("KAFKA_PROPERTIES_FILE", text),
            Err(error) => {
                // Somebody may have typed the properties themselves where their file belongs.
                let shown = if path.contains('=') {
                    ""
                } else {
                    path.as_str()
                };
                let problem = match shown {
                    "" => format!(
                        "names no file: {error}; properties themselves belong into KAFKA_PROPERTIES"
                    ),
                    path => format!("{path}: {error}"),
                };
                env.problem("KAFKA_PROPERTIES_FILE", problem);
                return BTreeMap::new();
            }
        },
    };
    let (entries, mut problems) = properties::entries(&text, name == "KAFKA_PROPERTIES_FILE");
    let typed = entries
        .into_iter()
        .map(|entry| (entry.name.to_owned(), entry.value.to_owned()))
        .collect();
    if let Err(more) = properties::effective(&typed, None) {
        problems.extend(more);
    }
    if problems.is_empty() {
        return typed;
    }
    for problem in problems {
        env.problem(name, problem);
    }
    BTreeMap::new()
}
