//! A client that does what no proper one would: raw bytes, half-closed and reset connections.

use crate::support::http::{Connection, Response};
use icr_bridge::simulator::Request;
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any of the bridge's own time limits in these faults.
const PATIENCE: Duration = Duration::from_secs(20);

/// The head of a proper delivery; `headers` are whole lines, each with its line end.
pub fn head(request: &Request, headers: &str) -> String {
    format!(
        "POST /webhook HTTP/1.1\r\nHost: bridge\r\nX-ICR-Signature-256: {}\r\n{headers}\r\n",
        request.signature
    )
}

/// A proper delivery, whole.
pub fn whole(request: &Request) -> Vec<u8> {
    let length = format!("Content-Length: {}\r\n", request.body.len());
    [head(request, &length).into_bytes(), request.body.clone()].concat()
}

/// A connection that takes any bytes.
pub struct Raw(TcpStream);

impl Raw {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the door is open");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// One that is open already.
    pub fn over(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// Sends as much as the other side takes; whether that was all.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Says that nothing more comes.
    pub fn half_close(&self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Ends it the rough way.
    pub fn reset(self) {
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }

    /// All that comes until the other side closes; `None` if it does not.
    pub fn rest(mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            // Closed, or reset after it had said what it had to say.
            _ => Some(bytes),
        }
    }

    /// The answers to all that was sent. Another request follows, which wants to be the last: so one that swallows what follows it, or
    /// leaves something over, is found out. `None` where the bridge keeps the connection open all the same.
    pub fn answers(mut self) -> Option<Vec<u16>> {
        self.send("GET /last HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\n\r\n");
        Some(statuses(&self.rest()?))
    }

    /// The same connection, to be read properly.
    pub fn into_connection(self) -> Connection {
        Connection::over(self.0)
    }

    /// One answer, read properly.
    pub fn response(self) -> std::io::Result<Response> {
        Connection::over(self.0).try_response()
    }
}

/// The statuses of all answers, interim ones left out.
pub fn statuses(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    text.match_indices("HTTP/1.1 ")
        .filter_map(|(at, start)| text.get(at + start.len()..)?.get(..3)?.parse().ok())
        .filter(|status| *status != 100)
        .collect()
}
