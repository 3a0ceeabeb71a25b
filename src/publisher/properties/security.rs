//! Whether the way to log in can work, as far as that shows without a connection.
//!
//! The invariant: what is accepted names a protocol, and for that protocol all that it takes, and nothing that has no effect with it
//! (a password beside a protocol that logs nobody in was meant otherwise). Files exist and can be read.
use super::super::oidc::{self, Oidc};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

const PROTOCOL: &str = "security.protocol";
const MECHANISM: &str = "sasl.mechanism";
const UNSECURED: &str = "enable.sasl.oauthbearer.unsecure.jwt";

/// Files that librdkafka reads while it starts.
const FILES: [&str; 6] = [
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.crl.location",
    "sasl.kerberos.keytab",
];

/// TLS properties that take effect without anybody having meant it.
const HARMLESS: [&str; 2] = ["ssl.endpoint.identification.algorithm", "ssl.providers"];

/// Why one of a few words is not one of them, for properties of which librdkafka does not say which it takes.
pub(super) fn choice(name: &str, value: &str) -> Option<String> {
    let among = |words: &[&str]| {
        let (last, first) = words.split_last()?;
        let any = words.iter().any(|word| word.eq_ignore_ascii_case(value));
        (!any).then(|| format!("must be {} or {last}", first.join(", ")))
    };
    match name {
        PROTOCOL => among(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
        "compression.type" => among(&["none", "gzip", "snappy", "lz4", "zstd"]),
        oidc::METHOD => match value {
            "oidc" | "default" => None,
            _ => Some("must be oidc (or default, with enable.sasl.oauthbearer.unsecure.jwt=true)".to_owned()),
        },
        MECHANISM => mechanism(value),
        _ if name.starts_with("sasl.oauthbearer.assertion.")
            || name == "sasl.oauthbearer.metadata.authentication.type" =>
        {
            Some("is not supported: the bridge fetches tokens with a client's credentials alone (sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret)".to_owned())
        }
        _ => None,
    }
}

fn mechanism(value: &str) -> Option<String> {
    const KNOWN: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];
    if KNOWN.contains(&value) {
        return None;
    }
    let upper = value.to_ascii_uppercase();
    Some(match upper.as_str() {
        "GSSAPI" if cfg!(feature = "kerberos") && value == "GSSAPI" => return None,
        "GSSAPI" if !cfg!(feature = "kerberos") => {
            "GSSAPI (Kerberos) is not a part of this build: build the bridge with `cargo build --release --features kerberos`, \
             or use SCRAM-SHA-512, PLAIN or OAUTHBEARER"
                .to_owned()
        }
        "AWS_MSK_IAM" => {
            "AWS_MSK_IAM is not supported: let the MSK cluster use SCRAM, and set SCRAM-SHA-512 here".to_owned()
        }
        _ if KNOWN.contains(&upper.as_str()) || upper == "GSSAPI" => {
            format!("must be written {upper}, in capital letters")
        }
        _ => format!("must be one of {}", KNOWN.join(", ")),
    })
}

/// Contradictions and gaps, each a sentence that names the property and the way out.
pub(super) fn problems(properties: &BTreeMap<String, String>) -> Vec<String> {
    let mut problems = Vec::new();
    let set = |name: &str| properties.get(name).is_some_and(|value| !value.is_empty());
    let protocol = properties.get(PROTOCOL).map(|it| it.to_ascii_uppercase());
    let named = protocol.as_deref().unwrap_or("PLAINTEXT");
    let (sasl, tls) = (named.starts_with("SASL_"), named.ends_with("SSL"));
    let without = |what: &str| match &protocol {
        None => format!("{what} needs security.protocol"),
        Some(_) => format!("{what} has no effect with the present security.protocol"),
    };
    let those = |wanted: &dyn Fn(&str) -> bool| {
        let names = properties.keys().map(String::as_str);
        names
            .filter(|name| wanted(name))
            .collect::<Vec<_>>()
            .join(", ")
    };

    let log_in = those(&|name| name.starts_with("sasl.") || name == UNSECURED);
    if !sasl && !log_in.is_empty() {
        problems.push(format!(
            "{}; set it to SASL_SSL (or SASL_PLAINTEXT for a listener without TLS), or leave these out: without it the bridge does not log in",
            without(&log_in)
        ));
    }
    let of_tls = those(&|name| {
        (name.starts_with("ssl.") && !HARMLESS.contains(&name))
            || name == "enable.ssl.certificate.verification"
    });
    if !tls && !of_tls.is_empty() {
        let meant = if sasl || set(MECHANISM) {
            "SASL_SSL"
        } else {
            "SSL"
        };
        problems.push(format!(
            "{}; set it to {meant}, or leave these out: without it the connections are not encrypted",
            without(&of_tls)
        ));
    }
    problems.extend(identity(&set));
    if sasl {
        problems.extend(login(properties, &set));
    }
    let files = FILES
        .iter()
        .filter_map(|name| Some((name, properties.get(*name)?)));
    for (name, path) in files {
        if let Some(problem) = unreadable(name, path) {
            problems.push(format!("{name} {problem}"));
        }
    }
    problems
}

