//! Clients that take and do not give: each sends as much as the bridge takes, and reads nothing, or a byte now and then.

use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// The smallest that systems allow: the bridge's answers find no place here.
const RECEIVE_BUFFER: usize = 4096;

/// How many such requests are offered at once.
const PORTION: usize = 64 << 10;

/// A crowd of such clients.
#[derive(Default)]
pub struct Crowd(Vec<Greedy>);

struct Greedy {
    stream: TcpStream,
    /// What it sends, over and over.
    bytes: Arc<[u8]>,
    at: usize,
    /// Whether it sends once only.
    once: bool,
    reads: bool,
    closed: bool,
}

impl Crowd {
    /// `count` more, who send `bytes` once, or over and over.
    pub fn join(&mut self, address: SocketAddr, count: usize, bytes: &[u8], once: bool) {
        let times = if once {
            1
        } else {
            PORTION.div_ceil(bytes.len())
        };
        let bytes: Arc<[u8]> = bytes.repeat(times).into();
        for number in 0..count {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
            socket.connect(&address.into()).unwrap();
            socket.set_nonblocking(true).unwrap();
            self.0.push(Greedy {
                stream: socket.into(),
                bytes: Arc::clone(&bytes),
                at: 0,
                once,
                // Each fourth reads a byte at a time.
                reads: number % 4 == 3,
                closed: false,
            });
        }
    }

    /// Each sends what the bridge takes at this moment; some read a byte. How many were closed by the bridge so far.
    pub fn push(&mut self) -> usize {
        self.0.iter_mut().for_each(Greedy::push);
        self.0.iter().filter(|greedy| greedy.closed).count()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Greedy {
    fn push(&mut self) {
        while !self.closed {
            let rest = &self.bytes[self.at..];
            if rest.is_empty() && self.once {
                break;
            }
            match self.stream.write(rest) {
                Ok(count) => self.at += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.closed = true,
            }
            if self.at == self.bytes.len() && !self.once {
                self.at = 0;
                break;
            }
        }
        if self.reads && !self.closed {
            match self.stream.read(&mut [0]) {
                Ok(0) => self.closed = true,
                Ok(_) => {}
                Err(error) => self.closed = error.kind() != ErrorKind::WouldBlock,
            }
        }
    }
}
