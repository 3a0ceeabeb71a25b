use super::*;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpResponse, middleware, web};
use std::net::SocketAddr;

const LOCAL: &str = "127.0.0.1:55555";
const REMOTE: &str = "192.0.2.7:55555";

fn guard_with(token: Option<&str>, hosts: &[&str]) -> Guard {
    Guard::new(&AdminAccess {
        tokens: token.map(|token| SecretSet::from_file(token.as_bytes()).unwrap()),
        file: None,
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
    })
}

/// A GET from `peer`, to `host`, with that token.
fn get(guard: &Guard, peer: &str, host: &str, token: Option<&str>) -> Result<(), Denial> {
    let header = token.map(|token| format!("Bearer {token}"));
    guard.check(Asked {
        method: &Method::GET,
        host: Some(host),
        origin: None,
        authorization: header.as_deref().map(Some),
        peer: peer.parse::<SocketAddr>().ok().map(|peer| peer.ip()),
    })
}

#[test]
fn without_a_token_this_machine_is_served_and_no_other() {
    let guard = guard_with(None, &[]);
    for peer in [LOCAL, "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert_eq!(get(&guard, peer, "localhost:4041", None), Ok(()), "{peer}");
    }
    for peer in [REMOTE, "[2001:db8::1]:1", "[::ffff:192.0.2.7]:1", "unknown"] {
        assert_eq!(
            get(&guard, peer, "localhost:4041", None),
            Err(Denial::Remote),
            "{peer}"
        );
        assert_eq!(
            get(&guard, peer, "localhost:4041", Some("guess")),
            Err(Denial::Remote),
            "{peer}"
        );
    }
}

#[test]
fn with_a_token_everybody_must_show_it() {
    let guard = guard_with(Some("t0ken\nearlier"), &[]);
    for peer in [LOCAL, REMOTE] {
        for (token, expected) in [
            (Some("t0ken"), Ok(())),
            (Some("earlier"), Ok(())),
            (Some(" t0ken"), Ok(())),
            (None, Err(Denial::TokenMissing)),
            (Some(""), Err(Denial::TokenWrong)),
            (Some("t0ke"), Err(Denial::TokenWrong)),
            (Some("t0ken2"), Err(Denial::TokenWrong)),
            (Some("t0ken earlier"), Err(Denial::TokenWrong)),
        ] {
            assert_eq!(
                get(&guard, peer, "127.0.0.1:4041", token),
                expected,
                "{token:?}"
            );
        }
    }
    guard.replace_tokens(SecretSet::from_file(b"next").unwrap());
    assert_eq!(get(&guard, LOCAL, "localhost", Some("next")), Ok(()));
    assert_eq!(
        get(&guard, LOCAL, "localhost", Some("t0ken")),
        Err(Denial::TokenWrong)
    );
}

#[test]
fn only_the_bearer_scheme_carries_a_token() {
    for (header, token) in [
        ("Bearer x", Some("x")),
        ("bearer   x", Some("x")),
        ("Basic x", None),
        ("Bearerx", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(bearer(header), token, "{header:?}");
    }
}

#[test]
fn a_foreign_host_is_refused_whoever_asks() {
    let named = ["bridge.example"];
    for (host, without_token, with_token) in [
        ("localhost", true, true),
        ("LocalHost.:14041", true, true),
        ("127.0.0.1", true, true),
        ("127.9.9.9:80", true, true),
        ("[::1]:4041", true, true),
        ("[::1]", true, true),
        ("Bridge.example:4041", true, true),
        ("192.0.2.1:4041", false, true),
        ("[2001:db8::1]", false, true),
        ("evil.example", false, false),
        ("localhost.evil.example", false, false),
        ("evil.example:4041", false, false),
        ("127.0.0.1.evil.example", false, false),
        ("bridge.example.evil.example", false, false),
        ("x.bridge.example", false, false),
        ("", false, false),
        (":4041", false, false),
    ] {
        let open = guard_with(None, &named);
        let closed = guard_with(Some("t"), &named);
        assert_eq!(
            get(&open, LOCAL, host, None).is_ok(),
            without_token,
            "{host}"
        );
        assert_eq!(
            get(&closed, REMOTE, host, Some("t")).is_ok(),
            with_token,
            "{host}"
        );
    }
}

#[test]
fn a_foreign_origin_may_get_and_nothing_else() {
    let guard = guard_with(None, &["bridge.example"]);
    let ask = |method: &Method, host: &str, origin| {
        guard.check(Asked {
            method,
            host: Some(host),
            origin,
            authorization: None,
            peer: Some(IpAddr::from([127, 0, 0, 1])),
        })
    };
    for (host, origin, ours) in [
        ("localhost:4041", "http://localhost:4041", true),
        ("LOCALHOST:4041", "http://localhost:4041", true),
        ("bridge.example", "https://bridge.example", true),
        ("bridge.example:443", "https://bridge.example", true),
        ("bridge.example", "http://bridge.example:80", true),
        ("localhost:4041", "http://localhost:3000", false),
        ("localhost:4041", "http://127.0.0.1:4041", false),
        (
            "localhost:4041",
            "http://localhost:4041.evil.example",
            false,
        ),
        ("localhost:4041", "https://evil.example", false),
        ("localhost:4041", "file://localhost:4041", false),
        ("localhost:4041", "null", false),
        ("localhost:4041", "", false),
    ] {
        let origin = Some(Some(origin));
        assert_eq!(ask(&Method::GET, host, origin), Ok(()), "{origin:?}");
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let expected = if ours { Ok(()) } else { Err(Denial::Origin) };
            assert_eq!(ask(&method, host, origin), expected, "{method} {origin:?}");
        }
    }
    // Repeated, or no text.
    assert_eq!(
        ask(&Method::POST, "localhost", Some(None)),
        Err(Denial::Origin)
    );
    // Programs that are no browser send none.
    assert_eq!(ask(&Method::POST, "localhost", None), Ok(()));
}

#[test]
fn a_request_without_one_host_is_refused() {
    let asked = Asked {
        method: &Method::GET,
        host: None,
        origin: None,
        authorization: None,
        peer: Some(IpAddr::from([127, 0, 0, 1])),
    };
    assert_eq!(guard_with(None, &[]).check(asked), Err(Denial::Host));
}

#[test]
fn the_listener_goes_by_the_address_of_the_other_side() {
    actix_web::rt::System::new().block_on(asked_from_here_and_elsewhere());
}

async fn asked_from_here_and_elsewhere() {
    let service = init_service(
        App::new()
            .app_data(Data::new(guard_with(None, &[])))
            .wrap(middleware::from_fn(guard))
            .default_service(web::to(HttpResponse::Ok)),
    )
    .await;
    for (peer, path, status) in [
        (LOCAL, "/schema/", 200),
        (REMOTE, "/schema/", 403),
        (REMOTE, "/nowhere", 403),
        (REMOTE, "/metrics/", 403),
        (REMOTE, "/metrics", 200),
        (REMOTE, "/healthz", 200),
        (REMOTE, "/readyz", 200),
    ] {
        let request = TestRequest::get()
            .uri(path)
            .insert_header(("host", "localhost"))
            // Whoever is behind a proxy of ours is still not this machine, and may claim anything.
            .insert_header(("x-forwarded-for", "127.0.0.1"))
            .insert_header(("forwarded", "for=127.0.0.1;host=localhost"))
            .peer_addr(peer.parse().unwrap())
            .to_request();
        let response = call_service(&service, request).await;
        assert_eq!(response.status().as_u16(), status, "{peer} {path}");
    }
}
