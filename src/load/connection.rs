//! Connections to one endpoint: kept alive, the one used last used first, so that no more are open than deliveries are under way.

use super::fate::NoAnswer;
use super::target::Target;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use openssl::ssl::{SslConnector, SslMethod};
use parking_lot::Mutex;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// A connection on which one request at a time can be sent.
pub(super) type Connection = SendRequest<Full<Bytes>>;

/// An idle connection is not used again after this time: servers close theirs (the bridge after 75 s), and a delivery that is sent
/// at that moment would be lost.
const MAX_IDLE: Duration = Duration::from_secs(15);

pub(super) struct Connections {
    address: (String, u16),
    tls: Option<SslConnector>,
    idle: Mutex<Vec<(Instant, Connection)>>,
}

impl Connections {
    /// None are open yet.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub(super) fn new(target: &Target) -> std::io::Result<Self> {
        let tls = target.is_tls().then(connector).transpose();
        Ok(Self {
            address: target.address(),
            tls: tls.map_err(std::io::Error::other)?,
            idle: Mutex::default(),
        })
    }

    /// An idle connection that is still good.
    pub(super) async fn idle(&self) -> Option<Connection> {
        loop {
            let (since, mut connection) = self.idle.lock().pop()?;
            if since.elapsed() < MAX_IDLE && connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next delivery.
    pub(super) fn keep(&self, connection: Connection) {
        if !connection.is_closed() {
            self.idle.lock().push((Instant::now(), connection));
        }
    }

    pub(super) async fn open(&self) -> Result<Connection, NoAnswer> {
        let (host, port) = &self.address;
        let mut addresses = tokio::net::lookup_host((host.as_str(), *port))
            .await
            .map_err(|_| NoAnswer::Unresolved)?
            .peekable();
        addresses.peek().ok_or(NoAnswer::Unresolved)?;
        let mut failure = NoAnswer::Unresolved;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return self.speak(stream).await,
                Err(error) => failure = NoAnswer::of_connecting(&error),
            }
        }
        Err(failure)
    }

    async fn speak(&self, stream: TcpStream) -> Result<Connection, NoAnswer> {
        // A request is written at once, and nothing more follows that it could wait for.
        drop(stream.set_nodelay(true));
        let Some(tls) = &self.tls else {
            return converse(stream).await;
        };
        let ssl = tls
            .configure()
            .and_then(|configuration| configuration.into_ssl(&self.address.0))
            .map_err(|_| NoAnswer::Tls)?;
        let mut stream = SslStream::new(ssl, stream).map_err(|_| NoAnswer::Tls)?;
        Pin::new(&mut stream)
            .connect()
            .await
            .map_err(|_| NoAnswer::Tls)?;
        converse(stream).await
    }
}

async fn converse<S>(stream: S) -> Result<Connection, NoAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| NoAnswer::of_exchange(&error))?;
    // Its errors reach whoever waits for an answer.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Trusts what the system trusts, or the file that `SSL_CERT_FILE` names.
fn connector() -> Result<SslConnector, openssl::error::ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    let found = openssl_probe::probe();
    if let Some(file) = &found.cert_file {
        builder.set_ca_file(file)?;
    }
    Ok(builder.build())
}
