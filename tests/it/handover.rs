//! Sockets handed over by the service manager: a restart refuses no connection and fails no delivery.

use crate::support::app::SECRET;
use crate::support::eventually::eventually;
use crate::support::http::{Connection, get};
use crate::support::journal;
use crate::support::process::{Serving, serve};
use crate::support::service_manager::{ServiceManager, handing_over};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::simulator::{Request, Simulator};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const NO_KAFKA: (&str, &str) = ("KAFKA_BROKERS", "127.0.0.1:1");

fn delivery(number: u64) -> Request {
    Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 5, 1)
        .delivery(EventKind::WarehouseTransaction, number)
}

fn bytes_of(request: &Request) -> Vec<u8> {
    let head = format!(
        "POST /webhook HTTP/1.1\r\nhost: b\r\nx-icr-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
        request.signature,
        request.body.len()
    );
    [head.as_bytes(), &request.body].concat()
}

#[test]
fn a_delivery_that_comes_while_no_process_serves_waits_for_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let manager = ServiceManager::new();
    let send = |number| {
        let mut connection = Connection::open(manager.address());
        connection.send(&bytes_of(&delivery(number)));
        connection
    };
    let mut early = send(1);
    let first = manager.start(dir.path(), &[NO_KAFKA]);
    assert_eq!(early.response().status, 202);
    assert_eq!(first.terminate().code(), Some(0));
    let mut between = send(2);
    let _second = manager.start(dir.path(), &[NO_KAFKA]);
    assert_eq!(between.response().status, 202);
}

#[test]
fn a_socket_that_is_handed_over_takes_the_place_of_listen_and_the_log_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let manager = ServiceManager::new();
    // An address that could not be bound.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let serving = manager.start(dir.path(), &[NO_KAFKA, ("LISTEN", &taken)]);
    assert_eq!(serving.ingress, manager.address());
    let said = format!(
        "handed over a socket that listens on {}: ICR_BRIDGE_LISTEN has no effect",
        manager.address()
    );
    assert!(serving.log().iter().any(|line| line.contains(&said)));
}

#[test]
fn the_socket_called_admin_is_the_admin_listener() {
    let dir = tempfile::tempdir().unwrap();
    let [admin, ingress] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let sockets = [admin.as_raw_fd(), ingress.as_raw_fd()];
    let serving = Serving::of(serve(dir.path(), &[NO_KAFKA], |arguments, settings| {
        handing_over(&sockets, "admin:web", arguments, settings)
    }))
    .unwrap();
    assert_eq!(serving.ingress, ingress.local_addr().unwrap());
    assert_eq!(serving.admin, admin.local_addr().unwrap());
    assert_eq!(get(admin.local_addr().unwrap(), "/readyz").status, 200);
}

#[test]
fn what_is_no_listening_tcp_socket_is_a_configuration_error() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let local = UnixListener::bind(dir.path().join("socket")).unwrap();
    let file = tempfile::tempfile().unwrap();
    let tcp = listener.as_raw_fd();
    let cases: [(&[RawFd], &str, &str); 6] = [
        (&[connected.as_raw_fd()], "x", "3 does not listen"),
        (&[datagrams.as_raw_fd()], "x", "3 is no TCP socket"),
        (&[local.as_raw_fd()], "x", "3 is no TCP socket"),
        (&[file.as_raw_fd()], "x", "3 is no socket"),
        (&[tcp, tcp], "x:y", "2 sockets for the ingress"),
        (&[tcp], "x:y", "has 2 names for LISTEN_FDS=1 sockets"),
    ];
    for (descriptors, names, said) in cases {
        let output = serve(dir.path(), &[NO_KAFKA], |arguments, settings| {
            handing_over(descriptors, names, arguments, settings)
        })
        .output()
        .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(errors.contains(said), "{errors}");
        assert!(errors.contains("LISTEN_FD"), "{errors}");
    }
    let mut promises_too_much = serve(dir.path(), &[NO_KAFKA], |arguments, settings| {
        handing_over(&[tcp], "x", arguments, settings)
    });
    promises_too_much
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", "x:admin");
    let output = promises_too_much.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{errors}");
    assert!(errors.contains("4 is not open"), "{errors}");
}

