//! The ingress: one request, one delivery.

use super::connections::{self, Busy, Connections};
use super::problem::{self, Failure};
use super::{body, encoding};
use crate::domain::reasons::Rejection;
use crate::ingest::{AppState, Arrival, Ingest, Receipt};
use crate::metrics::Metrics;
use crate::shutdown::InFlight;
use actix_web::http::header::{
    CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use actix_web::http::{ConnectionType, Method};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use std::sync::Arc;
use std::time::Instant;

/// ICR's signature header.
const SIGNATURE: HeaderName = HeaderName::from_static("x-icr-signature-256");

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
pub async fn webhook(
    request: HttpRequest,
    mut payload: Payload,
    ingress: Data<Ingress>,
) -> HttpResponse {
    let started = Instant::now();
    let busy = connections::busy(&request);
    let mut response = match target(&request, &ingress) {
        Ok(app) => match deliver(&request, &mut payload, app, &ingress, &busy).await {
            Ok(receipt) => problem::receipt(receipt),
            Err(failure) => failure.response(),
        },
        Err(failure) => {
            let mut response = failure.response();
            if !body::discard(&mut payload, ingress.bodies.body).await {
                close(&mut response);
            }
            response
        }
    };
    if ingress.connections.are_leaving() || is_chunked(&request) {
        close(&mut response);
    }
    ingress
        .metrics
        .request(response.status().as_u16(), started.elapsed().as_secs_f64());
    response
}

fn close(response: &mut HttpResponse) {
    response
        .head_mut()
        .set_connection_type(ConnectionType::Close);
}

/// A delivery for an app, in the order of checks: size, encoding; then what [`Ingest::take`] checks.
async fn deliver(
    request: &HttpRequest,
    payload: &mut Payload,
    app: &Arc<AppState>,
    ingress: &Ingress,
    busy: &Busy,
) -> Result<Receipt, Failure> {
    if is_endless(request) {
        return Err(Failure::BrokenOff);
    }
    let limit = ingress.bodies.body;
    let headers = request.headers();
    let body = body::read(request, payload, &ingress.bodies, busy)
        .await
        .and_then(|raw| {
            let encodings = headers
                .get_all(CONTENT_ENCODING)
                .map(|value| value.as_bytes());
            Ok(encoding::decode(encodings, raw, limit)?)
        })
        .inspect_err(|failure| {
            if let Failure::Rejected(reason) = failure {
                ingress.ingest.rejected(app, *reason);
            }
        })?;
    // From here on the delivery is ours: leaving waits for it.
    busy.complete();
    let _under_way = ingress.in_flight.enter();
    let signatures: Vec<&[u8]> = headers
        .get_all(&SIGNATURE)
        .map(|value| value.as_bytes())
        .collect();
    let kept = kept_headers(headers);
    let arrival = Arrival {
        signatures: &signatures,
        headers: &kept,
        body: &body,
        peer: request.peer_addr().map(|address| address.ip()),
    };
    Ok(ingress.ingest.take(app, arrival).await?)
}

/// Such a request is the last one of its connection: actix takes what follows the last chunk for trailers, bare line feeds and all, and so
/// may see its end behind where others see it.
fn is_chunked(request: &HttpRequest) -> bool {
    request.headers().contains_key(TRANSFER_ENCODING)
}

/// Whether a request wants to go on as WebSocket. actix then takes all that follows for its body, whatever length it declares.
fn is_endless(request: &HttpRequest) -> bool {
    let websocket = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    request.headers().get_all(UPGRADE).any(websocket)
}

/// The app that a request's path and method name.
fn target<'a>(request: &HttpRequest, ingress: &'a Ingress) -> Result<&'a Arc<AppState>, Failure> {
    let app = match request.path().strip_prefix("/webhook") {
        Some("") => ingress.ingest.app(crate::config::DEFAULT_APP),
        Some(rest) => match rest.strip_prefix('/') {
            // `/webhook` is the one path of the default app.
            Some(name) if !name.contains('/') => ingress
                .ingest
                .app(name)
                .filter(|_| name != crate::config::DEFAULT_APP),
            _ => return Err(Failure::UnknownPath),
        },
        None => return Err(Failure::UnknownPath),
    };
    let Some(app) = app else {
        ingress.metrics.unknown_app.rejected(Rejection::UnknownApp);
        return Err(Failure::Rejected(Rejection::UnknownApp));
    };
    if request.method() == Method::POST {
        Ok(app)
    } else {
        Err(Failure::MethodNotAllowed)
    }
}

fn kept_headers(headers: &HeaderMap) -> Vec<(&'static str, &[u8])> {
    KEPT_HEADERS
        .into_iter()
        .filter_map(|name| Some((name, headers.get(name)?.as_bytes())))
        .filter(|(_, value)| value.len() <= MAX_KEPT_HEADER)
        .collect()
}
