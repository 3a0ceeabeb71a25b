//! What is no HTTP: random bytes, TLS, HTTP/2, endless lines. None is taken for a delivery, and the connection ends.

use crate::harness::client::{Raw, statuses};
use crate::harness::{Excuse, Fault};

/// Beginnings of other protocols, and of broken HTTP.
const BEGINNINGS: &[&[u8]] = &[
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"EHLO there\r\n",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\r\n\r\n\r\n\r\n",
    b"POST\r\n\r\n",
    b"POST /webhook\r\n\r\n",
    b"POST /webhook HTTP/9.9\r\nHost: b\r\n\r\n",
    b"POST /webhook HTTP/1.1\r\n\r\n",
    b"POST /webhook HTTP/1.1\r\nHost b\r\n\r\n",
    b"POST /web\x00hook HTTP/1.1\r\nHost: b\r\n\r\n",
    b"P\xc3\x96ST /webhook HTTP/1.1\r\nHost: b\r\n\r\n",
    b"POST /webhook HTTP/1.1\r\nHost: b\r\nContent-Length: minus one\r\n\r\n",
    b"POST http://[::1 HTTP/1.1\r\nHost: b\r\n\r\n",
];

pub const FAULT: Fault = Fault {
    name: "garbage",
    title: "random bytes, TLS, HTTP/2 and broken HTTP instead of requests",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.set("HEADER_TIMEOUT_SECONDS", "1");
        stage.start();
        stage.load_on();
        for _ in stage.rounds(4, 100) {
            for beginning in BEGINNINGS {
                let mut bytes = beginning.to_vec();
                bytes.extend((0..stage.random(2000)).map(|_| stage.random(256) as u8));
                check(Raw::open(stage.ingress()), &bytes);
            }
            let noise: Vec<u8> = (0..5000).map(|_| stage.random(256) as u8).collect();
            check(Raw::open(stage.ingress()), &noise);
            stage.accept(20);
        }
    },
};

/// Whatever is answered is no success, and in the end the connection is closed: the head has its second.
fn check(mut raw: Raw, bytes: &[u8]) {
    raw.send(bytes);
    let answers = raw.rest().expect("the connection is closed");
    let statuses = statuses(&answers);
    assert!(
        statuses.iter().all(|status| *status >= 400),
        "{statuses:?} to {:?}",
        String::from_utf8_lossy(bytes)
    );
}
