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

/// Deliveries whose ids differ from those of any other run number.
pub struct Load {
    simulator: Simulator,
    next: AtomicU64,
}

/// Sorted times.
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn quantile(&self, quantile: f64) -> Duration {
        let last = self.0.len() - 1;
        self.0[((last as f64) * quantile).round() as usize]
    }
}

impl Load {
    pub fn new(run: u64) -> Self {
        let secrets = SecretSet::single(SECRET.as_bytes()).unwrap();
        Self {
            simulator: Simulator::new(secrets, 1000, run),
            next: AtomicU64::new(0),
        }
    }

    /// Sends `count` deliveries as fast as `connections` take them.
    pub fn closed_loop(&self, address: SocketAddr, connections: usize, count: u64) {
        std::thread::scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| {
                    let mut connection = Connection::open(address);
                    while let Some(number) = self.take(count) {
                        connection.deliver(&self.request(number));
                    }
                });
            }
        });
    }

    /// Sends `count` deliveries at `rate` a second; each one's time counts from when it should have gone.
    pub fn open_loop(
        &self,
        address: SocketAddr,
        connections: usize,
        rate: u64,
        count: u64,
    ) -> Latencies {
        let all = Mutex::new(Vec::new());
        let start = Instant::now() + Duration::from_millis(200);
        std::thread::scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| {
                    let mut connection = Connection::open(address);
                    let mut mine = Vec::new();
                    while let Some(number) = self.take(count) {
                        let request = self.request(number);
                        let scheduled =
                            start + Duration::from_secs_f64(number as f64 / rate as f64);
                        std::thread::sleep(scheduled.saturating_duration_since(Instant::now()));
                        connection.deliver(&request);
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

    fn request(&self, number: u64) -> Vec<u8> {
        let request = self
            .simulator
            .delivery(EventKind::OrganizationTransaction, number);
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

    /// Sends one request and reads its answer, which is short; anything but a 202 ends the benchmark.
    fn deliver(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
        let mut read = 0;
        while !complete(&self.buffer[..read]) {
            let more = self.stream.read(&mut self.buffer[read..]).unwrap();
            assert!(more > 0, "the connection was closed");
            read += more;
        }
        let answer = &self.buffer[..read];
        assert!(
            answer.starts_with(b"HTTP/1.1 202"),
            "{}",
            String::from_utf8_lossy(answer)
        );
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
