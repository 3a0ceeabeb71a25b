//! OIDC's client credentials (RFC 6749, section 4.4): from librdkafka's properties to a token for SASL's OAUTHBEARER.
//!
//! librdkafka would fetch tokens through libcurl, which no build of ours has. The properties keep its names and meaning; they are
//! taken out before the rest reaches librdkafka (`properties`), and the token is handed to it (`tokens`).
//!
//! Guarantees: no word of an error holds any part of a property's value or of a token.
use crate::http_client::{Authorities, HttpClient, Limits, RequestError};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The properties that this module reads, under librdkafka's names. librdkafka itself gets none of them.
pub const PROPERTIES: [&str; 9] = [
    METHOD,
    GRANT,
    CLIENT_ID,
    CLIENT_SECRET,
    SCOPE,
    EXTENSIONS,
    URL,
    CA_LOCATION,
    CA_PEM,
];

pub(super) const METHOD: &str = "sasl.oauthbearer.method";
const GRANT: &str = "sasl.oauthbearer.grant.type";
pub(super) const CLIENT_ID: &str = "sasl.oauthbearer.client.id";
pub(super) const CLIENT_SECRET: &str = "sasl.oauthbearer.client.secret";
const SCOPE: &str = "sasl.oauthbearer.scope";
const EXTENSIONS: &str = "sasl.oauthbearer.extensions";
pub(super) const URL: &str = "sasl.oauthbearer.token.endpoint.url";
const CA_LOCATION: &str = "https.ca.location";
const CA_PEM: &str = "https.ca.pem";

/// Time for one request, so that a token endpoint that is silent is asked again soon.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(10),
    bytes: 256 << 10,
};

/// What a token's time is thought to be where neither the answer nor the token says it.
const UNKNOWN_LIFETIME: Duration = Duration::from_secs(300);

/// The longest time that is believed.
const LONGEST_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// How tokens are fetched. Holds a secret: never printed.
#[derive(Clone)]
pub struct Oidc {
    url: Url,
    id: String,
    secret: String,
    scope: Option<String>,
    /// Name and value of what the broker is told beside the token.
    pub(super) extensions: Vec<(String, String)>,
    client: HttpClient,
}

/// A token, and how long it may be used from now on.
pub struct Token {
    pub(super) value: String,
    pub(super) principal: String,
    pub(super) lifetime: Duration,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No answer.
    #[error("the token endpoint (sasl.oauthbearer.token.endpoint.url) gives no answer: {0}")]
    Request(#[from] RequestError),
    /// Another status than 200.
    #[error("the token endpoint refuses the request with status {status}{code}; {hint}")]
    Refused {
        /// The status.
        status: u16,
        /// RFC 6749's code, if there is one.
        code: String,
        /// The way out.
        hint: &'static str,
    },
    /// 200, and no token.
    #[error(
        "the token endpoint's answer holds no access_token; check sasl.oauthbearer.token.endpoint.url"
    )]
    NoToken,
    /// The token's time is over.
    #[error("the token endpoint gave a token that has already expired; check this machine's clock")]
    Expired,
}

/// RFC 6749, section 5.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

/// The two claims of a JWT that are of use here.
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
}

impl Oidc {
    /// Whether the properties ask for it.
    pub fn is_wanted(properties: &BTreeMap<String, String>) -> bool {
        properties
            .get(METHOD)
            .is_some_and(|method| method == "oidc")
    }

    /// What the properties say, or each problem: a property and a sentence about it.
    ///
    /// # Errors
    /// Where something is missing or cannot be used.
    pub fn of(properties: &BTreeMap<String, String>) -> Result<Self, Vec<(&'static str, String)>> {
        let mut problems = Vec::new();
        let mut text = |name: &'static str| {
            let value = properties.get(name).filter(|value| !value.is_empty());
            if value.is_none() {
                problems.push((name, format!("is required with {METHOD}=oidc")));
            }
            value.cloned().unwrap_or_default()
        };
        let (id, secret, url) = (text(CLIENT_ID), text(CLIENT_SECRET), text(URL));
        let url = match parse_url(&url) {
            Ok(url) => Some(url),
            Err(_) if url.is_empty() => None,
            Err(problem) => {
                problems.push((URL, problem.to_owned()));
                None
            }
        };
        if let Some(grant) = properties.get(GRANT)
            && grant != "client_credentials"
        {
            problems.push((
                GRANT,
                "must be client_credentials: the bridge knows no other grant".to_owned(),
            ));
        }
        let extensions = match properties.get(EXTENSIONS).map(|text| extensions(text)) {
            None => Vec::new(),
            Some(Some(extensions)) => extensions,
            Some(None) => {
                problems.push((EXTENSIONS, "must be of the form name=value,name=value, the names of letters alone; in KAFKA_PROPERTIES commas separate properties, so that more than one extension needs KAFKA_PROPERTIES_FILE".to_owned()));
                Vec::new()
            }
        };
        let client = match authorities(properties) {
            Ok(authorities) => match HttpClient::new(&authorities) {
                Ok(client) => Some(client),
                Err(error) => {
                    problems.push((ca_property(&authorities), error.to_string()));
                    None
                }
            },
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        match (url, client) {
            (Some(url), Some(client)) if problems.is_empty() => Ok(Self {
                url,
                id,
                secret,
                scope: properties
                    .get(SCOPE)
                    .filter(|scope| !scope.is_empty())
                    .cloned(),
                extensions,
                client,
            }),
            _ => Err(problems),
        }
    }

