//! Load: distinct signed deliveries over kept-alive connections, one thread a connection.

use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::simulator::Simulator;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub const SECRET: &str = "It's a Secret to Everybody";

/// Most of what ICR sends is about this long.
pub const ORDINARY: usize = 2 << 10;

/// Deliveries that differ from those of every other load.
pub struct Load {
    simulator: Simulator,
    forged: bool,
    next: AtomicU64,
}

/// Sorted times.
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn millis(&self, quantile: f64) -> f64 {
        let last = self.0.len() - 1;
        self.0[((last as f64) * quantile).round() as usize].as_secs_f64() * 1e3
    }
}

impl Load {
    /// With bodies of so many bytes.
    pub fn of(body_bytes: usize) -> Self {
        static RUN: AtomicU64 = AtomicU64::new(1);
        let secrets = SecretSet::single(SECRET.as_bytes()).unwrap();
        let run = RUN.fetch_add(1, Ordering::Relaxed);
        Self {
            simulator: Simulator::new(secrets, 1000, run).with_body_bytes(body_bytes),
            forged: false,
            next: AtomicU64::new(0),
        }
    }

    pub fn forged(self) -> Self {
        Self {
            forged: true,
            ..self
        }
    }

    /// Sends `count` deliveries as fast as `connections` take them; how long that took.
    pub fn closed_loop(&self, address: SocketAddr, connections: usize, count: u64) -> Duration {
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..connections {
                let work = || {
                    let mut connection = Connection::open(address);
                    while let Some(number) = self.take(count) {
                        connection.deliver(&self.request(number), self.status());
                    }
                };
                let thread = std::thread::Builder::new().stack_size(256 << 10);
                thread.spawn_scoped(scope, work).unwrap();
            }
        });
        started.elapsed()
    }

    /// Sends `rate` deliveries a second for `time`; each one's time counts from when it should have gone.
    pub fn open_loop(
        &self,
        address: SocketAddr,
        connections: usize,
        rate: f64,
        time: Duration,
    ) -> Latencies {
        let count = (rate * time.as_secs_f64()) as u64;
        let all = Mutex::new(Vec::new());
        let start = Instant::now() + Duration::from_millis(200);
        std::thread::scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| {
                    let mut connection = Connection::open(address);
                    let mut mine = Vec::new();
                    while let Some(number) = self.take(count) {
                        let request = self.request(number);
                        let scheduled = start + Duration::from_secs_f64(number as f64 / rate);
                        std::thread::sleep(scheduled.saturating_duration_since(Instant::now()));
                        connection.deliver(&request, self.status());
                        mine.push(scheduled.elapsed());
                    }
                    all.lock().unwrap().extend(mine);
                });
            }
        });
        let mut all = all.into_inner().unwrap();
        all.sort_unstable();
        Latencies(all)
    }

    fn take(&self, count: u64) -> Option<u64> {
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count)
    }

    fn status(&self) -> &'static [u8] {
        if self.forged {
            b"HTTP/1.1 403"
        } else {
            b"HTTP/1.1 202"
        }
    }

    fn request(&self, number: u64) -> Vec<u8> {
        let kind = EventKind::OrganizationTransaction;
        let request = if self.forged {
            self.simulator.forged(kind, number)
        } else {
            self.simulator.delivery(kind, number)
        };
        let mut bytes = format!(
            "POST /webhook HTTP/1.1\r\nhost: bridge\r\ncontent-type: application/json\r\nx-icr-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
            request.signature,
            request.body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&request.body);
        bytes
    }
}

struct Connection {
    stream: TcpStream,
    buffer: [u8; 1024],
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: [0; 1024],
        }
    }

    /// Sends one request and reads its answer, which is short; another status than this one ends the benchmark.
    fn deliver(&mut self, request: &[u8], status: &[u8]) {
        self.stream.write_all(request).unwrap();
        let mut read = 0;
        while !complete(&self.buffer[..read]) {
            let more = self.stream.read(&mut self.buffer[read..]).unwrap();
            assert!(more > 0, "the connection was closed");
            read += more;
        }
        let answer = &self.buffer[..read];
        let said = String::from_utf8_lossy(answer);
        assert!(answer.starts_with(status), "{said}");
    }
}

/// The head, and as much body as it declares.
fn complete(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    answer.len() >= end + 4 + length
}
