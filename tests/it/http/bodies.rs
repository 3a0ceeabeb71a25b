//! The body: size, JSON, `signedData`.

use super::{assert_accepted, assert_rejected, genuine};
use crate::support::app::TestApp;
use crate::support::eventually::eventually;
use crate::support::http::{self, Connection};
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::simulator::Simulator;
use serde_json::json;
use std::io::Write;
use std::net::TcpStream;

const LIMIT: usize = 64 << 10;

fn limited() -> TestApp {
    TestApp::start(&[("MAX_BODY_BYTES", "64KiB")])
}

fn signed(app: &TestApp, body: &[u8]) -> crate::support::http::Response {
    let signature = genuine(app, 1).signature;
    http::post(
        app.ingress,
        "/webhook",
        &[("x-icr-signature-256", &signature)],
        body,
    )
}

#[test]
fn what_is_not_json_is_400() {
    let genuine_body = genuine(&TestApp::start(&[]), 1).body;
    let cases: [&[u8]; 7] = [
        b"",
        b"{",
        b"{\"signedData\":\"a\"} trailing",
        b"\xef\xbb\xbf\xef\xbb\xbf{\"signedData\":\"a\"}",
        b"{\"signedData\":\"\xff\xfe\"}",
        b"{\"signedData\":\"a\",}",
        &genuine_body[..genuine_body.len() - 1],
    ];
    for body in cases {
        let app = TestApp::start(&[]);
        assert_rejected(&app, &signed(&app, body), 400, "body_not_json");
    }
}

#[test]
fn what_is_no_object_is_400() {
    for body in ["[]", "null", "\"text\"", "1", "true"] {
        let app = TestApp::start(&[]);
        assert_rejected(&app, &signed(&app, body.as_bytes()), 400, "body_not_object");
    }
}

