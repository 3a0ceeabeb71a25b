//! Endpoints that misbehave: a little TCP server that answers, stalls, breaks off or says what is no HTTP, as a test tells it.

use super::eventually::eventually;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These bytes are written, and the connection is kept.
    Bytes(&'static str),
    /// These bytes are written, and the connection is closed.
    Last(&'static str),
    /// The connection is reset.
    Reset,
    /// Nothing comes until the test opens the gate; then these bytes.
    Gated(&'static str),
}

/// An answer as the bridge gives it.
pub const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 52\r\n\r\n{\"status\":\"accepted\",\"id\":\"0199\",\"made\":\"by a test\"}";

/// The same from a server that closes the connection then, and says so.
pub const ACCEPTED_AND_CLOSED: &str = "HTTP/1.1 202 Accepted\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 52\r\n\r\n{\"status\":\"accepted\",\"id\":\"0199\",\"made\":\"by a test\"}";

/// The server; it ends when dropped.
pub struct Endpoint {
    pub address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    reply: Box<dyn Fn(u64) -> Reply + Send + Sync>,
    open: AtomicBool,
    ended: AtomicBool,
    requests: AtomicU64,
    connections: AtomicU64,
    seen: Mutex<Vec<Seen>>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Request line and headers, as they came.
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }
}

impl Endpoint {
    /// Replies to request number `n`, counted from 0, with `reply(n)`.
    pub fn start(reply: impl Fn(u64) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            reply: Box::new(reply),
            open: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            seen: Mutex::default(),
        });
        let thread = std::thread::spawn({
            let state = Arc::clone(&state);
            move || serve(&listener, &state)
        });
        Self {
            address,
            state,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Requests that have come completely.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Acquire)
    }

    /// The requests in the order in which they came.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Connections that were accepted.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Acquire)
    }

    pub fn wait_for_requests(&self, count: u64) {
        eventually("so many requests have come", || {
            (self.requests() >= count).then_some(())
        });
    }

    /// Whoever waits gets its answer.
    pub fn open_gate(&self) {
        self.state.open.store(true, Ordering::Release);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A port that is taken, so that nobody else gets it, and at which nobody listens: whoever connects is refused.
pub struct Nobody(socket2::Socket);

impl Nobody {
    pub fn new() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        Self(socket)
    }

    pub fn url(&self) -> String {
        let address = self.0.local_addr().unwrap().as_socket().unwrap();
        format!("http://{address}/webhook")
    }
}

fn serve(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.ended.load(Ordering::Acquire) {
            return;
        }
        state.connections.fetch_add(1, Ordering::AcqRel);
        let (stream, state) = (stream.unwrap(), Arc::clone(state));
        std::thread::spawn(move || converse(stream, &state));
    }
}

fn converse(mut stream: TcpStream, state: &State) {
    while let Some(seen) = request(&mut stream) {
        state.seen.lock().unwrap().push(seen);
        let number = state.requests.fetch_add(1, Ordering::AcqRel);
        let (bytes, last) = match (state.reply)(number) {
            Reply::Bytes(bytes) => (bytes, false),
            Reply::Last(bytes) => (bytes, true),
            Reply::Reset => {
                let socket = socket2::SockRef::from(&stream);
                return socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
            Reply::Gated(bytes) => {
                while !state.open.load(Ordering::Acquire) {
                    if state.ended.load(Ordering::Acquire) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                (bytes, false)
            }
        };
        if stream.write_all(bytes.as_bytes()).is_err() || last {
            return;
        }
    }
}

/// Reads one request with a declared length; none at the connection's end.
pub fn request(stream: &mut impl Read) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        let end = bytes
            .windows(4)
            .position(|window: &[u8]| window == b"\r\n\r\n");
        if let Some(end) = end {
            let mut seen = Seen {
                head: String::from_utf8_lossy(&bytes[..end]).into_owned(),
                body: bytes[end + 4..].to_vec(),
            };
            let length: usize = seen.header("content-length")?.parse().unwrap();
            if seen.body.len() >= length {
                seen.body.truncate(length);
                return Some(seen);
            }
        }
        let mut more = [0; 4096];
        let read = stream.read(&mut more).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&more[..read]);
    }
}