    /// Asks for a token, once.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn fetch(&self) -> Result<Token, TokenError> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        let body = Bytes::from(form.finish());
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(AUTHORIZATION, self.authorization());
        let method = hyper::Method::POST;
        let answer = self.client.send(method, &self.url, headers, body, LIMITS);
        let answer = answer.await?;
        if answer.status != 200 {
            return Err(refused(answer.status, &answer.body));
        }
        let granted: Granted =
            serde_json::from_slice(&answer.body).map_err(|_| TokenError::NoToken)?;
        self.token(granted, super::kafka::now().0)
    }

    /// librdkafka sends both as they are, without the encoding that RFC 6749 asks for; servers that know librdkafka expect that.
    /// Only characters that the header cannot hold otherwise make a difference.
    fn authorization(&self) -> HeaderValue {
        let credentials = BASE64_STANDARD.encode(format!("{}:{}", self.id, self.secret));
        let mut value = HeaderValue::try_from(format!("Basic {credentials}"))
            .unwrap_or(HeaderValue::from_static("Basic"));
        value.set_sensitive(true);
        value
    }

    fn token(&self, granted: Granted, now: u64) -> Result<Token, TokenError> {
        if granted.access_token.is_empty() {
            return Err(TokenError::NoToken);
        }
        let claims = claims(&granted.access_token);
        let told = granted.expires_in.and_then(|told| match told {
            // Some servers write the number as a text.
            serde_json::Value::String(text) => text.trim().parse::<f64>().ok(),
            other => other.as_f64(),
        });
        let claimed = claims
            .as_ref()
            .and_then(|claims| claims.exp)
            .map(|at| at - now as f64 / 1000.0);
        let seconds = match (told, claimed) {
            (Some(told), Some(claimed)) => told.min(claimed),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => UNKNOWN_LIFETIME.as_secs_f64(),
        };
        // Negative where the token's time is over.
        let lifetime = Duration::try_from_secs_f64(seconds.min(LONGEST_LIFETIME.as_secs_f64()))
            .map_err(|_| TokenError::Expired)?;
        if lifetime < Duration::from_secs(1) {
            return Err(TokenError::Expired);
        }
        Ok(Token {
            value: granted.access_token,
            principal: claims
                .and_then(|claims| claims.sub)
                .filter(|principal| !principal.contains('\0'))
                .unwrap_or_else(|| self.id.clone()),
            lifetime,
        })
    }
}

/// RFC 6749's codes are few and fixed; any other text might repeat what was sent.
fn refused(status: u16, body: &[u8]) -> TokenError {
    const CODES: [&str; 6] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    let denied = serde_json::from_slice::<Denied>(body).ok();
    let code = denied.and_then(|denied| CODES.into_iter().find(|code| *code == denied.error));
    let hint = match (code, status) {
        (Some("invalid_scope"), _) => "check sasl.oauthbearer.scope",
        (Some("unsupported_grant_type"), _) => "allow this client the grant client_credentials",
        (Some("invalid_client" | "unauthorized_client"), _) | (_, 401 | 403) => {
            "check sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret"
        }
        (_, 300..=399) => "redirects are not followed; name the endpoint's final URL",
        (_, 404 | 405) => "check sasl.oauthbearer.token.endpoint.url",
        (_, 429 | 500..=599) => "the bridge asks again",
        _ => "check the properties sasl.oauthbearer.*",
    };
    TokenError::Refused {
        status,
        code: code.map(|code| format!(" ({code})")).unwrap_or_default(),
        hint,
    }
}

fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn parse_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text)
        .map_err(|_| "is not a URL; write one such as https://login.example/oauth2/token")?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(
            "must be an http or https URL with a host, such as https://login.example/oauth2/token",
        );
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must not hold a user name or password; they belong into sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret",
        );
    }
    if url.port() == Some(0) {
        return Err("has the port 0, on which nothing can listen");
    }
    Ok(url)
}

/// RFC 7628: a name is of letters, a value of what can be printed. `auth` is the token's own.
fn extensions(text: &str) -> Option<Vec<(String, String)>> {
    let entries = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    entries
        .map(|entry| {
            let (name, value) = entry.split_once('=')?;
            let (name, value) = (name.trim(), value.trim());
            let sound = !name.is_empty()
                && name != "auth"
                && name.bytes().all(|byte| byte.is_ascii_alphabetic())
                && !value.is_empty()
                && value.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
            sound.then(|| (name.to_owned(), value.to_owned()))
        })
        .collect()
}

fn authorities(
    properties: &BTreeMap<String, String>,
) -> Result<Authorities, (&'static str, String)> {
    let set = |name| {
        properties
            .get(name)
            .filter(|value: &&String| !value.is_empty())
    };
    match (set(CA_LOCATION), set(CA_PEM)) {
        (Some(_), Some(_)) => Err((
            CA_PEM,
            format!("is set together with {CA_LOCATION}; set one of them"),
        )),
        (Some(path), None) if path != "probe" => Ok(Authorities::Path(PathBuf::from(path))),
        (None, Some(text)) => Ok(Authorities::Pem(text.clone())),
        _ => Ok(Authorities::System),
    }
}

fn ca_property(authorities: &Authorities) -> &'static str {
    match authorities {
        Authorities::Pem(_) => CA_PEM,
        Authorities::System | Authorities::Path(_) => CA_LOCATION,
    }
}

#[cfg(test)]
mod tests;
