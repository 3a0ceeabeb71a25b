//! A connection's bytes: as they stand, or through TLS.
//!
//! The handshake is a part of reading, not a step before it. So a connection is known, has a place and is timed from the moment it
//! is accepted: one that stalls in its handshake is treated like one that stalls in its head.

use super::socket;
use crate::tls::Tls;
use actix_web::rt::net::TcpStream;
use prometheus::IntCounter;
use std::fmt::Display;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::FallibleAccept;
use tokio_rustls::server::TlsStream;

/// How connections of the ingress begin.
#[derive(Clone)]
pub struct Opener {
    /// The identity to present; `None`: no TLS.
    pub tls: Option<Tls>,
    /// Counts handshakes that came to nothing.
    pub failed_handshakes: IntCounter,
}

/// A connection of the ingress.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<Secured>),
}

/// A connection through TLS.
pub(super) struct Secured {
    socket: RawFd,
    state: State,
    failed_handshakes: IntCounter,
}

enum State {
    Handshake(FallibleAccept<TcpStream>),
    Open(TlsStream<TcpStream>),
    /// The handshake has failed. The socket stays open until the connection's end: its descriptor is known to others.
    Failed(#[expect(dead_code, reason = "kept for its descriptor")] TcpStream),
}

impl Opener {
    pub(super) fn open(&self, stream: TcpStream) -> Stream {
        // An answer is written in one go, and waits for nothing more: so it waits for no acknowledgement either.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => Stream::Plain(stream),
            Some(tls) => Stream::Tls(Box::new(Secured {
                socket: stream.as_raw_fd(),
                state: State::Handshake(tls.acceptor().accept(stream).into_fallible()),
                failed_handshakes: self.failed_handshakes.clone(),
            })),
        }
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Plain(stream) => stream.as_raw_fd(),
            Self::Tls(secured) => secured.socket,
        }
    }
}

impl Secured {
    fn failed(&self, why: impl Display) {
        tracing::debug!("a TLS handshake has failed: {why}");
        self.failed_handshakes.inc();
    }

    /// Goes on with the handshake; the stream once it is done.
    fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Pin<&mut TlsStream<TcpStream>>>> {
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
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
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
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(secured) => match &mut secured.state {
                State::Open(stream) => Pin::new(stream).poll_write(cx, bytes),
                // The answer to a head that has not come in time. Nobody could read it.
                State::Handshake(_) => {
                    secured.failed("it has taken too long");
                    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
                }
                State::Failed(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            },
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(secured) => match &mut secured.state {
                State::Open(stream) => Pin::new(stream).poll_flush(cx),
                // Nothing of ours waits to be written.
                State::Handshake(_) | State::Failed(_) => Poll::Ready(Ok(())),
            },
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(secured) => match &mut secured.state {
                State::Open(stream) => Pin::new(stream).poll_shutdown(cx),
                State::Handshake(_) | State::Failed(_) => {
                    socket::shut(secured.socket);
                    Poll::Ready(Ok(()))
                }
            },
        }
    }
}
