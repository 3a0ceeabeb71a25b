//! What a producer's own threads have learned about its connections.
//!
//! Guarantees: of several things that are wrong, the one that an operator can act on is told. A broker that cannot be reached is complained
//! of again and again, and must not hide that another one refuses our password, or that the port speaks TLS.
use super::code::Code;
use super::verdict::{Class, FailureReason, classify};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// How often in a row, without one that succeeds, a connection must end in its own beginnings before that is taken for its cause: brokers
/// that shut down do it, too.
const SETUPS: u32 = 3;

/// Before the first statistics.
const UNKNOWN: usize = usize::MAX;

/// What is known of a producer's connections.
pub struct Health {
    brokers_up: AtomicUsize,
    /// How many connections ended while a batch was under way.
    hang_ups: AtomicU64,
    /// With which broker the last of them was.
    hung_up_by: AtomicI32,
    trouble: Mutex<Trouble>,
}

/// In which of its beginnings a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setup {
    /// Before the broker had answered anything.
    Silent,
    Tls,
    Login,
}

#[derive(Default)]
struct Trouble {
    /// The last error that speaks of credentials or TLS.
    refused: Option<String>,
    /// The last other error of a connection, in librdkafka's words.
    other: Option<String>,
    /// In which of its beginnings a connection ended last, and with whom; how many did so in a row.
    setup: Option<(Setup, String)>,
    setups: u32,
    /// Why no producer id was got, in librdkafka's words.
    producer_id: Option<String>,
    /// The state of each connection.
    states: BTreeMap<String, String>,
    /// The addresses that brokers advertise, where none of them can be reached though a bootstrap server can.
    unreachable: Vec<String>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            brokers_up: AtomicUsize::new(UNKNOWN),
            hang_ups: AtomicU64::new(0),
            hung_up_by: AtomicI32::new(-1),
            trouble: Mutex::default(),
        }
    }
}

impl Health {
    /// How many brokers have a working connection; `None` before the first statistics.
    pub fn brokers_up(&self) -> Option<usize> {
        match self.brokers_up.load(Ordering::Relaxed) {
            UNKNOWN => None,
            count => Some(count),
        }
    }

    /// So many have one now.
    pub fn count_brokers(&self, up: usize) {
        self.brokers_up.store(up, Ordering::Relaxed);
    }

    /// How many connections ended while a batch was under way, and the broker of the last.
    pub fn hang_ups(&self) -> (u64, i32) {
        let count = self.hang_ups.load(Ordering::Acquire);
        (count, self.hung_up_by.load(Ordering::Relaxed))
    }

    /// One more did.
    pub fn hung_up(&self, broker: i32) {
        self.hung_up_by.store(broker, Ordering::Relaxed);
        self.hang_ups.fetch_add(1, Ordering::Release);
    }

    /// Something is wrong with a connection.
    pub fn error(&self, code: Code, words: &str) {
        let mut trouble = self.trouble.lock();
        let place = match classify(code) {
            Class::Failure(FailureReason::Authentication) => &mut trouble.refused,
            _ => &mut trouble.other,
        };
        *place = Some(words.to_owned());
    }

    /// No producer id was got.
    pub fn no_producer_id(&self, words: &str) {
        self.trouble.lock().producer_id = Some(words.to_owned());
    }

    /// Why no producer id was got, if that is so.
    pub fn producer_id(&self) -> Option<String> {
        self.trouble.lock().producer_id.clone()
    }

    /// A connection's state has changed.
    pub fn connection(&self, broker: &str, state: &str) {
        let mut trouble = self.trouble.lock();
        let before = trouble.states.insert(broker.to_owned(), state.to_owned());
        match (before.as_deref(), state) {
            // One that works: whatever was wrong is over.
            (_, "UP") => {
                trouble.refused = None;
                trouble.other = None;
                trouble.setup = None;
                trouble.setups = 0;
            }
            (Some("APIVERSION_QUERY"), "DOWN") => trouble.ended_early(Setup::Silent, broker),
            (Some("SSL_HANDSHAKE"), "DOWN") => trouble.ended_early(Setup::Tls, broker),
            (Some("AUTH_HANDSHAKE" | "AUTH_REQ" | "AUTH_LEGACY"), "DOWN") => {
                trouble.ended_early(Setup::Login, broker);
            }
            _ => {}
        }
    }

    /// The addresses that brokers advertise, where a bootstrap server has answered and none of them has; else none.
    pub fn advertise(&self, unreachable: Vec<String>) {
        self.trouble.lock().unreachable = unreachable;
    }

