//! The admin listener: metrics, liveness, readiness, and the contract with consumers. Who is served is up to [`super::guard`].

use crate::contract::{ASYNCAPI, ASYNCAPI_FILE, SCHEMAS};
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpResponse, Resource, guard, http::header::ContentType};
use serde_json::json;
use std::sync::Arc;

/// What the admin listener shows.
pub struct Admin {
    pub metrics: Arc<Metrics>,
    /// Its state is collected with them.
    pub journal: Journal,
    /// For `journal_low_water_bytes`.
    pub low_water_bytes: u64,
    /// Whether a delivery can be stored now.
    pub readiness: Readiness,
}

pub fn routes(service: &mut ServiceConfig) {
    service
        .service(read_only("/metrics").to(metrics))
        .service(read_only("/healthz").to(healthz))
        .service(read_only("/readyz").to(readyz))
        .service(read_only("/schema/").to(schemas))
        .service(read_only("/schema/{file}").to(schema))
        .default_service(web::to(|| async {
            text(
                HttpResponse::NotFound(),
                "try /metrics, /healthz, /readyz or /schema/",
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

/// What there is under `/schema/`.
async fn schemas() -> HttpResponse {
    let schemas: Vec<_> = SCHEMAS
        .iter()
        .map(|schema| {
            json!({
                "name": schema.name,
                "id": schema.id,
                "about": schema.about,
                "path": format!("/schema/{}", schema.file),
            })
        })
        .collect();
    let asyncapi = format!("/schema/{}", ASYNCAPI_FILE);
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(json!({"schemas": schemas, "asyncapi": asyncapi}).to_string() + "\n")
}

/// A document of the contract by its file's name.
async fn schema(file: Path<String>) -> HttpResponse {
    let answer = |content_type, body: &'static str| {
        HttpResponse::Ok()
            .insert_header(("content-type", content_type))
            .body(body)
    };
    if *file == ASYNCAPI_FILE {
        return answer("application/vnd.aai.asyncapi+yaml;version=3.1.0", ASYNCAPI);
    }
    match SCHEMAS.iter().find(|schema| schema.file == *file) {
        Some(schema) => answer("application/schema+json", schema.text),
        None => text(HttpResponse::NotFound(), "try /schema/"),
    }
}

fn text(mut response: actix_web::HttpResponseBuilder, text: &str) -> HttpResponse {
    response
        .insert_header(ContentType::plaintext())
        .body(format!("{text}\n"))
}
