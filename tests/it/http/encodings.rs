//! Content encodings.

use super::{assert_accepted, assert_rejected, genuine};
use crate::support::app::TestApp;
use crate::support::hollow;
use crate::support::http::{self, Connection, Response};
use crate::support::process::Serving;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compress, Compression, FlushCompress, Status};
use std::io::Write;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn deliver(
    app: &TestApp,
    number: u64,
    encoding: &str,
    encode: impl Fn(&[u8]) -> Vec<u8>,
) -> Response {
    let request = genuine(app, number);
    let headers = [
        ("x-icr-signature-256", request.signature.as_str()),
        ("content-encoding", encoding),
    ];
    http::post(app.ingress, "/webhook", &headers, &encode(&request.body))
}

#[test]
fn gzip_and_both_forms_of_deflate_are_inflated() {
    let app = TestApp::start(&[]);
    assert_accepted(&deliver(&app, 1, "gzip", gzip));
    assert_accepted(&deliver(&app, 2, "GZIP", gzip));
    assert_accepted(&deliver(&app, 3, "deflate", |plain| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }));
    assert_accepted(&deliver(&app, 4, "deflate", |plain| {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }));
    assert_accepted(&deliver(&app, 5, "identity", <[u8]>::to_vec));
}

#[test]
fn another_encoding_is_415_and_says_which_are_right() {
    for encoding in ["br", "gzip, gzip", "zstd"] {
        let app = TestApp::start(&[]);
        let response = deliver(&app, 1, encoding, <[u8]>::to_vec);
        assert_rejected(&app, &response, 415, "encoding_unsupported");
        assert_eq!(response.header("accept-encoding"), Some("gzip, deflate"));
    }
}

#[test]
fn a_gzip_bomb_is_413() {
    let app = TestApp::start(&[]);
    let response = deliver(&app, 1, "gzip", |_| gzip(&vec![b' '; 100 << 20]));
    assert_rejected(&app, &response, 413, "body_too_large");
}

#[test]
fn a_body_that_does_not_inflate_is_400() {
    let app = TestApp::start(&[]);
    let response = deliver(&app, 1, "gzip", |plain| gzip(plain)[..40].to_vec());
    assert_rejected(&app, &response, 400, "body_not_json");
}

#[test]
fn size_is_judged_before_encoding() {
    let app = TestApp::start(&[("MAX_BODY_BYTES", "1KiB")]);
    let response = deliver(&app, 1, "br", |_| vec![b' '; 1025]);
    assert_rejected(&app, &response, 413, "body_too_large");
}

/// What a sender makes that compresses `plain` in pieces, each flushed.
fn compressed(mut compress: Compress, plain: &[u8], piece: usize, flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |mut input: &[u8], flush: FlushCompress| {
        loop {
            out.reserve(64 + input.len());
            let (taken, room) = (compress.total_in(), out.capacity());
            let status = compress.compress_vec(input, &mut out, flush).unwrap();
            input = &input[(compress.total_in() - taken) as usize..];
            let more = match status {
                Status::StreamEnd => false,
                _ => !input.is_empty() || out.len() == room || flush == FlushCompress::Finish,
            };
            if !more {
                return;
            }
        }
    };
    plain.chunks(piece).for_each(|piece| put(piece, flush));
    put(b"", FlushCompress::Finish);
    out
}

#[test]
fn whatever_a_compressor_makes_of_a_body_is_inflated_however_often_it_flushes() {
    use FlushCompress::{Full, None, Partial, Sync};
    let app = TestApp::start(&[]);
    let request = genuine(&app, 1);
    let mut connection = Connection::open(app.ingress);
    let mut deliver = |what: String, encoding: &str, body: &[u8]| {
        let headers = [
            ("x-icr-signature-256", request.signature.as_str()),
            ("content-encoding", encoding),
        ];
        let response = connection.post("/webhook", &headers, body);
        assert_eq!(response.status, 202, "{what}");
    };
    // 200 KB of hexadecimal digits: for such a text a table of its own pays soonest.
    let mut digits = String::new();
    let mut random = 1_u64;
    while digits.len() < 200_000 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        digits.push_str(&format!("{:016x}", random.rotate_left(29)));
    }
    let rest = std::str::from_utf8(&request.body[1..]).unwrap();
    let large = format!(r#"{{"digits":"{digits}",{rest}"#);
    for (plain, pieces) in [
        (request.body.as_slice(), [1, 3, 100, usize::MAX]),
        (large.as_bytes(), [20, 60, 5_000, usize::MAX]),
    ] {
        for level in [0, 1, 6, 9] {
            for (piece, flush) in pieces
                .into_iter()
                .flat_map(|piece| [None, Partial, Sync, Full].map(|flush| (piece, flush)))
            {
                let level = Compression::new(level);
                let made = |compress| compressed(compress, plain, piece, flush);
                let what = format!("{} bytes, {level:?}, {piece}, {flush:?}", plain.len());
                let bodies = [
                    ("gzip", made(Compress::new_gzip(level, 15))),
                    ("deflate", made(Compress::new(level, true))),
                    ("deflate", made(Compress::new(level, false))),
                ];
                for (encoding, body) in bodies {
                    // Some are larger than they were before.
                    if body.len() <= 512 << 10 {
                        deliver(format!("{encoding}: {what}"), encoding, &body);
                    }
                }
            }
        }
    }
    let (one, other) = request.body.split_at(request.body.len() / 2);
    let members = [gzip(one), gzip(b""), gzip(other)].concat();
    deliver("three members".to_owned(), "gzip", &members);
}

#[test]
fn a_body_that_puts_out_nothing_is_400_and_costs_little() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", "127.0.0.1:1")]);
    let signature = format!("sha256={}", "0".repeat(64));
    for hollow in hollow::all(512 << 10) {
        let costs = (0..5).map(|_| {
            let before = bridge.cpu_seconds();
            let headers = [
                ("x-icr-signature-256", signature.as_str()),
                ("content-encoding", hollow.encoding),
            ];
            let response = http::post(bridge.ingress, "/webhook", &headers, &hollow.body);
            let expected = (400, "body_not_json".to_owned());
            assert_eq!(
                (response.status, response.reason()),
                expected,
                "{}",
                hollow.name
            );
            bridge.cpu_seconds() - before
        });
        // The least of them: whatever else the process does meanwhile does not count.
        let least = costs.fold(f64::INFINITY, f64::min);
        // Half a second to several where the work is not bounded; else some 30 ms, of which much is a build that is not optimised.
        assert!(least < 0.2, "{}: {least} s of CPU time", hollow.name);
    }
}

#[test]
fn a_byte_order_mark_before_the_body_is_ignored_inside_of_gzip_too() {
    let app = TestApp::start(&[]);
    let marked = |plain: &[u8]| [&b"\xef\xbb\xbf"[..], plain].concat();
    assert_accepted(&deliver(&app, 1, "identity", marked));
    assert_accepted(&deliver(&app, 2, "gzip", |plain| gzip(&marked(plain))));
}
