//! The baselines: actix handlers that store and publish nothing. Each runs as a process of its own, which is this program again.

use super::load::SECRET;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use icr_bridge::domain::envelope::Envelope;
use icr_bridge::domain::signature::{SecretSet, Signature, verify};

/// Tells the program which of them it is to be.
pub const ROLE: &str = "BENCH_ROLE";

const ACCEPTED: &str = r#"{"status":"accepted","id":"00000000-0000-0000-0000-000000000000"}"#;

fn accepted() -> HttpResponse {
    HttpResponse::Accepted()
        .content_type("application/json")
        .body(ACCEPTED)
}

/// Reads the body and answers 202.
async fn bare(_body: Bytes) -> HttpResponse {
    accepted()
}

/// Verifies the signature, too; 403 where it is wrong.
async fn verify_only(request: HttpRequest, body: Bytes, secrets: Data<SecretSet>) -> HttpResponse {
    let headers = request
        .headers()
        .get_all("x-icr-signature-256")
        .map(|value| value.as_bytes());
    let verified = Envelope::parse(&body)
        .and_then(|envelope| verify(envelope, Signature::from_headers(headers)?, &secrets));
    match verified {
        Ok(_) => accepted(),
        Err(_) => HttpResponse::Forbidden().finish(),
    }
}

/// Prints its address and serves until it is killed.
pub fn serve_if_asked() -> bool {
    let Ok(role) = std::env::var(ROLE) else {
        return false;
    };
    actix_web::rt::System::new().block_on(async move {
        let secrets = Data::new(SecretSet::single(SECRET.as_bytes()).unwrap());
        let server = HttpServer::new(move || {
            let route = match role.as_str() {
                "bare" => web::to(bare),
                _ => web::to(verify_only),
            };
            App::new()
                .app_data(Data::clone(&secrets))
                .app_data(web::PayloadConfig::new(1 << 20))
                .default_service(route)
        })
        .bind("127.0.0.1:0")
        .unwrap();
        println!("{}", server.addrs()[0]);
        server.run().await.unwrap();
    });
    true
}
