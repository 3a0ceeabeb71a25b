//! Heads and bodies beyond all measure, declared or streamed, plain or compressed: refused, with bounded memory.

use crate::harness::client::{Raw, head, statuses};
use crate::harness::{Excuse, Fault};
use flate2::Compression;
use flate2::write::GzEncoder;
use icr_bridge::simulator::Request;
use std::io::Write;

/// Of what the bridge may take beside what it takes in peace: far less than what is thrown at it.
const MEMORY: f64 = 150.0 * 1024.0 * 1024.0;

pub const FAULT: Fault = Fault {
    name: "sizes",
    title: "endless heads, bodies and chunks, absurd lengths, gzip bombs",
    excuse: Excuse::Nothing,
    run: |stage| {
        stage.set("HEADER_TIMEOUT_SECONDS", "2");
        stage.start();
        stage.load_on();
        stage.accept(500);
        let memory = |stage: &crate::harness::stage::Stage| {
            stage.bridge().metrics().process("resident_memory_bytes")
        };
        let before = memory(stage);
        let (number, request) = stage.delivery();
        stage.forbid(number);
        let attacks = attacks(&request);
        for _ in stage.rounds(1, 10) {
            let (address, copies) = (stage.ingress(), if stage.is_long() { 8 } else { 2 });
            // Many at a time: what one takes does not show.
            std::thread::scope(|scope| {
                for (what, bytes, expected) in &attacks {
                    for _ in 0..copies {
                        scope.spawn(move || {
                            let mut raw = Raw::open(address);
                            raw.send(bytes);
                            raw.half_close();
                            let answers = raw.rest().expect("the connection is closed");
                            let statuses = statuses(&answers);
                            // A sender that goes on and on may be cut off before it reads the answer.
                            let right = statuses.is_empty()
                                || statuses.iter().all(|status| expected.contains(status));
                            assert!(right, "{what}: {statuses:?}");
                        });
                    }
                }
            });
            stage.accept(20);
        }
        let grown = memory(stage) - before;
        stage.note(format!("memory grew by {:.0} MiB", grown / 1024.0 / 1024.0));
        assert!(grown < MEMORY, "memory grew by {grown} bytes");
    },
};

fn attacks(request: &Request) -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let start = "POST /webhook HTTP/1.1\r\nHost: bridge\r\n";
    let with_body = |headers: &str, body: &[u8]| [head(request, headers).as_bytes(), body].concat();
    let megabytes = vec![b' '; 20 << 20];
    let mut chunks = Vec::new();
    for _ in 0..2500 {
        chunks.extend_from_slice(b"2000\r\n");
        chunks.extend_from_slice(&[b' '; 0x2000]);
        chunks.extend_from_slice(b"\r\n");
    }
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 200 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let length = |body: &[u8]| format!("Content-Length: {}\r\n", body.len());
    vec![
        (
            "a path of a megabyte",
            [
                b"POST /",
                &*vec![b'a'; 1 << 20],
                b" HTTP/1.1\r\nHost: b\r\n\r\n",
            ]
            .concat(),
            &[400, 414, 431],
        ),
        (
            "a header of a megabyte",
            [start.as_bytes(), b"X: ", &vec![b'a'; 1 << 20], b"\r\n\r\n"].concat(),
            &[400, 431],
        ),
        (
            "ten thousand headers",
            [start, &"X: y\r\n".repeat(10_000), "\r\n"].concat().into(),
            &[400, 431],
        ),
        (
            "a head that never ends",
            [start.as_bytes(), &b"X: y\r\n".repeat(500_000)].concat(),
            &[400, 431],
        ),
        (
            "a body of 20 MiB, declared",
            with_body(&length(&megabytes), &megabytes),
            &[413],
        ),
        (
            "a body of 20 MiB, streamed",
            with_body("Transfer-Encoding: chunked\r\n", &chunks),
            &[413],
        ),
        (
            "a length of 2^63",
            with_body("Content-Length: 9223372036854775808\r\n", b"{}"),
            &[413],
        ),
        (
            "a length of 2^64",
            with_body("Content-Length: 18446744073709551616\r\n", b"{}"),
            &[400],
        ),
        (
            "a chunk of 2^63",
            with_body("Transfer-Encoding: chunked\r\n", b"8000000000000000\r\n{}"),
            &[400, 413],
        ),
        (
            "a chunk of 2^64",
            with_body("Transfer-Encoding: chunked\r\n", b"10000000000000000\r\n{}"),
            &[400],
        ),
        (
            "a chunk extension of 5 MiB",
            with_body(
                "Transfer-Encoding: chunked\r\n",
                &[b"2;", &*vec![b'a'; 5 << 20], b"\r\n{}\r\n0\r\n\r\n"].concat(),
            ),
            &[400, 408, 413],
        ),
        (
            "trailers of 5 MiB",
            with_body(
                "Transfer-Encoding: chunked\r\n",
                &[b"2\r\n{}\r\n0\r\n", &*b"X: y\r\n".repeat(900_000), b"\r\n"].concat(),
            ),
            &[400, 408, 413],
        ),
        (
            "200 MiB as 200 KiB of gzip",
            with_body(
                &format!("Content-Encoding: gzip\r\n{}", length(&bomb)),
                &bomb,
            ),
            &[413],
        ),
    ]
}
