//! The bytes of a connection on their way between socket and HTTP, or TLS: no more of them than [`Connection`] allows.

use super::connection::Connection;
use actix_web::rt::net::TcpStream;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket whose connection is told what passes, and asked before anything is read.
pub(super) struct Wire {
    stream: TcpStream,
    connection: Rc<Connection>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, connection: Rc<Connection>) -> Self {
        Self { stream, connection }
    }

    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            self.connection.is_unread();
        }
        written
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.connection.is_closed() {
            // What is still in the socket's buffer is of no interest any more; the system would hand it out.
            return Poll::Ready(Ok(()));
        }
        let room = wire.connection.may_read(cx);
        if room == 0 {
            return Poll::Pending;
        }
        let mut part = buffer.take(room);
        let read = Pin::new(&mut wire.stream).poll_read(cx, &mut part);
        let count = part.filled().len();
        if read.is_pending() {
            wire.connection.has_read_all();
        } else {
            // SAFETY: `part` is the beginning of the unfilled part of `buffer`, and so many bytes of it were filled.
            unsafe { buffer.assume_init(count) };
            buffer.advance(count);
            if !wire.connection.has_read(count) {
                tracing::debug!(
                    "a request costs more than any body explains: its connection is closed"
                );
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let written = Pin::new(&mut wire.stream).poll_write(cx, bytes);
        wire.written(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let written = Pin::new(&mut wire.stream).poll_write_vectored(cx, bytes);
        wire.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called once all bytes were written: only then are the answers taken.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        wire.connection.is_taken();
        Pin::new(&mut wire.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
