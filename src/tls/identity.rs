//! Who we are to a TLS client: a certificate chain and its private key, from two PEM files.

use crate::secrets::file::{self, Look, SecretFileError};
use openssl::asn1::Asn1Time;
use openssl::x509::X509;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error, InconsistentKeys, ServerConfig};

/// Before a certificate ends, when it is time to tell.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Where the two are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate chain, PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its private key, PEM, unencrypted.
    pub key: PathBuf,
}

/// A certificate and the key that belongs to it.
#[derive(Clone)]
pub struct Identity {
    /// Where they were read.
    pub files: Files,
    chain: Vec<CertificateDer<'static>>,
    not_after: SystemTime,
    server: Arc<ServerConfig>,
}

impl std::fmt::Debug for Identity {
    /// Leaves out the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("files", &self.files)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Why two files give no identity. Says nothing of their contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The certificate's file cannot be read.
    #[error("certificate: {0}")]
    Certificate(SecretFileError),
    /// The key's file cannot be read.
    #[error("key: {0}")]
    Key(SecretFileError),
    /// No certificate in its file, or one that is damaged.
    #[error("certificate: the file holds no certificate in PEM form, or a damaged one")]
    NoCertificate,
    /// No key in its file, or one that is damaged.
    #[error(
        "key: the file holds no unencrypted private key in PEM form (PKCS #8, PKCS #1 or SEC 1), or a damaged one"
    )]
    NoKey,
    /// A certificate for another key.
    #[error("the key is not the certificate's; they must come from the same issue")]
    Mismatch,
    /// A kind of certificate or key that rustls does not know.
    #[error(
        "certificate or key is of a kind that cannot be used; use RSA of 2048 to 8192 bits, ECDSA over P-256 or P-384, or Ed25519"
    )]
    Unsupported,
    #[error("the certificate has expired")]
    Expired,
}

impl std::fmt::Display for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} with {}",
            self.certificate.display(),
            self.key.display()
        )
    }
}

impl TlsError {
    /// Whether it is the key's file that is to blame, and not the certificate's.
    pub fn is_about_key(&self) -> bool {
        matches!(self, Self::Key(_) | Self::NoKey)
    }
}

impl Files {
    /// Looks at both.
    pub fn look(&self) -> (Look, Look) {
        (file::look(&self.certificate), file::look(&self.key))
    }

    /// Reads both. A certificate that has expired is read like another: see [`Identity::expired`].
    pub fn read(&self) -> Result<Identity, TlsError> {
        let certificate = file::contents(&self.certificate).map_err(TlsError::Certificate)?;
        let key = file::contents(&self.key).map_err(TlsError::Key)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
        let chain = chain.map_err(|_| TlsError::NoCertificate)?;
        let own = chain.first().ok_or(TlsError::NoCertificate)?;
        let not_after = not_after(own).ok_or(TlsError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| TlsError::NoKey)?;
        Ok(Identity {
            files: self.clone(),
            server: Arc::new(server(chain.clone(), key)?),
            not_after,
            chain,
        })
    }
}

fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Unsupported)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch,
            _ => TlsError::Unsupported,
        })?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(server)
}

/// When a certificate ends, by the whole second.
fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let certificate = X509::from_der(certificate).ok()?;
    let since = Asn1Time::from_unix(0)
        .ok()?
        .diff(certificate.not_after())
        .ok()?;
    let seconds = i64::from(since.days) * 86_400 + i64::from(since.secs);
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?))
}

impl Identity {
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.server))
    }

    /// When the certificate ends, in seconds since 1970.
    pub fn not_after(&self) -> u64 {
        let since = self.not_after.duration_since(UNIX_EPOCH);
        since.unwrap_or_default().as_secs()
    }

    /// Whether the certificate's time is over.
    pub fn expired(&self) -> bool {
        self.left().is_zero()
    }

    fn left(&self) -> Duration {
        let left = self.not_after.duration_since(SystemTime::now());
        left.unwrap_or_default()
    }

    /// Whether it is the same certificate; its key is the same then, too.
    pub fn same(&self, other: &Self) -> bool {
        self.chain == other.chain
    }

    /// What an operator should know of it, in words.
    pub fn doubt(&self) -> Option<String> {
        let left = self.left();
        if left.is_zero() {
            Some(
                "the certificate has expired: senders that look at it will not deliver; renew it"
                    .to_owned(),
            )
        } else if left < SOON {
            let hours = left.as_secs() / 3600;
            Some(format!(
                "the certificate ends in {hours} hours: renew it; it is taken up without a restart"
            ))
        } else {
            None
        }
    }
}
