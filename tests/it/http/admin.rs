//! The admin listener.

use super::genuine;
use crate::support::app::{NO_KAFKA, SECRET, TestApp};
use crate::support::eventually::eventually;
use crate::support::http::{Connection, Response, get, post};
use crate::support::process::Serving;
use icr_bridge::metrics::definitions::{DEFINITIONS, NAMESPACE};

#[test]
fn a_bridge_without_kafka_is_alive_and_ready_and_answers_202() {
    let app = TestApp::start(&[]);
    assert_eq!(get(app.admin, "/healthz").status, 200);
    assert_eq!(get(app.admin, "/readyz").status, 200);
    super::assert_accepted(&app.deliver(&genuine(&app, 1)));
    assert_eq!(get(app.admin, "/elsewhere").status, 404);
}

#[test]
fn metrics_are_only_what_the_table_defines() {
    let app = TestApp::start(&[]);
    app.deliver(&genuine(&app, 1));
    let text = app.metrics().text;
    for line in text.lines().filter(|line| line.starts_with("# HELP ")) {
        let name = line.split(' ').nth(2).unwrap();
        let known = name
            .strip_prefix(&format!("{NAMESPACE}_"))
            .is_some_and(|name| DEFINITIONS.iter().any(|known| known.name == name));
        assert!(
            known || name.starts_with("process_"),
            "{name} stands in no table"
        );
    }
}

#[test]
fn every_defined_metric_without_labels_is_there_from_the_start() {
    let text = TestApp::start(&[]).metrics().text;
    let absent_while_unset = [
        "journal_oldest_pending_timestamp_seconds",
        "last_published_timestamp_seconds",
        "tls_certificate_expiry_timestamp_seconds",
    ];
    for metric in DEFINITIONS {
        let listed = text.contains(&format!(
            "# TYPE {NAMESPACE}_{} {}\n",
            metric.name, metric.kind
        ));
        let may_be_absent = absent_while_unset.contains(&metric.name)
            || metric.name == "last_accepted_timestamp_seconds";
        assert!(
            listed || may_be_absent,
            "{} is defined and not shown",
            metric.name
        );
    }
}

#[test]
fn probes_may_use_head() {
    let app = TestApp::start(&[]);
    for path in ["/healthz", "/readyz", "/metrics"] {
        let mut connection = Connection::open(app.admin);
        connection.send(format!("HEAD {path} HTTP/1.0\r\n\r\n").as_bytes());
        assert_eq!(connection.status(), 200, "{path}");
    }
}

#[test]
fn the_webhook_is_not_on_the_admin_listener() {
    let app = TestApp::start(&[]);
    let request = genuine(&app, 1);
    let response = post(
        app.admin,
        "/webhook",
        &[("x-icr-signature-256", &request.signature)],
        &request.body,
    );
    assert_eq!(response.status, 404);
}

/// What is neither a metric nor a probe. Whether it exists makes no difference to who is served.
const GUARDED: [&str; 2] = ["/schema/", "/elsewhere"];

fn ask(app: &TestApp, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    Connection::open(app.admin).request(method, path, headers, b"")
}

#[test]
fn without_a_token_this_machine_is_served_and_a_foreign_host_or_origin_refused() {
    let app = TestApp::start(&[]);
    for path in GUARDED {
        for headers in [
            [("host", "evil.example")],
            [("host", "localhost.evil.example:4041")],
            [("host", "192.0.2.1")],
        ] {
            let response = ask(&app, "GET", path, &headers);
            assert_eq!(response.status, 403, "{path} {headers:?}");
            assert_eq!(response.reason(), "blank");
        }
        assert_ne!(ask(&app, "GET", path, &[("host", "localhost")]).status, 403);
        let foreign = [("origin", "https://evil.example")];
        assert_eq!(ask(&app, "POST", path, &foreign).status, 403, "{path}");
        assert_ne!(ask(&app, "GET", path, &foreign).status, 403, "{path}");
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        let headers = [("host", "evil.example"), ("origin", "https://evil.example")];
        assert_eq!(ask(&app, "GET", path, &headers).status, 200, "{path}");
    }
}

