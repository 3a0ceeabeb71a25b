//! The admin listener: metrics, liveness, readiness.

use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, Resource, guard, http::header::ContentType};
use std::sync::Arc;

/// What the admin listener shows.
pub struct Admin {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Its state is collected with them.
    pub journal: Journal,
    /// For `journal_low_water_bytes`.
    pub low_water_bytes: u64,
    /// Whether a delivery can be stored now.
    pub readiness: Readiness,
}

/// The routes.
pub fn routes(service: &mut ServiceConfig) {
    service
        .service(read_only("/metrics").to(metrics))
        .service(read_only("/healthz").to(healthz))
        .service(read_only("/readyz").to(readyz))
        .default_service(web::to(|| async {
            text(
                HttpResponse::NotFound(),
                "try /metrics, /healthz or /readyz",
            )
        }));
}

/// A path for GET and HEAD.
fn read_only(path: &str) -> Resource {
    web::resource(path).guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn metrics(admin: Data<Admin>) -> HttpResponse {
    match admin.metrics.collect(&admin.journal, admin.low_water_bytes) {
        Ok(text) => HttpResponse::Ok()
            .insert_header(("content-type", "text/plain; version=0.0.4; charset=utf-8"))
            .body(text),
        Err(error) => text(HttpResponse::InternalServerError(), &error.to_string()),
    }
}

/// The process runs and answers.
async fn healthz() -> HttpResponse {
    text(HttpResponse::Ok(), "ok")
}

/// Whether a delivery can be stored now; Kafka does not matter.
async fn readyz(admin: Data<Admin>) -> HttpResponse {
    match admin.readiness.check(&admin.journal) {
        Ok(()) => text(HttpResponse::Ok(), "ready"),
        Err(reason) => text(HttpResponse::ServiceUnavailable(), &reason.to_string()),
    }
}

fn text(mut response: actix_web::HttpResponseBuilder, text: &str) -> HttpResponse {
    response
        .insert_header(ContentType::plaintext())
        .body(format!("{text}\n"))
}
