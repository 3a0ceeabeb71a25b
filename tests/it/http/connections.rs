//! Connections: they stay usable after an error, and time out.

use super::{assert_accepted, genuine};
use crate::support::app::TestApp;
use crate::support::http::{Connection, rendered};

#[test]
fn a_connection_stays_usable_after_each_error_but_413() {
    let app = TestApp::start(&[]);
    let mut connection = Connection::open(app.ingress);
    for (method, path, body, status) in [
        ("POST", "/nowhere", "{}", 404),
        ("PUT", "/webhook", "{}", 405),
        ("POST", "/webhook", "{", 400),
        ("POST", "/webhook", r#"{"signedData":"a"}"#, 403),
    ] {
        assert_eq!(
            connection
                .request(method, path, &[], body.as_bytes())
                .status,
            status
        );
    }
    let response = connection.request("POST", "/webhook", &[("content-encoding", "br")], b"{}");
    assert_eq!(response.status, 415);
    let request = genuine(&app, 1);
    assert_accepted(&connection.post(
        "/webhook",
        &[("x-icr-signature-256", &request.signature)],
        &request.body,
    ));
}

#[test]
fn pipelined_deliveries_are_answered_in_order() {
    let app = TestApp::start(&[]);
    let mut connection = Connection::open(app.ingress);
    let bytes: Vec<u8> = (0..10).flat_map(|number| whole(&app, number)).collect();
    connection.send(&bytes);
    let ids: Vec<String> = (0..10)
        .map(|_| assert_accepted(&connection.response()))
        .collect();
    assert!(ids.is_sorted(), "{ids:?}");
}

#[test]
fn a_delivery_of_which_a_part_came_with_the_one_before_does_not_end_the_connection() {
    let app = TestApp::start(&[]);
    let mut connection = Connection::open(app.ingress);
    let mut next = whole(&app, 0);
    for number in 1..=40 {
        let before = std::mem::replace(&mut next, whole(&app, number));
        // From nothing to all but the last byte, the head's end among it.
        let part = next.len() * number as usize / 41;
        connection.send(&[&before[..], &next[..part]].concat());
        let response = connection.response();
        assert_accepted(&response);
        assert_eq!(response.header("connection"), None, "{part} bytes");
        next.drain(..part);
    }
}

/// A genuine delivery as a client sends it.
fn whole(app: &TestApp, number: u64) -> Vec<u8> {
    let request = genuine(app, number);
    let headers = [("x-icr-signature-256", request.signature.as_str())];
    rendered("b", "POST", "/webhook", &headers, &request.body)
}

#[test]
fn a_body_that_does_not_come_is_408() {
    let app = TestApp::start(&[("BODY_TIMEOUT_SECONDS", "1")]);
    let mut connection = Connection::open(app.ingress);
    connection.send(b"POST /webhook HTTP/1.1\r\nhost: b\r\ncontent-length: 100\r\n\r\n{");
    let response = connection.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (408, Some("close"))
    );
    let metrics = app.metrics();
    assert_eq!(
        metrics.value("http_request_duration_seconds_count{code=\"408\"}"),
        1.0
    );
    assert_eq!(metrics.sum("deliveries_rejected_total"), 0.0);
}

#[test]
fn a_head_that_does_not_come_is_408() {
    let app = TestApp::start(&[("HEADER_TIMEOUT_SECONDS", "1")]);
    let mut connection = Connection::open(app.ingress);
    connection.send(b"POST /webhook HTTP/1.1\r\nhost:");
    assert_eq!(connection.response().status, 408);
}

#[test]
fn a_length_over_the_limit_is_413_though_the_body_never_comes() {
    let app = TestApp::start(&[("MAX_BODY_BYTES", "1KiB")]);
    let mut connection = Connection::open(app.ingress);
    connection.send(b"POST /webhook HTTP/1.1\r\nhost: b\r\ncontent-length: 100000\r\n\r\n{");
    assert_eq!(connection.response().status, 413);
    assert_eq!(app.metrics().sum("deliveries_rejected_total"), 1.0);
}

#[test]
fn an_unknown_path_is_answered_though_the_body_never_comes() {
    let app = TestApp::start(&[]);
    let mut connection = Connection::open(app.ingress);
    connection.send(b"POST /nowhere HTTP/1.1\r\nhost: b\r\ncontent-length: 100\r\n\r\n{");
    let response = connection.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (404, Some("close"))
    );
}

#[test]
fn a_later_head_that_does_not_come_ends_the_connection_as_well() {
    let app = TestApp::start(&[("HEADER_TIMEOUT_SECONDS", "1"), ("KEEP_ALIVE_SECONDS", "1")]);
    let mut connection = Connection::open(app.ingress);
    assert_eq!(connection.post("/nowhere", &[], b"{}").status, 404);
    connection.send(b"POST /web");
    assert!(connection.is_closed());
}

#[test]
fn a_request_in_chunks_is_the_last_of_its_connection() {
    let app = TestApp::start(&[]);
    let request = genuine(&app, 1);
    let mut connection = Connection::open(app.ingress);
    let head = format!(
        "POST /webhook HTTP/1.1\r\nhost: b\r\ntransfer-encoding: chunked\r\nx-icr-signature-256: {}\r\n\r\n{:x}\r\n",
        request.signature,
        request.body.len()
    );
    connection.send(&[head.as_bytes(), &request.body, b"\r\n0\r\n\r\n"].concat());
    let response = connection.response();
    assert_accepted(&response);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(connection.is_closed());
}

#[test]
fn a_delivery_that_wants_to_go_on_as_websocket_is_400() {
    let app = TestApp::start(&[]);
    let request = genuine(&app, 1);
    let headers = [
        ("x-icr-signature-256", request.signature.as_str()),
        ("connection", "upgrade"),
        ("upgrade", "WebSocket"),
    ];
    let mut connection = Connection::open(app.ingress);
    let response = connection.post("/webhook", &headers, &request.body);
    assert_eq!(
        (response.status, response.header("connection")),
        (400, Some("close"))
    );
    assert_eq!(app.metrics().sum("deliveries_accepted_total"), 0.0);
}

#[test]
fn when_all_places_are_taken_those_who_have_been_silent_the_longest_make_room() {
    let app = TestApp::start(&[("MAX_CONNECTIONS", "8"), ("WORKERS", "2")]);
    let mut idle: Vec<Connection> = (0..8)
        .map(|_| {
            let mut connection = Connection::open(app.ingress);
            assert_eq!(connection.post("/nowhere", &[], b"{}").status, 404);
            connection
        })
        .collect();
    // Nobody but the idle is in the way of these.
    let kept: Vec<Connection> = (0..4)
        .map(|number| {
            let mut connection = Connection::open(app.ingress);
            let request = genuine(&app, number);
            let signature = [("x-icr-signature-256", request.signature.as_str())];
            assert_accepted(&connection.post("/webhook", &signature, &request.body));
            connection
        })
        .collect();
    let mut closed = idle.iter_mut().map(|connection| !connection.is_alive());
    assert!(closed.next().unwrap(), "the first that fell silent is gone");
    drop(kept);
}