/// A client's certificate has a key, and a key a certificate.
fn identity(set: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut problems = Vec::new();
    let key = set("ssl.key.location") || set("ssl.key.pem");
    let certificate = set("ssl.certificate.location") || set("ssl.certificate.pem");
    let store = set("ssl.keystore.location");
    if key && !certificate {
        problems.push(
            "ssl.key.location is set without ssl.certificate.location; set both, or neither"
                .to_owned(),
        );
    }
    if certificate && !key {
        problems.push(
            "ssl.certificate.location is set without ssl.key.location; set both, or neither"
                .to_owned(),
        );
    }
    if store && (key || certificate) {
        problems.push("ssl.keystore.location is set together with ssl.key.location or ssl.certificate.location; set the store, or the two".to_owned());
    }
    if set("ssl.key.password") && !key {
        problems.push(
            "ssl.key.password is set without ssl.key.location; set both, or neither".to_owned(),
        );
    }
    if store && !set("ssl.keystore.password") {
        problems.push("ssl.keystore.location needs ssl.keystore.password".to_owned());
    }
    problems
}

/// What it takes to log in.
fn login(properties: &BTreeMap<String, String>, set: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mechanism = properties.get(MECHANISM).map_or("", String::as_str);
    let mut problems = Vec::new();
    let need = |names: &[&str]| {
        let missing: Vec<_> = names.iter().copied().filter(|name| !set(name)).collect();
        (!missing.is_empty())
            .then(|| format!("sasl.mechanism={mechanism} needs {}", missing.join(" and ")))
    };
    match mechanism {
        "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
            problems.extend(need(&["sasl.username", "sasl.password"]));
        }
        "OAUTHBEARER" => {
            let unsecured = properties
                .get(UNSECURED)
                .is_some_and(|value| value.eq_ignore_ascii_case("true"));
            match (Oidc::is_wanted(properties), unsecured) {
                (true, true) => problems.push(format!("{UNSECURED} is set together with {}=oidc; set one of them", oidc::METHOD)),
                (true, false) => {
                    if let Err(found) = Oidc::of(properties) {
                        problems.extend(found.into_iter().map(|(name, problem)| format!("{name} {problem}")));
                    }
                }
                (false, true) => {}
                (false, false) => problems.push(format!(
                    "sasl.mechanism=OAUTHBEARER has no source of tokens; set {}=oidc with {}, {} and {}",
                    oidc::METHOD,
                    oidc::URL,
                    oidc::CLIENT_ID,
                    oidc::CLIENT_SECRET
                )),
            }
        }
        // What librdkafka takes where none is set.
        "" | "GSSAPI" if cfg!(feature = "kerberos") => {}
        "" => problems.push(
            "security.protocol needs sasl.mechanism, one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"
                .to_owned(),
        ),
        // Told already.
        _ => {}
    }
    if mechanism != "OAUTHBEARER" && Oidc::is_wanted(properties) {
        problems.push(format!(
            "{}=oidc needs sasl.mechanism=OAUTHBEARER",
            oidc::METHOD
        ));
    }
    problems
}

/// Why a file cannot be used, without its path.
fn unreadable(name: &str, path: &str) -> Option<String> {
    let may_be_folder = name == "ssl.ca.location" || name == "ssl.crl.location";
    if path.is_empty() || (name == "ssl.ca.location" && path == "probe") {
        return None;
    }
    let path = Path::new(path);
    let problem = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            "names a file that does not exist; check the path, also as seen from inside a container"
                .to_owned()
        }
        ErrorKind::PermissionDenied => {
            "names a file that this user may not read; change its owner or mode".to_owned()
        }
        kind => format!("names a file that cannot be read: {kind}"),
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Some(problem(error)),
    };
    if metadata.is_dir() {
        return (!may_be_folder).then(|| "names a folder; name a file".to_owned());
    }
    if !metadata.is_file() {
        return Some("names a pipe or a device; name a regular file".to_owned());
    }
    File::open(path).err().map(problem)
}
