//! The list of brokers: what librdkafka can make of it, checked before it only says that no broker is there.
//!
//! Guarantees: whatever is accepted is a list of `host:port` that librdkafka understands as it was meant. librdkafka ignores an
//! entry that it does not understand, with all behind it, and looks for a host named `a:1;b`. What may be a password is not repeated.

use std::net::{Ipv4Addr, Ipv6Addr};

/// librdkafka's own default.
const USUAL_PORT: u16 = 9092;

/// Every problem with a list of bootstrap servers, a sentence each.
pub(super) fn problems(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.contains('@') {
        return vec![
            "holds an @: user name and password do not belong here but into KAFKA_PROPERTIES (sasl.username, sasl.password)".to_owned(),
        ];
    }
    if text.contains("://") {
        return vec![scheme(text)];
    }
    if !text.contains(',') && text.contains([';', ' ', '\t', '\n', '|']) {
        return vec!["must separate brokers by commas, without white space, such as kafka-1:9092,kafka-2:9092".to_owned()];
    }
    let mut problems = Vec::new();
    let mut ports = Vec::new();
    for (number, entry) in (1..).zip(text.split(',')) {
        match parse(entry.trim()) {
            Ok(broker) => ports.push((number, broker)),
            Err(problem) => {
                problems.push(format!("broker {number}{}: {problem}", shown(entry.trim())))
            }
        }
    }
    let other = ports
        .iter()
        .find_map(|(_, (_, port))| port.filter(|port| *port != USUAL_PORT));
    for (number, (host, port)) in &ports {
        if port.is_some() {
            continue;
        }
        let said = if host.ends_with(".servicebus.windows.net") {
            Some("Event Hubs listens on port 9093".to_owned())
        } else {
            other.map(|other| {
                format!("it would be asked at port {USUAL_PORT}, and others at {other}")
            })
        };
        if let Some(said) = said {
            problems.push(format!(
                "broker {number} (`{host}`) has no port: {said}; write host:port"
            ));
        }
    }
    problems
}

fn scheme(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    let protocol = ["SASL_SSL", "SASL_PLAINTEXT", "SSL", "PLAINTEXT"]
        .into_iter()
        .find(|protocol| upper.contains(&format!("{protocol}://")));
    match protocol {
        Some(protocol) => format!(
            "must be host:port without `{protocol}://`; set security.protocol={protocol} in KAFKA_PROPERTIES instead"
        ),
        None if upper.contains("HTTP") => {
            "must be host:port, not a URL: name Kafka's brokers, not a REST proxy or a schema registry".to_owned()
        }
        None => "must be host:port, without a scheme before it".to_owned(),
    }
}

/// The list without the white space around its entries, which librdkafka would take for a part of a name.
pub(super) fn normal(text: &str) -> String {
    let entries: Vec<_> = text.split(',').map(str::trim).collect();
    entries.join(",")
}

/// As much of an entry as cannot be a secret.
fn shown(entry: &str) -> String {
    let end = entry
        .find(|c: char| !(c.is_ascii_alphanumeric() || "._-:[]%".contains(c)))
        .unwrap_or(entry.len());
    match entry.get(..end.min(80)) {
        Some(text) if !text.is_empty() => {
            format!(
                " (`{text}{}`)",
                if text.len() < entry.len() { "…" } else { "" }
            )
        }
        _ => String::new(),
    }
}

/// Host and port, where there is one.
fn parse(entry: &str) -> Result<(&str, Option<u16>), String> {
    if entry.is_empty() {
        return Err("is empty; remove a comma, or write host:port".to_owned());
    }
    if let Some(rest) = entry.strip_prefix('[') {
        let (address, port) = rest
            .split_once(']')
            .ok_or("has no closing bracket; write [::1]:9092")?;
        let plain = address.split_once('%').map_or(address, |(plain, _)| plain);
        if plain.parse::<Ipv6Addr>().is_err() {
            return Err("holds no IPv6 address between its brackets; write [::1]:9092".to_owned());
        }
        return match port.strip_prefix(':') {
            Some(port) => Ok((address, Some(number(port)?))),
            None if port.is_empty() => Ok((address, None)),
            None => Err(
                "has something other than a port behind its brackets; write [::1]:9092".to_owned(),
            ),
        };
    }
    if entry.matches(':').count() > 1 {
        return Err("is an IPv6 address without brackets, or several brokers without a comma between; write [::1]:9092, or a:9092,b:9092".to_owned());
    }
    let (host, port) = match entry.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (entry, None),
    };
    check_host(host)?;
    Ok((host, port.map(number).transpose()?))
}

