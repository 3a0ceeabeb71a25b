//! A plain HTTP/1.1 client over one connection: it sends what a proper client library would not.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection that is kept alive.
pub struct Connection {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

/// An answer, read completely.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The last part of a problem's type: the reason.
    pub fn reason(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(
            problem["status"], self.status,
            "the document repeats the status"
        );
        assert!(
            problem["title"].is_string() && problem["detail"].is_string(),
            "{problem}"
        );
        problem["type"]
            .as_str()
            .unwrap()
            .rsplit(':')
            .next()
            .unwrap()
            .to_owned()
    }
}

/// The bytes of a request whose length is declared; `host` stands where no header names another.
pub fn rendered(
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\ncontent-length: {}\r\n",
        body.len()
    );
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        head.push_str(&format!("host: {host}\r\n"));
    }
    headers
        .iter()
        .for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap()
    }

    pub fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// One that is open already.
    pub fn over(stream: TcpStream) -> Self {
        Self {
            // Where the other side has answered and closed, it has no address any more, and no request goes to it.
            address: stream.peer_addr().or_else(|_| stream.local_addr()).unwrap(),
            stream: BufReader::new(stream),
        }
    }

    /// Sends a request whose length is declared, and reads its answer.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.send_request(method, path, headers, body);
        self.response()
    }

    /// Sends a request whose length is declared.
    pub fn send_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let host = self.address.to_string();
        self.send(&rendered(&host, method, path, headers, body));
    }

    pub fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.request("POST", path, headers, body)
    }

    /// Sends raw bytes. An error is left to the reader of the answer: the other side may have answered and closed.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Reads one answer.
    pub fn response(&mut self) -> Response {
        self.try_response().expect("an answer")
    }

    /// The status alone: an answer to HEAD declares a length that does not follow.
    pub fn status(&mut self) -> u16 {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap()
    }

    pub fn try_response(&mut self) -> std::io::Result<Response> {
        read_response(&mut self.stream)
    }

    /// Whether nothing at all comes for a while.
    pub fn is_silent(&mut self, a_while: Duration) -> bool {
        let stream = self.stream.get_ref();
        let patience = stream.read_timeout().unwrap();
        stream.set_read_timeout(Some(a_while)).unwrap();
        let came = self.stream.fill_buf().map(|bytes| bytes.len());
        self.stream.get_ref().set_read_timeout(patience).unwrap();
        matches!(came, Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut))
    }

    /// Whether a request can be sent: the other side has not closed, nor said anything unasked.
    pub fn is_alive(&mut self) -> bool {
        let stream = self.stream.get_mut();
        let quiet = stream.set_nonblocking(true).and_then(|()| {
            let peeked = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            peeked
        });
        quiet.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Whether the other side has closed.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(rest) => rest.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// One request on a connection of its own.
pub fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    Connection::open(address).post(path, headers, body)
}

/// One GET on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Response {
    Connection::open(address).request("GET", path, &[], &[])
}

/// Reads one answer from a connection of whatever kind.
pub fn read_response(stream: &mut impl BufRead) -> std::io::Result<Response> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status =
        status.ok_or_else(|| std::io::Error::other(format!("no status line: {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut response = Response {
        status,
        headers,
        body: Vec::new(),
    };
    let length = response
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    response.body = vec![0; length];
    stream.read_exact(&mut response.body)?;
    Ok(response)
}
