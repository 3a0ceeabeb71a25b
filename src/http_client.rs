//! One HTTP request over rustls: what the bridge itself asks of others.
//!
//! Guarantees: a request ends within its time limit, whatever the other side does, and reads no more of the answer than the caller
//! allows. Redirects are not followed: a secret goes only to the address that was configured. No error names the URL, which may be
//! a part of a setting that holds secrets; the caller names the setting instead.
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_util::rt::TokioIo;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("icr-bridge/", env!("CARGO_PKG_VERSION")));

/// Time for one address of a name: a dead one must not use up the time of those behind it.
const CONNECT: Duration = Duration::from_secs(3);

/// Whose certificates are believed.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorities {
    /// Those that the system believes; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    System,
    /// Those in a PEM file, or in the files of a folder.
    Path(std::path::PathBuf),
    /// Those in this PEM text.
    Pem(String),
}

/// Why authorities cannot be used. Says nothing of the path or the text.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file or folder cannot be read.
    #[error("the file or folder cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// There is none, or none that rustls can use.
    #[error("no usable CA certificate in PEM form was found")]
    None,
}

/// Why there is no answer. Says nothing of the URL.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The URL is no `http` or `https` URL with a host.
    #[error("the URL is not an http or https URL with a host name")]
    Url,
    /// The name has no address.
    #[error("its host name cannot be resolved; check the name and this machine's DNS")]
    Unresolved,
    /// No address accepts a connection.
    #[error("no connection to it: {0}; check host, port and firewalls")]
    Connect(io::ErrorKind),
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The connection ended, or what came is no HTTP.
    #[error("the connection broke, or the other side does not speak HTTP/1.1")]
    Broken,
    /// The answer is longer than allowed.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

/// How long a request may take, and how long its answer may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From resolving the name to the answer's last byte.
    pub time: Duration,
    /// Bytes of the answer's body.
    pub bytes: usize,
}

/// Sends requests, a connection each.
#[derive(Clone)]
pub struct HttpClient {
    tls: TlsConnector,
}

impl HttpClient {
    /// A client that believes these authorities.
    ///
    /// # Errors
    /// Where they cannot be read. The system's may be missing: `https` then fails when it is used.
    pub fn new(authorities: &Authorities) -> Result<Self, AuthoritiesError> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| AuthoritiesError::None)?
            .with_root_certificates(roots(authorities)?)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Sends a request, once, and reads its answer.
    ///
    /// # Errors
    /// Where no complete answer comes within the limits.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        limits: Limits,
    ) -> Result<Answer, RequestError> {
        tokio::time::timeout(
            limits.time,
            self.exchange(method, url, headers, body, limits.bytes),
        )
        .await
        .unwrap_or(Err(RequestError::Timeout(limits.time)))
    }

    async fn exchange(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        most: usize,
    ) -> Result<Answer, RequestError> {
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(RequestError::Url),
        };
        let request = request(method, url, headers, body)?;
        let stream = connect(url).await?;
        // A request is written at once, and nothing more follows that it could wait for.
        drop(stream.set_nodelay(true));
        if !tls {
            return converse(stream, request, most).await;
        }
        let name = match url.host().ok_or(RequestError::Url)? {
            Host::Domain(name) => {
                ServerName::try_from(name.to_owned()).map_err(|_| RequestError::Url)?
            }
            Host::Ipv4(address) => ServerName::from(std::net::IpAddr::from(address)),
            Host::Ipv6(address) => ServerName::from(std::net::IpAddr::from(address)),
        };
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(|error| RequestError::Tls(handshake_words(&error)))?;
        converse(stream, request, most).await
    }
}

/// What rustls says of a failed handshake; host names, which its words may hold, are left out.
fn handshake_words(error: &io::Error) -> String {
    use tokio_rustls::rustls::{CertificateError, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(Error::InvalidCertificate(problem)) => match problem {
            CertificateError::UnknownIssuer => "the certificate is of an authority that is not trusted here; name the authority's file in https.ca.location",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "the certificate is for another host name",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "the certificate is not valid yet; check this machine's clock",
            _ => "the certificate is not accepted",
        }
        .to_owned(),
        Some(Error::InvalidMessage(_)) => "the other side does not speak TLS".to_owned(),
        Some(Error::AlertReceived(alert)) => format!("the other side ended it with the alert {alert:?}"),
        _ => error.kind().to_string(),
    }
}

fn roots(authorities: &Authorities) -> Result<RootCertStore, AuthoritiesError> {
    let mut store = RootCertStore::empty();
    match authorities {
        Authorities::System => {
            // What cannot be read is left out, as every other program does.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(store);
        }
        Authorities::Pem(text) => add(&mut store, text.as_bytes()),
        Authorities::Path(path) => {
            for file in files(path)? {
                // A folder may hold other files beside.
                let text = match std::fs::read(&file) {
                    Ok(text) => text,
                    Err(error) if file == *path => {
                        return Err(AuthoritiesError::Unreadable(error.kind()));
                    }
                    Err(_) => continue,
                };
                add(&mut store, &text);
            }
        }
    }
    if store.is_empty() {
        return Err(AuthoritiesError::None);
    }
    Ok(store)
}

fn add(store: &mut RootCertStore, pem: &[u8]) {
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    store.add_parsable_certificates(certificates);
}

fn files(path: &Path) -> Result<Vec<std::path::PathBuf>, AuthoritiesError> {
    let unreadable = |error: io::Error| AuthoritiesError::Unreadable(error.kind());
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !metadata.is_dir() {
        return Err(AuthoritiesError::Unreadable(io::ErrorKind::InvalidInput));
    }
    let entries = std::fs::read_dir(path).map_err(unreadable)?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    Ok(paths.filter(|path| path.is_file()).collect())
}

fn request(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, RequestError> {
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let query = url.query().map(|query| format!("?{query}"));
    let target = format!("{}{}", url.path(), query.unwrap_or_default());
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse::<Uri>().map_err(|_| RequestError::Url)?;
    *request.headers_mut() = headers;
    let host = host.parse().map_err(|_| RequestError::Url)?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(USER_AGENT, AGENT);
    let close = HeaderValue::from_static("close");
    request.headers_mut().insert(CONNECTION, close);
    Ok(request)
}

/// The first address of the host that accepts a connection.
async fn connect(url: &Url) -> Result<TcpStream, RequestError> {
    let port = url.port_or_known_default().ok_or(RequestError::Url)?;
    let host = match url.host().ok_or(RequestError::Url)? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let addresses = tokio::net::lookup_host((host, port))
        .await
        .map_err(|_| RequestError::Unresolved)?;
    let mut failure = RequestError::Unresolved;
    for address in addresses {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = RequestError::Connect(error.kind()),
            Err(_) => failure = RequestError::Connect(io::ErrorKind::TimedOut),
        }
    }
    Err(failure)
}

async fn converse<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    most: usize,
) -> Result<Answer, RequestError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|_| RequestError::Broken)?;
    // Its errors reach whoever waits for the answer; it ends with `sender` and the answer's body.
    tokio::spawn(async move { drop(connection.await) });
    let response = sender
        .send_request(request)
        .await
        .map_err(|_| RequestError::Broken)?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| RequestError::Broken)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > most {
            return Err(RequestError::TooLong(most));
        }
        read.extend_from_slice(&data);
    }
    Ok(Answer {
        status,
        body: read.freeze(),
    })
}