#[test]
fn the_host_in_an_absolute_target_counts_and_a_missing_one_is_refused() {
    let app = TestApp::start(&[]);
    for (request, status) in [
        (
            "GET http://evil.example/schema/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
            403,
        ),
        (
            "GET http://localhost/elsewhere HTTP/1.1\r\nhost: localhost\r\n\r\n",
            404,
        ),
        ("GET /schema/ HTTP/1.0\r\n\r\n", 403),
        (
            "GET /schema/ HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
            400,
        ),
    ] {
        let mut connection = Connection::open(app.admin);
        connection.send(request.as_bytes());
        assert_eq!(connection.status(), status, "{request}");
    }
}

#[test]
fn with_a_token_all_but_metrics_and_probes_asks_for_it() {
    let app = TestApp::start(&[("ADMIN_TOKEN", "t0ken"), ("ADMIN_HOSTS", "bridge.example")]);
    for path in GUARDED {
        let response = ask(&app, "GET", path, &[]);
        assert_eq!(response.status, 401, "{path}");
        assert_eq!(
            response.header("www-authenticate"),
            Some("Bearer realm=\"icr-bridge admin\"")
        );
        let wrong = ask(&app, "GET", path, &[("authorization", "Bearer t0ke")]);
        assert_eq!(wrong.status, 401, "{path}");
        assert!(
            wrong
                .header("www-authenticate")
                .unwrap()
                .ends_with("error=\"invalid_token\"")
        );
    }
    let right = ("authorization", "Bearer t0ken");
    assert_eq!(ask(&app, "GET", "/elsewhere", &[right]).status, 404);
    for (host, status) in [
        ("bridge.example", 404),
        ("192.0.2.1", 404),
        ("evil.example", 403),
    ] {
        let response = ask(&app, "GET", "/elsewhere", &[right, ("host", host)]);
        assert_eq!(response.status, status, "{host}");
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(get(app.admin, path).status, 200, "{path}");
    }
}

#[test]
fn a_token_file_is_read_again_on_sighup_and_a_bad_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::write(&tokens, "first\n").unwrap();
    let bridge = Serving::start(
        &dir.path().join("journal"),
        &[
            ("KAFKA_BROKERS", NO_KAFKA),
            ("ADMIN_TOKEN_FILE", tokens.to_str().unwrap()),
            ("WEBHOOK_SECRET", SECRET),
        ],
    );
    let status = |token: &str| {
        let header = format!("Bearer {token}");
        let headers = [("authorization", header.as_str())];
        Connection::open(bridge.admin)
            .request("GET", "/elsewhere", &headers, b"")
            .status
    };
    assert_eq!((status("first"), status("second")), (404, 401));
    std::fs::write(&tokens, "second\nfirst\n").unwrap();
    bridge.signal(libc::SIGHUP);
    eventually("the second token is in force", || {
        (status("second") == 404).then_some(())
    });
    assert_eq!(status("first"), 404);
    std::fs::write(&tokens, "\n").unwrap();
    bridge.signal(libc::SIGHUP);
    eventually("the failure is counted", || {
        (bridge.metrics().value("secret_reload_failures_total") == 1.0).then_some(())
    });
    assert_eq!((status("first"), status("second")), (404, 404));
}

#[test]
fn clients_that_say_nothing_or_read_nothing_keep_nobody_from_the_admin_listener() {
    let app = TestApp::start(&[]);
    // More than it has places for.
    let silent: Vec<Connection> = (0..100)
        .map(|number| {
            let mut connection = Connection::open(app.admin);
            match number % 3 {
                0 => {}
                1 => connection.send(b"GET /met"),
                _ => connection.send(&b"GET /metrics HTTP/1.1\r\nhost: b\r\n\r\n".repeat(200)),
            }
            connection
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(get(app.admin, "/readyz").status, 200);
    }
    drop(silent);
}

#[test]
fn a_connection_to_the_admin_listener_that_says_nothing_is_closed() {
    let app = TestApp::start(&[]);
    let mut connection = Connection::open(app.admin);
    assert_eq!(connection.response().status, 408);
    assert!(connection.is_closed());
    let mut kept = Connection::open(app.admin);
    assert_eq!(kept.request("GET", "/healthz", &[], b"").status, 200);
    assert!(kept.is_closed());
}
