//! A connection's bytes: as they stand, or through TLS.
//!
//! The handshake is a part of reading, not a step before it. So a connection is known, has a place and is timed from the moment it
//! is accepted: one that stalls in its handshake is treated like one that stalls in its head. Beneath both lies the `Wire`, which
//! passes bytes on only as far as the connection may take: see `connection`.
//!
//! While an answer is owed, nothing of a request that has come behind is passed on, but where it had come as a whole already. Why: see
//! `framing`.

use super::connection::{Connection, STEP};
use super::connections::{Connections, Limits};
use super::framing::Framing;
use super::socket;
use super::wire::Wire;
use crate::tls::Tls;
use actix_web::rt::net::TcpStream;
use bytes::{Buf, BytesMut};
use prometheus::IntCounter;
use std::fmt::Display;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::FallibleAccept;
use tokio_rustls::server::TlsStream;

/// What a client is told whose first head does not come in time.
const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How connections of a listener begin.
#[derive(Clone)]
pub struct Opener {
    /// The identity to present; `None`: no TLS.
    pub tls: Option<Tls>,
    /// Counts handshakes that came to nothing.
    pub failed_handshakes: IntCounter,
}

/// A connection of a listener.
pub(super) struct Stream {
    transport: Transport,
    framing: Framing,
    /// What has come behind the requests that were passed on.
    next: BytesMut,
    passed_on: PassedOn,
}

/// How far requests were passed on.
#[derive(Clone, Copy, PartialEq)]
enum PassedOn {
    /// The last one not to its end.
    InPart,
    /// To its end just now: the HTTP library may not have looked at it yet.
    Whole,
    /// To its end, and the library has had its turn since.
    WholeAndSeen,
}

enum Transport {
    Plain(Wire),
    Tls(Box<Secured>),
}

/// A connection through TLS.
pub(super) struct Secured {
    state: State,
    connection: Rc<Connection>,
    failed_handshakes: IntCounter,
}

enum State {
    Handshake(FallibleAccept<Wire>),
    Open(TlsStream<Wire>),
    /// The handshake has failed. The socket stays open until the connection's end: its descriptor is known to others.
    Failed(Wire),
}

impl Opener {
    /// A plain connection, or one through TLS; it is looked after from now on.
    pub(super) fn open(
        &self,
        stream: TcpStream,
        connections: &Connections,
        limits: Limits,
    ) -> Stream {
        // An answer is written in one go, and waits for nothing more: so it waits for no acknowledgement either.
        let _ = stream.set_nodelay(true);
        let connection = connections.opened(stream.as_raw_fd(), limits);
        let wire = Wire::new(stream, Rc::clone(&connection));
        let transport = match &self.tls {
            None => Transport::Plain(wire),
            Some(tls) => Transport::Tls(Box::new(Secured {
                state: State::Handshake(tls.acceptor().accept(wire).into_fallible()),
                connection,
                failed_handshakes: self.failed_handshakes.clone(),
            })),
        };
        Stream {
            transport,
            framing: Framing::default(),
            next: BytesMut::new(),
            passed_on: PassedOn::InPart,
        }
    }
}

impl Stream {
    pub(super) fn connection(&self) -> &Rc<Connection> {
        match &self.transport {
            Transport::Plain(wire) => wire.connection(),
            Transport::Tls(secured) => &secured.connection,
        }
    }

