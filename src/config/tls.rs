//! TLS of the ingress listener.

use super::environment::Environment;
use crate::tls::{Files, Identity};

/// Reads certificate and key; every problem goes to `env`. Fails closed: half an identity, or one that cannot be used, does not start.
pub(super) fn read(env: &mut Environment) -> Option<Identity> {
    const CERTIFICATE: &str = "TLS_CERTIFICATE_FILE";
    const KEY: &str = "TLS_KEY_FILE";
    let files = match (env.text(CERTIFICATE), env.text(KEY)) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => Files {
            certificate: certificate.into(),
            key: key.into(),
        },
        (Some(_), None) => {
            env.problem(KEY, "is missing: it belongs to TLS_CERTIFICATE_FILE");
            return None;
        }
        (None, Some(_)) => {
            env.problem(CERTIFICATE, "is missing: it belongs to TLS_KEY_FILE");
            return None;
        }
    };
    match files.read() {
        Ok(identity) => {
            if let Some(doubt) = identity.doubt() {
                env.warn(format!("TLS: {doubt}"));
            }
            Some(identity)
        }
        Err(error) => {
            let variable = if error.is_about_key() {
                KEY
            } else {
                CERTIFICATE
            };
            env.problem(variable, error.to_string());
            None
        }
    }
}
