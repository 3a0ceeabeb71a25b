//! One delivery and its answer.

use super::connection::Connections;
use super::fate::{Answer, NoAnswer};
use super::target::Target;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use std::error::Error;
use std::io::{self, ErrorKind};

/// How much of an answer is read. The bridge's are shorter than 300 bytes.
const MAX_ANSWER: usize = 64 << 10;

/// Tells simulated deliveries from ICR's in the receiver's log.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("icr-bridge-send/", env!("CARGO_PKG_VERSION")));

/// Sends deliveries to one endpoint.
pub(super) struct Endpoint {
    connections: Connections,
    uri: Uri,
    host: HeaderValue,
}

impl Endpoint {
    pub(super) fn new(target: &Target) -> io::Result<Self> {
        Ok(Self {
            connections: Connections::new(target)?,
            uri: target.path_and_query().parse().map_err(io::Error::other)?,
            host: target.authority().parse().map_err(io::Error::other)?,
        })
    }

    /// Sends a delivery, once, and reads its answer.
    pub(super) async fn exchange(
        &self,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, NoAnswer> {
        let request = self.request(headers, body);
        let (mut connection, reused) = match self.connections.idle().await {
            Some(connection) => (connection, true),
            None => (self.connections.open().await?, false),
        };
        let response = match connection.try_send_request(request).await {
            Ok(response) => response,
            Err(mut failure) => match failure.take_message().filter(|_| reused) {
                // The server closed an idle connection just now, and nothing of the request was written.
                Some(request) => {
                    connection = self.connections.open().await?;
                    let sent = connection.send_request(request).await;
                    sent.map_err(|error| NoAnswer::of_exchange(&error))?
                }
                None => return Err(NoAnswer::of_exchange(&failure.into_error())),
            },
        };
        let (answer, complete) = read(response).await?;
        if complete {
            self.connections.keep(connection);
        }
        Ok(answer)
    }

    fn request(&self, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().entry(USER_AGENT).or_insert(AGENT);
        request
    }
}

/// The answer, and whether all of it was read.
async fn read(response: Response<Incoming>) -> Result<(Answer, bool), NoAnswer> {
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| NoAnswer::of_exchange(&error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = MAX_ANSWER - read.len();
        read.extend_from_slice(data.get(..room).unwrap_or(&data));
        if data.len() > room {
            let body = read.freeze();
            return Ok((Answer { status, body }, false));
        }
    }
    let body = read.freeze();
    Ok((Answer { status, body }, true))
}

impl NoAnswer {
    /// Why a connection could not be opened.
    pub(super) fn of_connecting(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::ConnectionReset => Self::Reset,
            ErrorKind::TimedOut => Self::Timeout,
            ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => Self::NoSocket,
            _ if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                Self::NoSocket
            }
            _ => Self::Unreachable,
        }
    }

    /// Why an exchange broke off.
    pub(super) fn of_exchange(error: &hyper::Error) -> Self {
        if error.is_parse() {
            return Self::NotHttp;
        }
        match io_cause(error).map(io::Error::kind) {
            Some(
                ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe,
            ) => Self::Reset,
            Some(ErrorKind::UnexpectedEof) => Self::Closed,
            Some(ErrorKind::TimedOut) => Self::Timeout,
            _ if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => {
                Self::Closed
            }
            _ => Self::Other,
        }
    }
}

/// The system's word, where there is one behind an error.
fn io_cause(error: &hyper::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}