    /// Waits until the next request may be passed on, whose beginning is in `next` then, if it has come; false if nothing more comes.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.connection().is_closed() {
            return Poll::Ready(Ok(false));
        }
        let answered = self.passed_on == PassedOn::WholeAndSeen && !self.connection().is_owing();
        if self.next.is_empty() && !answered {
            ready!(self.poll_ahead(cx))?;
            if self.next.is_empty() {
                return Poll::Ready(Ok(false));
            }
        }
        if self.connection().is_owing() {
            // Its answer wakes us.
            self.connection().hold_back(true);
            return Poll::Pending;
        }
        if self.passed_on == PassedOn::Whole {
            self.passed_on = PassedOn::WholeAndSeen;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.connection().hold_back(false);
        self.passed_on = PassedOn::InPart;
        Poll::Ready(Ok(true))
    }

    /// Reads the beginning of the next request.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = [MaybeUninit::uninit(); STEP];
        let mut ahead = ReadBuf::uninit(&mut room);
        let read = self.transport.poll_read(cx, &mut ahead);
        if read.is_pending() {
            self.passed_on = PassedOn::WholeAndSeen;
        }
        self.next.extend_from_slice(ahead.filled());
        read
    }

    /// The end of a connection whose head has not come in time: says so where that can be understood.
    fn give_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Transport::Tls(secured) = &self.transport
            && let State::Handshake(_) = secured.state
        {
            secured.failed("it has taken too long");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        // An empty buffer of the socket takes it at once; nobody waits for it.
        let _ = Pin::new(&mut *self).poll_write(cx, REQUEST_TIMEOUT);
        let _ = Pin::new(&mut *self).poll_flush(cx);
        Poll::Ready(Ok(()))
    }
}

impl Secured {
    fn failed(&self, why: impl Display) {
        tracing::debug!("a TLS handshake has failed: {why}");
        self.failed_handshakes.inc();
    }

    /// Goes on with the handshake; the stream once it is done.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<Wire>>>> {
        if let State::Handshake(accept) = &mut self.state {
            match ready!(Pin::new(accept).poll(cx)) {
                Ok(stream) => self.state = State::Open(stream),
                Err((error, stream)) => {
                    self.failed(&error);
                    self.state = State::Failed(stream);
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(match &mut self.state {
            State::Open(stream) => Ok(Pin::new(stream)),
            State::Handshake(_) | State::Failed(_) => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if stream.connection().take_overdue() {
            return stream.give_up(cx);
        }
        if stream.passed_on != PassedOn::InPart && !ready!(stream.poll_next(cx))? {
            return Poll::Ready(Ok(()));
        }
        if stream.next.is_empty() {
            let before = buffer.filled().len();
            ready!(stream.transport.poll_read(cx, buffer))?;
            let read = buffer.filled().get(before..).unwrap_or_default();
            if let Some(end) = stream.framing.last_end(read) {
                stream.passed_on = PassedOn::Whole;
                stream
                    .next
                    .extend_from_slice(read.get(end..).unwrap_or_default());
                buffer.set_filled(before + end);
            }
        } else {
            let room = stream.next.len().min(buffer.remaining());
            let piece = stream.next.get(..room).unwrap_or_default();
            let end = stream.framing.last_end(piece);
            if end.is_some() {
                stream.passed_on = PassedOn::Whole;
            }
            let length = end.unwrap_or(room);
            buffer.put_slice(stream.next.get(..length).unwrap_or_default());
            stream.next.advance(length);
        }
        Poll::Ready(Ok(()))
    }
}

impl Transport {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(wire) => Pin::new(wire).poll_read(cx, buffer),
            Self::Tls(secured) => ready!(secured.poll_open(cx))?.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(secured) => match &mut secured.state {
                State::Open(stream) => Pin::new(stream).poll_write(cx, bytes),
                State::Handshake(_) | State::Failed(_) => {
                    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
                }
            },
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(secured) => match &mut secured.state {
                State::Open(stream) => Pin::new(stream).poll_flush(cx),
                // Nothing of ours waits to be written.
                State::Handshake(_) | State::Failed(_) => Poll::Ready(Ok(())),
            },
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(secured) => match &mut secured.state {
                State::Open(stream) => Pin::new(stream).poll_shutdown(cx),
                State::Failed(wire) => Pin::new(wire).poll_shutdown(cx),
                State::Handshake(_) => {
                    socket::shut(secured.connection.socket());
                    Poll::Ready(Ok(()))
                }
            },
        }
    }
}