#[test]
fn signed_data_must_be_there_once_and_be_a_string() {
    for (body, reason) in [
        (r#"{"event":"installed"}"#, "signed_data_missing"),
        (r#"{"SignedData":"a"}"#, "signed_data_missing"),
        (r#"{"signedData":null}"#, "signed_data_not_string"),
        (r#"{"signedData":["a"]}"#, "signed_data_not_string"),
        (r#"{"signedData":"a","signedData":"a"}"#, "duplicate_key"),
        (
            r#"{"signedData":"a","signed\u0044ata":"b"}"#,
            "duplicate_key",
        ),
    ] {
        let app = TestApp::start(&[]);
        assert_rejected(&app, &signed(&app, body.as_bytes()), 400, reason);
    }
}

#[test]
fn other_members_of_the_outer_body_may_repeat_and_nest_100_000_levels_deep() {
    let app = TestApp::start(&[]);
    let request = genuine(&app, 1);
    let body = String::from_utf8(request.body).unwrap();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"x":1,"x":{deep},{}"#, &body[1..]);
    assert_accepted(&http::post(
        app.ingress,
        "/webhook",
        &[("x-icr-signature-256", &request.signature)],
        body.as_bytes(),
    ));
}

#[test]
fn a_payload_nested_100_000_levels_deep_is_stored_and_answered_202() {
    let app = TestApp::start(&[]);
    let simulator = Simulator::new(
        SecretSet::single(crate::support::app::SECRET.as_bytes()).unwrap(),
        1,
        1,
    );
    let deep = format!(
        r#"{{"event":"installed","x":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let request = simulator.sign_text(deep.as_bytes(), json!({}));
    assert_accepted(&app.deliver(&request));
}

#[test]
fn an_escaped_signed_data_is_proven_by_its_value() {
    let app = TestApp::start(&[]);
    let request = genuine(&app, 1);
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let data = body["signedData"].as_str().unwrap();
    let escaped: String = data
        .chars()
        .map(|c| format!("\\u{:04x}", c as u32))
        .collect();
    let body = format!(r#"{{"signedData":"{escaped}"}}"#);
    assert_accepted(&http::post(
        app.ingress,
        "/webhook",
        &[("x-icr-signature-256", &request.signature)],
        body.as_bytes(),
    ));
}

#[test]
fn a_body_of_just_the_limit_is_accepted() {
    let app = limited();
    let request = genuine(&app, 1);
    let mut body = request.body.clone();
    body.resize(LIMIT, b' ');
    assert_accepted(&http::post(
        app.ingress,
        "/webhook",
        &[("x-icr-signature-256", &request.signature)],
        &body,
    ));
}

#[test]
fn a_declared_length_over_the_limit_is_413_and_closes_saying_so() {
    let app = limited();
    let mut connection = Connection::open(app.ingress);
    let response = connection.post("/webhook", &[], &vec![b' '; LIMIT + 1]);
    assert_rejected(&app, &response, 413, "body_too_large");
    assert_eq!(response.header("connection"), Some("close"));
    assert!(connection.is_closed());
}

/// A head that asks whether its body is welcome, and nothing behind it.
fn asking(app: &TestApp, path: &str, length: usize) -> Connection {
    let mut connection = Connection::open(app.ingress);
    let signature = genuine(app, 1).signature;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: b\r\nx-icr-signature-256: {signature}\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    connection.send(head.as_bytes());
    connection
}

#[test]
fn a_body_that_the_head_rules_out_is_not_invited() {
    let app = limited();
    let mut connection = asking(&app, "/webhook", LIMIT + 1);
    let response = connection.response();
    assert_rejected(&app, &response, 413, "body_too_large");
    assert_eq!(response.header("connection"), Some("close"));
    assert!(connection.is_closed());
    let mut connection = asking(&app, "/nowhere", 10);
    assert_eq!(connection.response().status, 404);
    assert!(connection.is_closed());
    let codes = ["404", "413"].map(|code| {
        let series = format!("http_request_duration_seconds_count{{code=\"{code}\"}}");
        app.metrics().value(&series)
    });
    assert_eq!(codes, [1.0, 1.0]);
}

#[test]
fn a_body_that_may_come_is_invited() {
    let app = limited();
    let request = genuine(&app, 1);
    let mut connection = asking(&app, "/webhook", request.body.len());
    assert_eq!(connection.response().status, 100);
    connection.send(&request.body);
    assert_accepted(&connection.response());
}

#[test]
fn a_streamed_body_over_the_limit_is_413() {
    let app = limited();
    let mut connection = Connection::open(app.ingress);
    connection.send(b"POST /webhook HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n");
    for _ in 0..LIMIT / 8192 + 1 {
        connection.send(b"2000\r\n");
        connection.send(&[b' '; 8192]);
        connection.send(b"\r\n");
    }
    connection.send(b"0\r\n\r\n");
    assert_rejected(&app, &connection.response(), 413, "body_too_large");
}

#[test]
fn what_comes_with_a_body_and_belongs_to_none_does_not_go_on_for_ever() {
    let app = TestApp::start(&[
        ("MAX_BODY_BYTES", "64KiB"),
        ("BODY_TIMEOUT_SECONDS", "3600"),
    ]);
    let head = "POST /webhook HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\n\r\n";
    for (what, begin, more) in [
        ("a chunk extension", "1;", "x".repeat(10_000)),
        ("trailers", "0\r\n", "x: y\r\n".repeat(2_000)),
    ] {
        let mut stream = TcpStream::connect(app.ingress).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(begin.as_bytes()).unwrap();
        let taken = (0..10_000)
            .take_while(|_| stream.write_all(more.as_bytes()).is_ok())
            .count();
        // What fits into the buffers of the system counts as taken; it is far less than was offered.
        assert!(taken < 5_000, "{what}: {taken} times {} bytes", more.len());
    }
    let request = genuine(&app, 1);
    assert_accepted(&app.deliver(&request));
}

#[test]
fn a_chunked_body_is_accepted() {
    let app = TestApp::start(&[]);
    let request = genuine(&app, 1);
    let mut connection = Connection::open(app.ingress);
    let head = format!(
        "POST /webhook HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\nx-icr-signature-256: {}\r\n\r\n",
        request.signature
    );
    connection.send(head.as_bytes());
    for chunk in request.body.chunks(100) {
        connection.send(format!("{:x}\r\n", chunk.len()).as_bytes());
        connection.send(chunk);
        connection.send(b"\r\n");
    }
    connection.send(b"0\r\n\r\n");
    assert_accepted(&connection.response());
}

#[test]
fn where_bodies_on_their_way_take_all_memory_those_that_take_the_longest_give_way() {
    let app = TestApp::start(&[("BODY_TIMEOUT_SECONDS", "3600")]);
    let declared = 500 << 10;
    let head = format!("POST /webhook HTTP/1.1\r\nhost: b\r\ncontent-length: {declared}\r\n\r\n{{");
    // 32 MiB have room for 65 of them.
    let mut slow: Vec<Connection> = (0..300)
        .map(|_| {
            let mut connection = Connection::open(app.ingress);
            connection.send(head.as_bytes());
            connection
        })
        .collect();
    let mut gave_way = || {
        slow.iter_mut()
            .map(Connection::is_alive)
            .filter(|alive| !alive)
            .count()
    };
    // From here on the slow ones have all memory.
    eventually("38 of 300 slow bodies gave way to the others", || {
        (gave_way() >= 38).then_some(())
    });
    let request = genuine(&app, 1);
    let mut body = request.body.clone();
    body.resize(declared, b' ');
    let mut connection = Connection::open(app.ingress);
    connection.send(
        format!(
            "POST /webhook HTTP/1.1\r\nhost: b\r\nx-icr-signature-256: {}\r\ncontent-length: {declared}\r\n\r\n",
            request.signature
        )
        .as_bytes(),
    );
    body.chunks(8192).for_each(|piece| connection.send(piece));
    assert_accepted(&connection.response());
    let gave_way = gave_way();
    assert!((39..250).contains(&gave_way), "{gave_way} of 300 gave way");
}