#[test]
fn a_connection_that_speaks_half_a_second_after_sigterm_is_answered_and_told_to_close() {
    let dir = tempfile::tempdir().unwrap();
    let manager = ServiceManager::new();
    let serving = manager.start(dir.path(), &[NO_KAFKA]);
    let mut connection = Connection::open(manager.address());
    connection.send(&bytes_of(&delivery(1)));
    assert_eq!(connection.response().header("connection"), None);
    serving.signal(libc::SIGTERM);
    eventually("it is not ready any more", || {
        (!serving.is_ready()).then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    connection.send(&bytes_of(&delivery(2)));
    let response = connection.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (202, Some("close"))
    );
    assert_eq!(serving.wait().code(), Some(0));
}

#[test]
fn a_body_that_is_still_on_its_way_at_sigterm_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let manager = ServiceManager::new();
    let serving = manager.start(dir.path(), &[NO_KAFKA]);
    let mut connection = Connection::open(manager.address());
    // So that the connection is being served for certain.
    assert_eq!(connection.post("/webhook", &[], b"{}").status, 400);
    let bytes = bytes_of(&delivery(1));
    let (begin, rest) = bytes.split_at(bytes.len() - 100);
    connection.send(begin);
    serving.signal(libc::SIGTERM);
    eventually("it is not ready any more", || {
        (!serving.is_ready()).then_some(())
    });
    // Longer than an idle connection is waited for.
    for part in rest.chunks(5) {
        std::thread::sleep(Duration::from_millis(100));
        connection.send(part);
    }
    assert_eq!(connection.response().status, 202);
    assert_eq!(serving.wait().code(), Some(0));
}

/// What became of the deliveries of a load.
#[derive(Default)]
struct Tally {
    accepted: AtomicU64,
    next: AtomicU64,
    stop: AtomicBool,
    /// When an attempt to connect was refused.
    refused: Mutex<Vec<Instant>>,
    failed: Mutex<Vec<String>>,
}

impl Tally {
    /// Sends deliveries one after the other until told to stop, over connections that are kept (with a pause between deliveries) or
    /// over a new one each.
    fn send(&self, address: SocketAddr, kept: Option<Duration>) {
        let mut connection: Option<Connection> = None;
        while !self.stop.load(Ordering::Relaxed) {
            let bytes = bytes_of(&delivery(self.next.fetch_add(1, Ordering::Relaxed)));
            let mut open = match connection
                .take()
                .map_or_else(|| Connection::try_open(address), Ok)
            {
                Ok(open) => open,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    self.refused.lock().unwrap().push(Instant::now());
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                Err(error) => {
                    self.failed.lock().unwrap().push(error.to_string());
                    continue;
                }
            };
            open.send(&bytes);
            match open.try_response() {
                Ok(response) if response.status == 202 => {
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                    if let Some(pause) = kept {
                        let closes = response.header("connection") == Some("close");
                        connection = (!closes).then_some(open);
                        std::thread::sleep(pause);
                    }
                }
                Ok(response) => self
                    .failed
                    .lock()
                    .unwrap()
                    .push(response.status.to_string()),
                Err(error) => self
                    .failed
                    .lock()
                    .unwrap()
                    .push(format!("after sending: {error}")),
            }
        }
    }

    /// Runs `body` under load from connections of every kind.
    fn during<T>(&self, address: SocketAddr, body: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            for kept in [None, None, Some(0), Some(0), Some(3), Some(50), Some(700)] {
                scope.spawn(move || self.send(address, kept.map(Duration::from_millis)));
            }
            let result = body();
            self.stop.store(true, Ordering::Relaxed);
            result
        })
    }

    fn progress(&self) {
        let before = self.accepted.load(Ordering::Relaxed);
        eventually("deliveries are accepted", || {
            (self.accepted.load(Ordering::Relaxed) > before + 200).then_some(())
        });
    }
}

#[test]
fn a_restart_under_load_fails_no_delivery() {
    let dir = tempfile::tempdir().unwrap();
    let manager = ServiceManager::new();
    let tally = Tally::default();
    let mut serving = manager.start(dir.path(), &[NO_KAFKA]);
    let _last = tally.during(manager.address(), || {
        for _ in 0..3 {
            tally.progress();
            assert_eq!(serving.terminate().code(), Some(0));
            serving = manager.start(dir.path(), &[NO_KAFKA]);
        }
        tally.progress();
        serving
    });
    assert_eq!(*tally.failed.lock().unwrap(), [""; 0]);
    assert_eq!(tally.refused.lock().unwrap().len(), 0);
    let answered = tally.accepted.load(Ordering::Relaxed);
    assert_eq!(journal::ids(dir.path()).len() as u64, answered);
}

#[test]
fn without_it_only_those_who_come_while_nobody_listens_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let settings = [NO_KAFKA, ("LISTEN", &address.to_string())];
    let tally = Tally::default();
    let mut serving = Serving::start(dir.path(), &settings);
    let _last = tally.during(address, || {
        for _ in 0..3 {
            tally.progress();
            assert_eq!(serving.terminate().code(), Some(0));
            serving = Serving::start(dir.path(), &settings);
        }
        tally.progress();
        serving
    });
    assert_eq!(*tally.failed.lock().unwrap(), [""; 0]);
    let answered = tally.accepted.load(Ordering::Relaxed);
    assert_eq!(journal::ids(dir.path()).len() as u64, answered);
}
