//! The ingress: one request, one delivery.

use super::connection::{self, Busy};
use super::connections::Connections;
use super::meter::{self, Metered};
use super::problem::{self, Failure};
use super::{body, encoding};
use crate::config::DEFAULT_APP;
use crate::domain::reasons::Rejection;
use crate::ingest::{AppState, Arrival, Ingest, Receipt};
use crate::metrics::Metrics;
use crate::shutdown::InFlight;
use actix_http::{Request, RequestHead};
use actix_web::HttpResponse;
use actix_web::http::header::{
    CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use actix_web::http::{ConnectionType, Method, Uri};
use actix_web::web::Data;
use std::sync::Arc;
use std::time::Instant;

/// ICR's signature header.
const SIGNATURE: HeaderName = HeaderName::from_static("x-icr-signature-256");

/// More than one signature header is one too many: no need to look at all of them.
const MOST_SIGNATURES: usize = 2;

/// Headers kept in the journal: they help to tell who sent a delivery, and hold no personal data.
const KEPT_HEADERS: [&str; 2] = ["content-type", "user-agent"];

/// Longer values of kept headers are left out.
const MAX_KEPT_HEADER: usize = 256;

/// What the ingress needs.
pub struct Ingress {
    /// The use case.
    pub ingest: Arc<Ingest>,
    /// For requests that name no app, and the time of each request.
    pub metrics: Arc<Metrics>,
    /// Counts the requests under way, for the shutdown.
    pub in_flight: InFlight,
    /// Looks after the connections.
    pub connections: Connections,
    /// The limits of bodies.
    pub bodies: body::Limits,
}

/// Answers any request on the ingress listener.
pub async fn webhook(request: Request, ingress: Data<Ingress>) -> HttpResponse {
    let started = Instant::now();
    let busy = connection::busy(request.conn_data());
    let metered = meter::metered(request.conn_data());
    let last = is_last(request.head());
    let mut response = match target(request.head(), &ingress) {
        Ok(app) => match deliver(request, app, &ingress, (&busy, &metered)).await {
            Ok(receipt) => problem::receipt(receipt),
            Err(failure) => failure.response(),
        },
        Err(failure) => {
            misdirected(request.head(), failure, &ingress);
            let mut response = failure.response();
            let (_head, mut payload) = request.into_parts();
            if !body::discard(&mut payload, ingress.bodies.body, &metered).await {
                close(&mut response);
            }
            response
        }
    };
    if ingress.connections.are_leaving() || last {
        close(&mut response);
    }
    ingress
        .metrics
        .request(response.status().as_u16(), started.elapsed().as_secs_f64());
    response
}

/// Answers a request that asks whether its body is welcome (`Expect: 100-continue`), where its head alone decides that it is not: then
/// nothing invites the body. The connection ends, since what its sender does about the body is not known.
pub(super) fn expect(request: Request, ingress: &Ingress) -> Result<Request, Box<HttpResponse>> {
    let started = Instant::now();
    let judged = target(request.head(), ingress)
        .inspect_err(|failure| misdirected(request.head(), *failure, ingress))
        .and_then(|app| {
            let failure = body::declared_too_large(&request.head().headers, &ingress.bodies);
            failure.map_or(Ok(()), |failure| {
                count(app, failure, ingress);
                Err(failure)
            })
        });
    let Err(failure) = judged else {
        return Ok(request);
    };
    let mut response = failure.response();
    close(&mut response);
    ingress
        .metrics
        .request(response.status().as_u16(), started.elapsed().as_secs_f64());
    Err(Box::new(response))
}

/// Counts a failure before a delivery reached [`Ingest::take`].
fn count(app: &AppState, failure: Failure, ingress: &Ingress) {
    if let Failure::Rejected(reason) = failure {
        ingress.ingest.rejected(app, reason);
    }
}

/// What carries a signature was meant to be a delivery: it is lost by a wrong URL, and somebody must learn of it.
fn misdirected(head: &RequestHead, failure: Failure, ingress: &Ingress) {
    if head.headers.contains_key(&SIGNATURE) {
        let status = failure.status().as_u16();
        ingress
            .ingest
            .misdirected(head.method.as_str(), head.uri.path(), status);
    }
}

fn close(response: &mut HttpResponse) {
    response
        .head_mut()
        .set_connection_type(ConnectionType::Close);
}

/// A delivery for an app, in the order of checks: size, encoding; then what [`Ingest::take`] checks.
async fn deliver(
    mut request: Request,
    app: &Arc<AppState>,
    ingress: &Ingress,
    (busy, metered): (&Busy, &Metered),
) -> Result<Receipt, Failure> {
    if is_endless(request.head()) {
        return Err(Failure::BrokenOff);
    }
    let limit = ingress.bodies.body;
    let mut payload = request.take_payload();
    let headers = &request.head().headers;
    let body = body::read(headers, &mut payload, &ingress.bodies, (busy, metered))
        .await
        .and_then(|raw| {
            let encodings = headers
                .get_all(CONTENT_ENCODING)
                .map(|value| value.as_bytes());
            Ok(encoding::decode(encodings, raw, limit)?)
        })
        .inspect_err(|failure| count(app, *failure, ingress))?;
    // From here on the delivery is ours: leaving waits for it.
    busy.complete();
    let _under_way = ingress.in_flight.enter();
    let admission = {
        let mut signatures = [&b""[..]; MOST_SIGNATURES];
        let mut kept = [("", &b""[..]); KEPT_HEADERS.len()];
        let arrival = Arrival {
            signatures: fill(
                &mut signatures,
                headers.get_all(&SIGNATURE).map(|value| value.as_bytes()),
            ),
            headers: fill(&mut kept, kept_headers(headers)),
            body: &body,
            peer: request.peer_addr().map(|address| address.ip()),
        };
        ingress.ingest.take(app, arrival)?
    };
    // Both stand in the connection's buffer, which is free again while the journal works.
    drop(body);
    forget(request);
    Ok(admission.receipt().await?)
}

/// Lets go of the bytes that a request was read from. actix keeps its heads for the next ones, as they are.
fn forget(mut request: Request) {
    *request.uri_mut() = Uri::default();
    request.headers_mut().clear();
}

/// The connection of such a request ends after its answer: actix takes what follows the last chunk for trailers, bare line feeds and all, and
/// so may see its end behind where others see it; and it ends a connection that was to go on in another protocol. Requests that were
/// pipelined behind it and have arrived by then are served first.
fn is_last(head: &RequestHead) -> bool {
    head.headers.contains_key(TRANSFER_ENCODING) || head.upgrade()
}

/// Whether a request wants to go on as WebSocket. actix then takes all that follows for its body, whatever length it declares.
fn is_endless(head: &RequestHead) -> bool {
    let websocket = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    head.headers.get_all(UPGRADE).any(websocket)
}

/// The app that a request's path and method name.
fn target<'a>(head: &RequestHead, ingress: &'a Ingress) -> Result<&'a Arc<AppState>, Failure> {
    let Some(name) = app_name(head.uri.path()) else {
        return Err(Failure::UnknownPath);
    };
    let Some(app) = ingress.ingest.app(name) else {
        ingress.metrics.unknown_app.rejected(Rejection::UnknownApp);
        return Err(Failure::Rejected(Rejection::UnknownApp));
    };
    if head.method == Method::POST {
        Ok(app)
    } else {
        Err(Failure::MethodNotAllowed)
    }
}

