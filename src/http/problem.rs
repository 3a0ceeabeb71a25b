//! Answers: the only place that knows status codes. Errors are RFC 9457 problem documents whose text tells a sender what to fix and
//! an attacker nothing.

use super::guard::Denial;
use crate::domain::reasons::{Refusal, Rejection};
use crate::ingest::{IngestError, Receipt};
use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::http::{ConnectionType, StatusCode};
use bytes::Bytes;
use serde::Serialize;
use std::sync::LazyLock;

/// Seconds after which a refused sender may try again. ICR never does; a proxy in front may.
const RETRY_AFTER_SECONDS: &str = "1";

/// What a request without a good token is asked for (RFC 6750, section 3).
const CHALLENGE: &str = "Bearer realm=\"icr-bridge admin\"";

/// The same for one whose token is wrong.
const CHALLENGE_AGAIN: &str = "Bearer realm=\"icr-bridge admin\", error=\"invalid_token\"";

/// The media type of a problem document (RFC 9457).
const PROBLEM: &str = "application/problem+json";

/// Everything that is answered but what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    UnknownPath,
    /// Another method than POST.
    MethodNotAllowed,
    /// The body did not come in time.
    TimedOut,
    /// The sender broke off, or sent what is no HTTP body. Nobody reads the answer.
    BrokenOff,
    /// Unproven.
    Rejected(Rejection),
    /// Proven, and not stored.
    Refused(Refusal),
    /// Not for whoever asked the admin listener.
    Denied(Denial),
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Rejected(reason) => Self::Rejected(reason),
            IngestError::Refused(reason) => Self::Refused(reason),
        }
    }
}

impl From<Rejection> for Failure {
    fn from(reason: Rejection) -> Self {
        Self::Rejected(reason)
    }
}

/// `application/problem+json`. `type` is about:blank where the status says it all, else it names the reason.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Failure {
    /// The status that it is answered with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::UnknownPath | Self::Rejected(Rejection::UnknownApp) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Refused(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Rejected(reason) => match reason {
                Rejection::SignatureMissing
                | Rejection::SignatureMalformed
                | Rejection::SignatureWrong => StatusCode::FORBIDDEN,
                Rejection::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Rejection::EncodingUnsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                _ => StatusCode::BAD_REQUEST,
            },
            Self::BrokenOff => StatusCode::BAD_REQUEST,
            Self::Denied(Denial::TokenMissing | Denial::TokenWrong) => StatusCode::UNAUTHORIZED,
            Self::Denied(_) => StatusCode::FORBIDDEN,
        }
    }

    /// The reason where the contract names one.
    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Rejected(Rejection::UnknownApp) => None,
            Self::Rejected(reason) => Some(reason.name()),
            Self::Refused(reason) => Some(reason.name()),
            _ => None,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::UnknownPath | Self::Rejected(Rejection::UnknownApp) => {
                "There is nothing here. Check the webhook URL."
            }
            Self::MethodNotAllowed => "Deliver webhooks with POST.",
            Self::TimedOut => "The request did not arrive completely in time.",
            Self::BrokenOff => "The request's body broke off or is malformed.",
            Self::Refused(_) => {
                "The delivery could not be stored. Nothing is promised: send it again."
            }
            Self::Rejected(reason) => match reason {
                Rejection::SignatureMissing => {
                    "The header x-icr-signature-256 is missing or empty."
                }
                Rejection::SignatureMalformed => {
                    "The header x-icr-signature-256 must stand once and hold sha256= and 64 hexadecimal digits."
                }
                Rejection::SignatureWrong => "The signature does not match.",
                Rejection::SignedDataMissing => "The body has no member signedData.",
                Rejection::SignedDataNotString => "The member signedData must be a string.",
                Rejection::BodyNotJson => "The body must be one JSON text in UTF-8.",
                Rejection::BodyNotObject => "The body must be a JSON object.",
                Rejection::DuplicateKey => "The member signedData stands twice.",
                Rejection::BodyTooLarge => "The body is over the limit.",
                Rejection::EncodingUnsupported => {
                    "Use the content encoding gzip or deflate, or none."
                }
                Rejection::UnknownApp => "",
            },
            Self::Denied(denial) => match denial {
                Denial::Host => {
                    "Address this listener as localhost, by its address, or by a name in ICR_BRIDGE_ADMIN_HOSTS."
                }
                Denial::Origin => "Pages of other origins may only GET.",
                Denial::Remote => {
                    "Served to this machine alone, unless ICR_BRIDGE_ADMIN_TOKEN is set."
                }
                Denial::TokenMissing => "Send the header Authorization: Bearer <token>.",
                Denial::TokenWrong => "The token is not in force.",
            },
        }
    }

    pub fn response(self) -> HttpResponse {
        let mut response = HttpResponse::with_body(self.status(), self.document().boxed());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        match self {
            Self::MethodNotAllowed => headers.insert(ALLOW, HeaderValue::from_static("POST")),
            Self::Rejected(Rejection::EncodingUnsupported) => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"))
            }
            Self::Refused(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS))
            }
            Self::Denied(Denial::TokenMissing) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE))
            }
            Self::Denied(Denial::TokenWrong) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE_AGAIN))
            }
            // What is left of the body would have to be read to keep the connection.
            Self::TimedOut | Self::BrokenOff | Self::Rejected(Rejection::BodyTooLarge) => {
                response
                    .head_mut()
                    .set_connection_type(ConnectionType::Close);
                return response;
            }
            _ => return response,
        };
        response
    }

    /// The problem document. Those of rejections are made once: a flood of forgeries is to cost little.
    fn document(self) -> Bytes {
        static REJECTIONS: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
            let all = Rejection::ALL.iter();
            all.map(|reason| Failure::Rejected(*reason).make_document())
                .collect()
        });
        let made = match self {
            Self::Rejected(reason) => REJECTIONS.get(reason as usize).cloned(),
            _ => None,
        };
        made.unwrap_or_else(|| self.make_document())
    }

    fn make_document(self) -> Bytes {
        let status = self.status();
        let kind = self.reason().map_or_else(
            || "about:blank".to_owned(),
            |reason| format!("urn:icr-bridge:problem:{reason}"),
        );
        let problem = Problem {
            r#type: &kind,
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.detail(),
        };
        serde_json::to_vec(&problem).unwrap_or_default().into()
    }
}

/// The answer to a delivery that is safe.
pub fn receipt(receipt: Receipt) -> HttpResponse {
    let (status, id) = match receipt {
        Receipt::Accepted(id) => ("accepted", id),
        Receipt::Duplicate(id) => ("duplicate", id),
    };
    HttpResponse::Accepted()
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(format!(r#"{{"status":"{status}","id":"{id}"}}"#))
}
