//! The baseline: an actix handler that reads the body, verifies the signature and answers 202. It stores and publishes nothing.

use super::load::SECRET;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use icr_bridge::domain::envelope::Envelope;
use icr_bridge::domain::signature::{SecretSet, Signature, verify};

async fn webhook(request: HttpRequest, body: Bytes, secrets: Data<SecretSet>) -> HttpResponse {
    let headers = request
        .headers()
        .get_all("x-icr-signature-256")
        .map(|value| value.as_bytes());
    let verified = Envelope::parse(&body)
        .and_then(|envelope| verify(envelope, Signature::from_headers(headers)?, &secrets));
    match verified {
        Ok(_) => HttpResponse::Accepted()
            .content_type("application/json")
            .body(r#"{"status":"accepted","id":"00000000-0000-0000-0000-000000000000"}"#),
        Err(_) => HttpResponse::Forbidden().finish(),
    }
}

/// Prints its address and serves until it is killed.
pub fn serve() {
    actix_web::rt::System::new().block_on(async {
        let secrets = Data::new(SecretSet::single(SECRET.as_bytes()).unwrap());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::clone(&secrets))
                .default_service(web::to(webhook))
        })
        .bind("127.0.0.1:0")
        .unwrap();
        println!("{}", server.addrs()[0]);
        server.run().await.unwrap();
    });
}
