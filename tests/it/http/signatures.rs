//! The signature header.

use super::{assert_accepted, assert_rejected, genuine};
use crate::support::app::TestApp;
use crate::support::http;

const NAME: &str = "x-icr-signature-256";

#[test]
fn a_signature_is_accepted_with_and_without_prefix_and_in_either_case_of_hex() {
    let app = TestApp::start(&[]);
    let forms: [fn(&str) -> String; 4] = [
        |hex| format!("sha256={hex}"),
        |hex| hex.to_owned(),
        |hex| format!("sha256={}", hex.to_uppercase()),
        |hex| hex.to_uppercase(),
    ];
    for (number, form) in (1..).zip(forms) {
        let request = genuine(&app, number);
        let value = form(request.signature.strip_prefix("sha256=").unwrap());
        assert_accepted(&http::post(
            app.ingress,
            "/webhook",
            &[(NAME, &value)],
            &request.body,
        ));
    }
}

#[test]
fn the_header_s_name_is_read_in_any_case() {
    let app = TestApp::start(&[]);
    let request = genuine(&app, 1);
    assert_accepted(&http::post(
        app.ingress,
        "/webhook",
        &[("X-ICR-Signature-256", &request.signature)],
        &request.body,
    ));
}

#[test]
fn a_missing_signature_is_403() {
    let app = TestApp::start(&[]);
    let response = http::post(app.ingress, "/webhook", &[], &genuine(&app, 1).body);
    assert_rejected(&app, &response, 403, "signature_missing");
}

#[test]
fn an_empty_signature_is_403_missing() {
    let app = TestApp::start(&[]);
    let response = http::post(
        app.ingress,
        "/webhook",
        &[(NAME, "")],
        &genuine(&app, 1).body,
    );
    assert_rejected(&app, &response, 403, "signature_missing");
}

#[test]
fn malformed_signatures_are_403() {
    for value in [
        "sha256=",
        "sha1=25ee9a46d3b11d0a20c1ef292206ace11fae2809",
        "sha256=xyz",
        "sha256=sha256=00",
        "sha256= 7889756fd821e4c49f9a617f6094e7cc7c0d1c07a189aafbd2697dc444d56a47",
        "7889756fd821e4c49f9a617f6094e7cc7c0d1c07a189aafbd2697dc444d56a4",
        "7889756fd821e4c49f9a617f6094e7cc7c0d1c07a189aafbd2697dc444d56a4700",
        "7889756fd821e4c49f9a617f6094e7cc7c0d1c07a189aafbd2697dc444d56a4g",
    ] {
        let app = TestApp::start(&[]);
        let response = http::post(
            app.ingress,
            "/webhook",
            &[(NAME, value)],
            &genuine(&app, 1).body,
        );
        assert_rejected(&app, &response, 403, "signature_malformed");
    }
}

#[test]
fn a_repeated_header_is_403_even_if_both_are_right() {
    let app = TestApp::start(&[]);
    let request = genuine(&app, 1);
    let headers = [
        (NAME, request.signature.as_str()),
        (NAME, request.signature.as_str()),
    ];
    let response = http::post(app.ingress, "/webhook", &headers, &request.body);
    assert_rejected(&app, &response, 403, "signature_malformed");
}

#[test]
fn a_wrong_signature_is_403_and_the_text_tells_nothing_else() {
    let app = TestApp::start(&[]);
    let response = app.deliver(
        &app.simulator()
            .forged(icr_bridge::domain::event::EventKind::Installed, 1),
    );
    assert_rejected(&app, &response, 403, "signature_wrong");
    assert_eq!(response.json()["detail"], "The signature does not match.");
}

#[test]
fn the_body_is_judged_before_the_signature() {
    let app = TestApp::start(&[]);
    let response = http::post(app.ingress, "/webhook", &[], b"not json");
    assert_rejected(&app, &response, 400, "body_not_json");
}

#[test]
fn an_earlier_secret_of_the_file_is_accepted_and_its_position_counted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secrets");
    std::fs::write(
        &file,
        format!("the new one\r\n\n{}\n", crate::support::app::SECRET),
    )
    .unwrap();
    let app = TestApp::start(&[("WEBHOOK_SECRET_FILE", file.to_str().unwrap())]);
    assert_accepted(&app.deliver(&genuine(&app, 1)));
    assert_eq!(
        app.metrics()
            .value("secret_matched_total{app=\"default\",position=\"1\"}"),
        1.0
    );
    assert_eq!(
        app.metrics()
            .value("secret_matched_total{app=\"default\",position=\"0\"}"),
        0.0
    );
}
