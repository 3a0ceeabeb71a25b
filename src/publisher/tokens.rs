//! The token for SASL's OAUTHBEARER: fetched ahead of its end, handed to every client as soon as it comes.
//!
//! Guarantees: only a thread of its own waits for the token endpoint. Neither the publisher nor a thread of librdkafka ever does:
//! librdkafka's own call for a token is left unanswered, and `rd_kafka_oauthbearer_set_token` is called from here (rdkafka's
//! callback could not pass extensions on, and librdkafka would repeat it after a failure only every 10 s). A token endpoint that
//! fails is asked again, at first after 1 s and at most every 60 s; what it says is logged once in a while, and is told as the
//! reason why Kafka cannot be reached. A token is never logged.
use super::oidc::{Oidc, Token, TokenError};
use super::throttle::Throttle;
use parking_lot::Mutex;
use rdkafka::bindings::{rd_kafka_oauthbearer_set_token, rd_kafka_resp_err_t, rd_kafka_t};
use std::ffi::{CStr, CString, c_char};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The first pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A broker that refuses a token may have learned of new keys or rights: another one is fetched, but no sooner than this.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(15);

/// A token that is replaced no later than after this part of its time leaves room for an endpoint that fails for a while.
const RENEW_AT: f64 = 0.75;

/// Keeps a token current for the clients that are registered. Dropped, it stops; a request under way ends by its own limit.
pub struct Tokens {
    shared: Arc<Shared>,
}

struct Shared {
    oidc: Oidc,
    throttle: Arc<Throttle>,
    state: Mutex<State>,
    /// Says that a token is wanted now.
    wanted: Notify,
}

#[derive(Default)]
struct State {
    stopped: bool,
    token: Option<Current>,
    /// Why there is no newer token.
    trouble: Option<String>,
    clients: Vec<Native>,
}

struct Current {
    value: CString,
    principal: CString,
    fetched: Instant,
    until: Instant,
}

/// A librdkafka client that is alive while it stands in [`State::clients`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct Native(*mut rd_kafka_t);

// SAFETY: librdkafka's functions may be called from any thread.
unsafe impl Send for Native {}

/// While it lives, the client gets every new token. Must be dropped before the client.
pub struct Registration {
    shared: Arc<Shared>,
    client: Native,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.clients.retain(|client| *client != self.client);
    }
}

impl Tokens {
    /// Starts fetching.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(oidc: Oidc, throttle: Arc<Throttle>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            oidc,
            throttle,
            state: Mutex::default(),
            wanted: Notify::new(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let kept = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("kafka-tokens".to_owned())
            .spawn(move || runtime.block_on(keep(&kept)))?;
        Ok(Self { shared })
    }

    /// Hands the current token to a client, and every later one.
    ///
    /// # Safety
    /// `client` must be alive until the registration is dropped.
    pub unsafe fn register(&self, client: *mut rd_kafka_t) -> Registration {
        let client = Native(client);
        let mut state = self.shared.state.lock();
        state.clients.push(client);
        if let Some(token) = &state.token {
            self.shared.hand_over(token, client);
        }
        Registration {
            shared: Arc::clone(&self.shared),
            client,
        }
    }

    /// A broker refused the token: fetches another one soon.
    pub fn refused(&self) {
        let state = self.shared.state.lock();
        let stale = |token: &Current| token.fetched.elapsed() >= BETWEEN_RENEWALS;
        // In trouble, its own pauses count.
        if state.trouble.is_none() && state.token.as_ref().is_some_and(stale) {
            self.shared.wanted.notify_one();
        }
    }

    /// Why there is no token that could be used.
    pub fn trouble(&self) -> Option<String> {
        let state = self.shared.state.lock();
        let usable = state
            .token
            .as_ref()
            .is_some_and(|token| token.until > Instant::now());
        if usable { None } else { state.trouble.clone() }
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.shared.state.lock().stopped = true;
        self.shared.wanted.notify_one();
    }
}

impl Shared {
    fn take(&self, token: Token) -> Result<Duration, TokenError> {
        let (Ok(value), Ok(principal)) = (CString::new(token.value), CString::new(token.principal))
        else {
            return Err(TokenError::NoToken);
        };
        let now = Instant::now();
        let current = Current {
            value,
            principal,
            fetched: now,
            until: now + token.lifetime,
        };
        let mut state = self.state.lock();
        for client in &state.clients {
            self.hand_over(&current, *client);
        }
        state.token = Some(current);
        if state.trouble.take().is_some() {
            tracing::info!("the token endpoint answers again");
        }
        Ok(token.lifetime)
    }

    /// Called under the lock of `state`, so that no client is dropped meanwhile.
    fn hand_over(&self, token: &Current, client: Native) {
        let left = token.until.saturating_duration_since(Instant::now());
        let until = super::kafka::now().0 + u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let texts: Vec<CString> = self
            .oidc
            .extensions
            .iter()
            .flat_map(|(name, value)| [name, value])
            .filter_map(|text| CString::new(text.as_str()).ok())
            .collect();
        let mut extensions: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
        let mut words = [0 as c_char; 256];
        // SAFETY: the client is alive while it is registered; librdkafka copies all that is passed, and ends `words` with a NUL.
        let (code, words) = unsafe {
            let code = rd_kafka_oauthbearer_set_token(
                client.0,
                token.value.as_ptr(),
                i64::try_from(until).unwrap_or(i64::MAX),
                token.principal.as_ptr(),
                extensions.as_mut_ptr(),
                extensions.len(),
                words.as_mut_ptr(),
                words.len(),
            );
            (code, CStr::from_ptr(words.as_ptr()))
        };
        if code != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
            && self.throttle.pass("token", "unusable").is_some()
        {
            // Its words may repeat a part of the token, except about its time.
            let expired = words
                .to_bytes()
                .starts_with(b"Must supply an unexpired token");
            tracing::warn!(
                "librdkafka does not take the token: {}",
                if expired {
                    "it has expired"
                } else {
                    "it or an extension holds characters that RFC 7628 does not allow"
                }
            );
        }
    }

    fn failed(&self, error: &TokenError, pause: Duration) {
        let words = error.to_string();
        if self.throttle.pass("token", &words).is_some() {
            tracing::warn!(
                "no new token for Kafka: {words}; asked again in {} s, deliveries wait safely meanwhile",
                pause.as_secs()
            );
        }
        self.state.lock().trouble = Some(words);
    }
}

/// Fetches tokens until it is stopped.
async fn keep(shared: &Shared) {
    let mut pause = FIRST_PAUSE;
    while !shared.state.lock().stopped {
        let fetched = shared.oidc.fetch().await;
        let wait = match fetched.and_then(|token| shared.take(token)) {
            Ok(lifetime) => {
                pause = FIRST_PAUSE;
                // Not oftener than once a second, however short a token lives.
                lifetime.mul_f64(RENEW_AT).max(FIRST_PAUSE)
            }
            Err(error) => {
                shared.failed(&error, pause);
                let now = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                now
            }
        };
        // Cut short by a notice, also by one that came before.
        let _ = tokio::time::timeout(wait, shared.wanted.notified()).await;
    }
}