/// The app that a path names: `/webhook` the default app, `/webhook/<app>` any other; `None` for another path.
///
/// Surplus slashes, also percent-encoded ones, change nothing: one that is typed at ICR by mistake would lose every delivery.
fn app_name(path: &str) -> Option<&str> {
    if path == "/webhook" {
        return Some(DEFAULT_APP);
    }
    let parts = path.split("%2F").flat_map(|part| part.split("%2f"));
    let mut segments = parts
        .flat_map(|part| part.split('/'))
        .filter(|segment| !segment.is_empty());
    match (segments.next(), segments.next(), segments.next()) {
        (Some("webhook"), None, _) => Some(DEFAULT_APP),
        // `/webhook` is the one path of the default app: no app has the empty name.
        (Some("webhook"), Some(DEFAULT_APP), None) => Some(""),
        (Some("webhook"), name, None) => name,
        _ => None,
    }
}

fn kept_headers(headers: &HeaderMap) -> impl Iterator<Item = (&'static str, &[u8])> {
    KEPT_HEADERS
        .into_iter()
        .filter_map(|name| Some((name, headers.get(name)?.as_bytes())))
        .filter(|(_, value)| value.len() <= MAX_KEPT_HEADER)
}

/// The places that are filled by what comes, up to the last place. Nothing is allocated: most of what comes in a flood is forged.
fn fill<T>(places: &mut [T], items: impl Iterator<Item = T>) -> &[T] {
    let filled = places.iter_mut().zip(items);
    let count = filled.map(|(place, item)| *place = item).count();
    places.get(..count).unwrap_or_default()
}
