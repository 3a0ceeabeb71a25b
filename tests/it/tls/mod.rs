//! TLS on the ingress listener, met by real clients of another make (OpenSSL): renewal under load, pairs that are none, handshakes
//! that stall, and a start that fails closed.

pub mod authority;
mod clients;
mod renewal;
mod stalled;
mod start;

use crate::support::app::SECRET;
use crate::support::eventually::within;
use crate::support::http::Response;
use crate::support::process::{Serving, command};
use authority::{Authority, Issued};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::simulator::{Request, Simulator};
use openssl::ssl::{SslConnector, SslMethod, SslStream};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// "Within seconds": two of them must pass anyway, and a machine that builds at the same time is slow.
const SECONDS: Duration = Duration::from_secs(15);

/// A bridge that speaks TLS, its files, and who has issued its certificate.
struct Rig {
    dir: TempDir,
    authority: Authority,
    bridge: Serving,
    next: AtomicU64,
}

impl Rig {
    /// With a certificate for `localhost`, and `settings` on top.
    fn new(settings: &[(&str, &str)]) -> Self {
        let authority = Authority::new();
        Self::presenting(&authority.issue(90), authority, settings)
    }

    fn presenting(issued: &Issued, authority: Authority, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("ca.pem"), authority.pem()).unwrap();
        std::fs::write(path("certificate.pem"), &issued.certificate).unwrap();
        std::fs::write(path("key.pem"), &issued.key).unwrap();
        let (certificate, key) = (path("certificate.pem"), path("key.pem"));
        let mut all = vec![
            ("KAFKA_BROKERS", "127.0.0.1:1"),
            ("LOG", "debug"),
            ("TLS_CERTIFICATE_FILE", certificate.to_str().unwrap()),
            ("TLS_KEY_FILE", key.to_str().unwrap()),
        ];
        all.extend_from_slice(settings);
        let bridge = Serving::start(&path("journal"), &all);
        Self {
            dir,
            authority,
            bridge,
            next: AtomicU64::new(0),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), contents).unwrap();
    }

    /// `icr-bridge send` as a client that verifies chain and name.
    fn send(&self, trusted: &Path, arguments: &[&str]) -> Command {
        let url = format!("https://localhost:{}/webhook", self.bridge.ingress.port());
        let mut all = vec!["send", url.as_str(), "--json"];
        all.extend_from_slice(arguments);
        let mut command = command(&all, &[("WEBHOOK_SECRET", SECRET)]);
        command.env("SSL_CERT_FILE", trusted);
        command
    }

    /// A delivery that nobody has sent before.
    fn delivery(&self) -> Request {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 7, 1)
            .delivery(EventKind::WarehouseTransaction, number)
    }

    fn connect(&self) -> Client {
        Client::new(self.bridge.ingress, &self.authority, |_| {}).unwrap()
    }

    /// The serial number of the certificate that a new connection sees.
    fn presented(&self) -> String {
        self.connect().serial()
    }

    fn until_presented(&self, issued: &Issued) {
        within(SECONDS, "the new certificate is presented", || {
            (self.presented() == issued.serial).then_some(())
        });
    }

    fn until_failures(&self, count: f64) {
        let failures = || self.bridge.metrics().value("secret_reload_failures_total");
        within(SECONDS, "the failure is counted", || {
            (failures() >= count).then_some(())
        });
        assert_eq!(failures(), count);
    }

    fn until_logged(&self, words: &str) {
        within(SECONDS, words, || {
            let log = self.bridge.log();
            log.iter().any(|line| line.contains(words)).then_some(())
        });
    }
}

/// A connection through TLS, kept alive.
struct Client {
    stream: BufReader<SslStream<TcpStream>>,
}

impl Client {
    /// Connects, and verifies the server's certificate against the authority's, for `localhost`.
    fn new(
        address: SocketAddr,
        authority: &Authority,
        tune: impl FnOnce(&mut openssl::ssl::SslConnectorBuilder),
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.cert_store_mut().add_cert(authority.certificate())?;
        tune(&mut builder);
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let stream = builder.build().connect("localhost", stream)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    fn serial(&self) -> String {
        let certificate = self.stream.get_ref().ssl().peer_certificate().unwrap();
        authority::serial(&certificate)
    }

    fn version(&self) -> &'static str {
        self.stream.get_ref().ssl().version_str()
    }

    fn post(&mut self, request: &Request) -> Response {
        let head = format!(
            "POST /webhook HTTP/1.1\r\nhost: localhost\r\nx-icr-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
            request.signature,
            request.body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&request.body).unwrap();
        self.response()
    }

    fn response(&mut self) -> Response {
        crate::support::http::read_response(&mut self.stream).unwrap()
    }

    /// Whether the server has closed, in the way TLS wants it: a connection that is cut off is an error.
    fn is_closed_in_order(&mut self) -> bool {
        self.stream.fill_buf().is_ok_and(<[u8]>::is_empty)
    }

    fn is_cut_off(&mut self) -> bool {
        self.stream.read(&mut [0]).is_ok_and(|read| read == 0)
            || self.stream.get_mut().get_mut().read(&mut [0]).is_ok()
    }
}
