//! Who is served by the admin listener: metrics and probes are for everybody, all else is not.
//!
//! **Guarantee.** Beyond `OPEN`, a request is served only if its `Host` is ours (a page that a browser was lured to cannot reach
//! us under a name of its own, which is DNS rebinding), if its `Origin` is ours where it is more than a GET, and if it either
//! carries a token in force or, where none is configured, comes from this machine. Paths that don't exist are no exception, so
//! that what exists is not told to strangers.

use super::problem::Failure;
use crate::config::AdminAccess;
use crate::domain::signature::SecretSet;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use actix_web::middleware::Next;
use actix_web::web::Data;
use parking_lot::RwLock;
use std::net::IpAddr;

/// What scrapers and probes ask for, from wherever they are.
const OPEN: [&str; 3] = ["/metrics", "/healthz", "/readyz"];

/// The rule in force.
pub struct Guard {
    tokens: RwLock<Option<SecretSet>>,
    hosts: Vec<String>,
}

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// `Host` is absent, repeated, or not ours.
    Host,
    /// `Origin` is not ours, on anything but GET.
    Origin,
    /// From another machine, and there is no token that it could show.
    Remote,
    /// No token.
    TokenMissing,
    /// None that is in force.
    TokenWrong,
}

/// What the decision depends on.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    method: &'a Method,
    /// `None` where a header is absent, repeated or no text.
    host: Option<&'a str>,
    origin: Option<Option<&'a str>>,
    authorization: Option<Option<&'a str>>,
    /// The other side's address.
    peer: Option<IpAddr>,
}

impl Guard {
    pub fn new(access: &AdminAccess) -> Self {
        Self {
            tokens: RwLock::new(access.tokens.clone()),
            hosts: access.hosts.clone(),
        }
    }

    pub fn replace_tokens(&self, tokens: SecretSet) {
        *self.tokens.write() = Some(tokens);
    }

    fn check(&self, asked: Asked<'_>) -> Result<(), Denial> {
        let tokens = self.tokens.read();
        let host = asked.host.ok_or(Denial::Host)?;
        if !self.is_ours(host_name(host), tokens.is_some()) {
            return Err(Denial::Host);
        }
        if *asked.method != Method::GET
            && let Some(origin) = asked.origin
            && !origin.is_some_and(|origin| is_origin_of(origin, host))
        {
            return Err(Denial::Origin);
        }
        match (&*tokens, asked.authorization) {
            (None, _) => asked
                .peer
                .filter(|peer| peer.to_canonical().is_loopback())
                .map(drop)
                .ok_or(Denial::Remote),
            (Some(_), None) => Err(Denial::TokenMissing),
            (Some(tokens), Some(authorization)) => authorization
                .and_then(bearer)
                .filter(|token| tokens.holds(token.as_bytes()))
                .map(drop)
                .ok_or(Denial::TokenWrong),
        }
    }

    /// An address cannot be rebound to another machine, so any is ours where a token is asked for: behind a published port we
    /// don't know our own. Without one only this machine is served, and it has no reason to use another than a loopback one.
    fn is_ours(&self, name: &str, with_token: bool) -> bool {
        let bare = name
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match bare.unwrap_or(name).parse::<IpAddr>() {
            Ok(address) => with_token || address.to_canonical().is_loopback(),
            Err(_) => {
                let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
                name == "localhost" || self.hosts.contains(&name)
            }
        }
    }
}

/// `Host` without its port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether an origin (`scheme://host[:port]`) is the one that was addressed. TLS may end in front of us: the scheme doesn't matter,
/// and its default port is the same as none.
fn is_origin_of(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let authority = authority.strip_suffix(default).unwrap_or(authority);
    let host = host.strip_suffix(default).unwrap_or(host);
    authority.eq_ignore_ascii_case(host)
}

/// The token of `Bearer <token>`; the scheme's case doesn't matter (RFC 9110, section 11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start_matches(' '))
}

/// The one value of a header: `None` where it is absent, `Some(None)` where it is repeated or no text.
fn single<'a>(request: &'a ServiceRequest, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut values = request.headers().get_all(name);
    let first = values.next()?;
    let alone = values.next().is_none();
    Some(first.to_str().ok().filter(|_| alone))
}

/// The middleware: lets a request pass, or answers in its place.
pub async fn guard<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    if OPEN.contains(&request.path()) {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let Some(rule) = request.app_data::<Data<Guard>>() else {
        return Err(actix_web::error::ErrorInternalServerError("no guard"));
    };
    // A target in absolute form names the host as well, and then has the last word (RFC 9112, section 3.2.2).
    let target = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    let verdict = rule.check(Asked {
        method: request.method(),
        host: target.or_else(|| single(&request, &HOST).flatten()),
        origin: single(&request, &ORIGIN),
        authorization: single(&request, &AUTHORIZATION),
        peer: request.peer_addr().map(|address| address.ip()),
    });
    match verdict {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(denial) => {
            tracing::debug!(?denial, "a request to the admin listener was turned away");
            let response = Failure::Denied(denial).response();
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

#[cfg(test)]
mod tests;
