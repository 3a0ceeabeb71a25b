//! The few of librdkafka's statistics that tell an operator something, out of the many it emits (STATISTICS.md).

use super::sink::Statistics;
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Raw {
    msg_cnt: i64,
    msg_size: i64,
    tx: i64,
    tx_bytes: i64,
    txmsgs: i64,
    txmsg_bytes: i64,
    brokers: HashMap<String, Broker>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Broker {
    nodeid: i64,
    /// `host:port`, as the broker advertises it.
    nodename: String,
    state: String,
    connects: i64,
    rx: i64,
    txerrs: i64,
    txretries: i64,
    req_timeouts: i64,
    disconnects: i64,
    rtt: Window,
    throttle: Window,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Window {
    avg: i64,
    p99: i64,
}

/// Parses the statistics; `None` where they are not of the known form.
pub fn parse(json: &[u8]) -> Option<Statistics> {
    let raw: Raw = serde_json::from_slice(json).ok()?;
    let up = |learned: bool| {
        raw.brokers
            .values()
            .filter(|broker| broker.state == "UP" && (broker.nodeid >= 0) == learned)
            .count()
    };
    // A broker reached by the name in the settings and by the one that it advertises is listed twice.
    let brokers_up = match up(true) {
        0 => up(false),
        learned => learned,
    };
    let sum = |of: fn(&Broker) -> i64| count(raw.brokers.values().map(of).sum());
    let slowest = |of: fn(&Broker) -> i64| raw.brokers.values().map(of).max().unwrap_or(0);
    Some(Statistics {
        brokers_up,
        queued_records: count(raw.msg_cnt),
        queued_bytes: count(raw.msg_size),
        sent_records: count(raw.txmsgs),
        sent_record_bytes: count(raw.txmsg_bytes),
        requests: count(raw.tx),
        request_bytes: count(raw.tx_bytes),
        request_errors: sum(|broker| broker.txerrs),
        request_retries: sum(|broker| broker.txretries),
        request_timeouts: sum(|broker| broker.req_timeouts),
        disconnects: sum(|broker| broker.disconnects),
        round_trip_mean: slowest(|broker| broker.rtt.avg) as f64 / 1e6,
        round_trip_p99: slowest(|broker| broker.rtt.p99) as f64 / 1e6,
        throttle_mean: slowest(|broker| broker.throttle.avg) as f64 / 1e3,
    })
}

/// The addresses that brokers advertise (`advertised.listeners`), where connections to them were tried and none has ever answered: a bootstrap
/// server has, or they would not be known. (Its own connection is no sign: librdkafka gives it up once it knows them.)
pub fn unreachable(json: &[u8]) -> Vec<String> {
    let raw: Raw = serde_json::from_slice(json).unwrap_or_default();
    let advertised = || raw.brokers.values().filter(|broker| broker.nodeid >= 0);
    let tried = advertised().any(|broker| broker.connects > 0);
    if !tried || advertised().any(|broker| broker.rx > 0) {
        return Vec::new();
    }
    let mut names: Vec<_> = advertised().map(|broker| broker.nodename.clone()).collect();
    names.sort_unstable();
    names
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_counted_once_and_only_when_connected() {
        let json = br#"{"msg_cnt":3,"txmsgs":7,"unknown":{"x":1},"brokers":{
            "kafka:9092/bootstrap":{"nodeid":-1,"state":"UP"},
            "10.0.0.1:9092/1":{"nodeid":1,"state":"UP","txretries":2,"rtt":{"avg":1500,"p99":9000}},
            "10.0.0.2:9092/2":{"nodeid":2,"state":"CONNECT","txretries":1}}}"#;
        let statistics = parse(json).unwrap();
        assert_eq!(statistics.brokers_up, 1);
        assert_eq!(statistics.queued_records, 3);
        assert_eq!(statistics.request_retries, 3);
        assert_eq!(statistics.round_trip_mean, 0.0015);
        assert!(parse(b"no json").is_none());
    }

    #[test]
    fn advertised_addresses_are_to_blame_where_they_were_tried_and_none_has_ever_answered() {
        let json = |connects: i64, answers: i64| {
            let json = serde_json::json!({"brokers": {
                "kafka:9092/bootstrap": {"nodeid": -1, "nodename": "kafka:9092", "state": "DOWN", "connects": 1, "rx": 3},
                "10.0.0.1:9092/1": {"nodeid": 1, "nodename": "10.0.0.1:9092", "state": "TRY_CONNECT", "connects": connects, "rx": answers},
                "10.0.0.2:9092/2": {"nodeid": 2, "nodename": "10.0.0.2:9092", "state": "INIT"},
            }});
            json.to_string()
        };
        let found = unreachable(json(4, 0).as_bytes());
        assert_eq!(found, ["10.0.0.1:9092", "10.0.0.2:9092"]);
        for (connects, answers) in [(0, 0), (4, 1)] {
            assert_eq!(unreachable(json(connects, answers).as_bytes()), [""; 0]);
        }
        let down =
            br#"{"brokers":{"kafka:9092/bootstrap":{"nodeid":-1,"state":"DOWN","connects":4}}}"#;
        assert_eq!(unreachable(down), [""; 0]);
        assert_eq!(unreachable(b"no json"), [""; 0]);
    }

    #[test]
    fn before_metadata_a_bootstrap_connection_counts() {
        let json = br#"{"brokers":{"kafka:9092/bootstrap":{"nodeid":-1,"state":"UP"}}}"#;
        assert_eq!(parse(json).unwrap().brokers_up, 1);
    }
}
