//! TLS on the ingress listener, for those without a proxy: a certificate and its key, read again when they have changed.
//!
//! **Guarantees.**
//! - Certificate and key are a pair at every moment: both are read, and put in force together, once both files have been unchanged
//!   for two seconds. A connection keeps the pair that it began with.
//! - Over a pair that cannot be used (missing, half-written, not belonging together, expired) the last good one stays in force; that
//!   is counted and logged once for each bad state, and so is its end.
//! - TLS 1.2 and 1.3, with rustls's choice of ciphers, and HTTP/1.1 alone.

pub mod identity;
mod watch;

pub use identity::{Files, Identity, TlsError};
use parking_lot::RwLock;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
pub use watch::Watch;

/// The identity in force. Clones are handles to the same.
#[derive(Clone)]
pub struct Tls(Arc<RwLock<TlsAcceptor>>);

impl Tls {
    /// Begins with an identity.
    pub fn new(identity: &Identity) -> Self {
        Self(Arc::new(RwLock::new(identity.acceptor())))
    }

    /// What a connection that begins now is accepted with.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.0.read().clone()
    }

    fn replace(&self, identity: &Identity) {
        *self.0.write() = identity.acceptor();
    }
}