    /// What is wrong where a bootstrap server has answered, and no broker at the address that it advertises.
    pub fn not_as_advertised(&self) -> Option<String> {
        self.trouble.lock().not_as_advertised()
    }

    /// Why no broker can be asked; `None` where nothing is known to be wrong.
    pub fn cause(&self) -> Option<(FailureReason, String)> {
        let trouble = self.trouble.lock();
        if let Some(words) = &trouble.refused {
            return Some((FailureReason::Authentication, words.clone()));
        }
        let other = trouble.other.as_deref();
        if trouble.setups >= SETUPS
            && let Some((setup, broker)) = &trouble.setup
        {
            let (reason, what) = match setup {
                Setup::Silent => (
                    FailureReason::NoBroker,
                    "takes connections and ends them before it has answered anything: it may want TLS (security.protocol is SSL or \
                     SASL_SSL then), or be a proxy with no broker behind it",
                ),
                Setup::Tls => (
                    FailureReason::Authentication,
                    "ends connections during the TLS handshake",
                ),
                Setup::Login => (
                    FailureReason::Authentication,
                    "ends connections while we log in",
                ),
            };
            let words = other.map_or_else(String::new, |words| format!(" ({words})"));
            return Some((reason, format!("{broker} {what}{words}")));
        }
        if let Some(words) = trouble.not_as_advertised() {
            return Some((FailureReason::NoBroker, words));
        }
        match self.brokers_up() {
            Some(up) if up > 0 => None,
            _ => Some((FailureReason::NoBroker, other?.to_owned())),
        }
    }
}

impl Trouble {
    fn ended_early(&mut self, setup: Setup, broker: &str) {
        self.setups += 1;
        self.setup = Some((setup, broker.to_owned()));
    }

    fn not_as_advertised(&self) -> Option<String> {
        (!self.unreachable.is_empty()).then(|| {
            format!(
                "a bootstrap server has answered, but no connection to the addresses that the brokers advertise ({}) has; open the \
                 way to them, or correct advertised.listeners at the brokers",
                self.unreachable.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str =
        "127.0.0.1:9093: Connect to ipv4#127.0.0.1:9093 failed: Connection refused";

    #[test]
    fn a_refused_login_is_not_hidden_by_a_broker_that_is_down() {
        let health = Health::default();
        health.error(Code::LOCAL_AUTHENTICATION, "wrong password");
        health.error(Code::LOCAL_TRANSPORT, REFUSED);
        let cause = (FailureReason::Authentication, "wrong password".to_owned());
        assert_eq!(health.cause(), Some(cause));
        health.connection("a:9092", "UP");
        assert_eq!(health.cause(), None);
    }

    #[test]
    fn addresses_that_cannot_be_reached_are_told_before_one_refused_connection_and_after_a_refused_login()
     {
        let health = Health::default();
        health.count_brokers(1);
        health.error(Code::LOCAL_TRANSPORT, REFUSED);
        health.advertise(vec!["10.0.0.1:9092".to_owned()]);
        let (reason, words) = health.cause().unwrap();
        assert_eq!(reason, FailureReason::NoBroker);
        assert!(words.contains("(10.0.0.1:9092)"), "{words}");
        health.error(Code::LOCAL_AUTHENTICATION, "wrong password");
        assert_eq!(health.cause().unwrap().1, "wrong password");
        health.connection("10.0.0.1:9092", "UP");
        health.advertise(Vec::new());
        assert_eq!(health.cause(), None);
    }

    #[test]
    fn connections_that_end_in_their_beginnings_several_times_are_a_cause_of_their_own() {
        for (state, reason, word) in [
            (
                "APIVERSION_QUERY",
                FailureReason::NoBroker,
                "it may want TLS",
            ),
            (
                "SSL_HANDSHAKE",
                FailureReason::Authentication,
                "TLS handshake",
            ),
            ("AUTH_REQ", FailureReason::Authentication, "log in"),
        ] {
            let health = Health::default();
            for round in 1..=SETUPS {
                health.connection("a:9092", state);
                health.connection("a:9092", "DOWN");
                health.error(Code::LOCAL_TRANSPORT, REFUSED);
                let (found, words) = health.cause().unwrap();
                assert_eq!(words.contains(word), round == SETUPS, "{words}");
                assert!(words.contains(REFUSED), "{words}");
                assert!(round < SETUPS || found == reason);
            }
        }
    }
}
