//! Content encodings.

use super::{assert_accepted, assert_rejected, genuine};
use crate::support::app::TestApp;
use crate::support::http::{self, Response};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
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