fn number(port: &str) -> Result<u16, String> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if digits && number > 0 => Ok(number),
        _ => Err("its port must be a number from 1 to 65535; write host:port".to_owned()),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("has no host; write host:port".to_owned());
    }
    if host.contains(char::is_whitespace) {
        return Err("holds white space; separate brokers by commas".to_owned());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !host.chars().all(allowed) {
        return Err("holds a character that no host name has; separate brokers by commas and write host:port".to_owned());
    }
    if host.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is a port without a host; write host:port".to_owned());
    }
    let numeric = host
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(
            "is no IPv4 address; write four numbers up to 255, such as 10.0.0.1:9092".to_owned(),
        );
    }
    let labels = host.strip_suffix('.').unwrap_or(host).split('.');
    let sound = |label: &str| (1..=63).contains(&label.len());
    if host.len() > 254 || !labels.into_iter().all(sound) {
        return Err(
            "is no host name: each part has 1 to 63 characters, all together at most 253"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_librdkafka_understands_are_accepted() {
        for list in [
            "kafka",
            "kafka:9092",
            "kafka-1:9092,kafka-2:9093",
            "kafka-1:9092, kafka-2:9092",
            "a,b:9092",
            " kafka-1:9092 , kafka-2:9092\n",
            "10.0.0.1:9092",
            "[::1]:9092",
            "[fe80::1%eth0]:9092,[::1]",
            "b-1.x_y.kafka.eu-west-1.amazonaws.com.:9096",
        ] {
            assert_eq!(problems(list), [""; 0], "{list}");
        }
    }

    #[test]
    fn lists_that_can_never_work_are_refused_in_a_sentence_with_the_way_out() {
        for (list, words) in [
            ("SASL_SSL://kafka:9096", "security.protocol=SASL_SSL"),
            ("ssl://kafka:9093", "security.protocol=SSL"),
            ("a:1,PLAINTEXT://kafka:9092", "security.protocol=PLAINTEXT"),
            ("http://kafka:9092", "not a URL"),
            ("kafka://kafka:9092", "without a scheme"),
            ("a:1;b:1", "by commas"),
            ("a:1 b:1", "by commas"),
            ("a:1\nb:1", "by commas"),
            ("a:1;b:1,c:1", "broker 1 (`a:1…`)"),
            ("::1:9092", "[::1]:9092"),
            ("fe80::1", "[::1]:9092"),
            ("[::1:9092", "closing bracket"),
            ("[kafka]:9092", "no IPv6 address"),
            ("[::1]9092", "behind its brackets"),
            ("[::1]:0", "1 to 65535"),
            (":9092", "no host"),
            ("a:9092,,b:9092", "broker 2: is empty"),
            ("a:9092,", "broker 2: is empty"),
            (",", "broker 1: is empty"),
            ("kafka:0", "1 to 65535"),
            ("kafka:65536", "1 to 65535"),
            ("kafka:+1", "1 to 65535"),
            ("kafka:", "1 to 65535"),
            ("kafka:9092/x", "1 to 65535"),
            ("kafka/x", "no host name has"),
            ("ka fka:9092,b:1", "white space"),
            ("9092", "port without a host"),
            ("256.0.0.1:9092", "no IPv4 address"),
            ("10.0.0:9092", "no IPv4 address"),
            ("a..b:9092", "no host name"),
            ("käfka:9092", "no host name has"),
            ("a:9093,b", "broker 2 (`b`) has no port"),
            ("x.servicebus.windows.net", "9093"),
        ] {
            let found = problems(list);
            assert!(found.join("\n").contains(words), "{list}: {found:?}");
        }
        assert_eq!(problems("a:0,b:0,:1").len(), 3, "all at once");
    }

    #[test]
    fn a_password_in_the_list_is_not_repeated() {
        for list in [
            "user:hunter2@kafka:9092",
            "user:x,hunter2@kafka:9092",
            "SASL_SSL://user:hunter2@kafka:9092",
            "kafka:9092,sasl.password=hunter2",
            "kafka:9092?password=hunter2",
        ] {
            let found = problems(list).join("\n");
            assert!(
                !found.is_empty() && !found.contains("hunter2"),
                "{list}: {found}"
            );
        }
    }
}
