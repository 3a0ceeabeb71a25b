//! What may be said of properties: names that are known, places, and librdkafka's words where they repeat nothing of a value.
use super::{DEFAULTS, canonical, is_known};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How alike two names must be for one to be a slip of the other (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.88;

/// What operators set: a name that is none is answered with the nearest of these.
const USUAL: [&str; 35] = [
    "batch.num.messages",
    "batch.size",
    "broker.address.family",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.level",
    "compression.type",
    "enable.ssl.certificate.verification",
    "https.ca.location",
    "linger.ms",
    "message.max.bytes",
    "metadata.max.age.ms",
    "queue.buffering.max.kbytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retries",
    "sasl.mechanism",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.keepalive.enable",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
];

/// A property as it was typed.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// `entry 3`, or `line 3` of a file.
    pub place: String,
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
}

/// Takes properties apart: separated by commas, or one a line with comments behind `#`. Every problem is a sentence that repeats
/// no value.
pub fn entries(text: &str, lines: bool) -> (Vec<Entry<'_>>, Vec<String>) {
    let (separator, what) = if lines {
        ('\n', "line")
    } else {
        (',', "entry")
    };
    let mut found: Vec<Entry<'_>> = Vec::new();
    let mut problems = Vec::new();
    for (number, part) in (1..).zip(text.split(separator)) {
        let part = part.trim();
        if part.is_empty() || part.starts_with('#') {
            continue;
        }
        let place = format!("{what} {number}");
        let Some((name, value)) = part.split_once('=') else {
            problems.push(format!(
                "{place} is not of the form name=value{}",
                rest_of_a_value(lines)
            ));
            continue;
        };
        let (name, value) = (name.trim(), value.trim());
        if !is_known(name) {
            problems.push(unknown(&place, name));
        } else if found.iter().any(|other| other.name == name) {
            problems.push(format!("{place} sets {name} a second time; set it once"));
        } else {
            found.push(Entry { place, name, value });
        }
    }
    (found, problems)
}

fn rest_of_a_value(lines: bool) -> &'static str {
    if lines {
        ""
    } else {
        "; a value that contains a comma needs the file (KAFKA_PROPERTIES_FILE)"
    }
}

/// What is said of a name that is none. The name itself is not shown: it may be a part of a value.
pub fn unknown(place: &str, name: &str) -> String {
    let nearest = USUAL
        .iter()
        .map(|usual| {
            (
                strsim::jaro_winkler(usual, &name.to_ascii_lowercase()),
                usual,
            )
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    match nearest {
        Some((_, usual)) => format!("{place} is no librdkafka property; did you mean {usual}?"),
        None => format!(
            "{place} is no librdkafka property (its name is not shown, since it may be the rest of a password); \
             a value that contains a comma needs the file (KAFKA_PROPERTIES_FILE)"
        ),
    }
}

/// Why librdkafka refuses one property: in its words, as far as they are its own.
pub(super) fn of_one(message: &str) -> String {
    if let Some((_, range)) = message.rsplit_once("outside allowed range ")
        && let Some((low, high)) = range.trim().split_once("..")
    {
        return format!("must be from {low} to {high}");
    }
    let known = [
        ("Expected bool", "must be true or false"),
        ("cannot be set to empty value", "must not be empty"),
        ("be set to empty value", "must not be empty"),
        (
            "not supported in this build",
            "is not supported by this build of librdkafka; leave it out",
        ),
        ("dedicated", "cannot be set by a property; leave it out"),
        ("not settable", "cannot be set by a property; leave it out"),
        (
            "JAAS",
            "is Java's; set sasl.mechanism, sasl.username and sasl.password instead",
        ),
        (
            "TrustStores",
            "is Java's; set ssl.ca.location to a PEM file instead",
        ),
    ];
    known
        .iter()
        .find(|(part, _)| message.contains(part))
        .map_or(
            "has a value that librdkafka does not take; its CONFIGURATION.md lists those that it takes",
            |(_, words)| words,
        )
        .to_owned()
}

/// Why librdkafka refuses all properties together: in its words, unless they repeat a part of a value.
pub(super) fn together(message: &str, properties: &BTreeMap<String, String>) -> String {
    let mut named: Vec<&str> = properties
        .keys()
        .map(String::as_str)
        .filter(|name| message.contains(name))
        .collect();
    // The longest first, so that a name within a name does not leave a rest.
    named.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let rest = named
        .iter()
        .fold(message.to_owned(), |rest, name| rest.replace(name, " "));
    let typed = properties.iter().filter(|(name, value)| {
        !DEFAULTS
            .iter()
            .any(|(default, usual)| default == name && usual == value)
    });
    let repeats = typed
        .flat_map(|(_, value)| pieces(value))
        .any(|piece| rest.contains(piece));
    if !repeats {
        return format!(
            "librdkafka refuses these properties together: {}",
            message.trim()
        );
    }
    named.sort_unstable();
    let named = if named.is_empty() {
        String::new()
    } else {
        format!("; it names {}", named.join(", "))
    };
    format!(
        "librdkafka refuses these properties together{named} (its words repeat a value and are not shown)"
    )
}

/// A value, and the words that it is made of.
fn pieces(value: &str) -> impl Iterator<Item = &str> {
    let words = value.split(|c: char| !c.is_alphanumeric());
    std::iter::once(value.trim())
        .filter(|value| !value.is_empty())
        .chain(words.filter(|word| word.len() >= 4))
}

/// Secret values, to be left out of whatever librdkafka says while it runs.
#[derive(Clone, Default)]
pub struct Masks(Vec<String>);

impl Masks {
    /// Those of these properties.
    pub fn of(properties: &BTreeMap<String, String>) -> Self {
        let secret = |name: &str| {
            let name = canonical(name);
            [
                "password",
                "secret",
                "passphrase",
                ".pem",
                "username",
                "sasl.oauthbearer.",
                "kinit.cmd",
            ]
            .iter()
            .any(|part| name.contains(part))
        };
        let secrets = properties
            .iter()
            .filter(|(name, value)| secret(name) && value.len() >= 3);
        let mut secrets: Vec<String> = secrets.map(|(_, value)| value.clone()).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// A text without them.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in &self.0 {
            if masked.contains(secret.as_str()) {
                masked = Cow::Owned(masked.replace(secret.as_str(), "…"));
            }
        }
        masked
    }
}
