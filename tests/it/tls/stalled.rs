//! Handshakes that do not come to their end hold no place that a delivery needs.

use super::Rig;
use crate::support::eventually::eventually;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The beginning of a client's first message: a record of 512 bytes, of which four come.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc";

fn stalled(rig: &Rig, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(rig.bridge.ingress).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Reads until the other side closes; a connection that is reset is closed as well.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_handshake_has_the_time_of_a_head() {
    let rig = Rig::new(&[("HEADER_TIMEOUT_SECONDS", "1")]);
    for bytes in [&b""[..], HALF_A_HELLO] {
        assert!(is_closed(&mut stalled(&rig, bytes)), "{bytes:?}");
    }
    let failures = rig.bridge.metrics().value("tls_handshake_failures_total");
    assert_eq!(failures, 2.0);
    assert_eq!(rig.connect().post(&rig.delivery()).status, 202);
}

#[test]
fn stalled_handshakes_make_room_for_deliveries() {
    // None is closed for its time alone while this runs.
    let rig = Rig::new(&[
        ("MAX_CONNECTIONS", "64"),
        ("WORKERS", "2"),
        ("HEADER_TIMEOUT_SECONDS", "3600"),
    ]);
    let held: Vec<TcpStream> = (0..200)
        .map(|number| stalled(&rig, if number % 2 == 0 { b"" } else { HALF_A_HELLO }))
        .collect();
    for _ in 0..50 {
        assert_eq!(rig.connect().post(&rig.delivery()).status, 202);
    }
    rig.until_logged("have waited for their sender the longest");
    drop(held);
}

#[test]
fn stalled_handshakes_do_not_keep_a_bridge_that_leaves() {
    let rig = Rig::new(&[("HEADER_TIMEOUT_SECONDS", "3600")]);
    let mut held = [stalled(&rig, b""), stalled(&rig, HALF_A_HELLO)];
    assert_eq!(rig.connect().post(&rig.delivery()).status, 202);
    rig.bridge.signal(libc::SIGTERM);
    held.iter_mut().for_each(|held| assert!(is_closed(held)));
    let Rig {
        mut bridge, dir, ..
    } = rig;
    let status = eventually("it ends", || bridge.ended());
    assert!(status.success());
    drop(dir);
}

#[test]
fn what_has_arrived_while_the_process_stood_still_is_read() {
    let limits = [
        ("HEADER_TIMEOUT_SECONDS", "3"),
        ("BODY_TIMEOUT_SECONDS", "3"),
        ("KEEP_ALIVE_SECONDS", "3"),
    ];
    let rig = Rig::new(&limits);
    let mut kept = rig.connect();
    assert_eq!(kept.post(&rig.delivery()).status, 202);
    rig.bridge.signal(libc::SIGSTOP);
    std::thread::scope(|scope| {
        let on_kept = scope.spawn(|| kept.post(&rig.delivery()).status);
        let on_fresh = scope.spawn(|| rig.connect().post(&rig.delivery()).status);
        // Not for luck: this is the standstill, more than twice the limits.
        std::thread::sleep(Duration::from_secs(8));
        rig.bridge.signal(libc::SIGCONT);
        assert_eq!(on_kept.join().unwrap(), 202);
        assert_eq!(on_fresh.join().unwrap(), 202);
    });
}
