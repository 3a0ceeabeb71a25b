use super::*;
use base64::{Engine as _, prelude::BASE64_STANDARD};

const SIGNED: &str = r#"{"event":"organizationTransaction","installation":{"id":"i","organization":{"id":"o"}},
    "transaction":{"id":"t","status":"processed","type":"retire","amount":1.5,"creditId":"c"},"sender":{"id":"s"}}"#;

fn look(outer: &str, payload: &str) -> Glance {
    let body = body(outer, &BASE64_STANDARD.encode(payload));
    glance(&Envelope::parse(body.as_bytes()).unwrap())
}

/// The members of `outer`, with `signedData` among them.
fn body(outer: &str, signed_data: &str) -> String {
    let members = outer.trim_start_matches('{');
    let comma = if members == "}" { "" } else { "," };
    format!(r#"{{"signedData":"{signed_data}"{comma}{members}"#)
}

fn named_outside(outer: &str) -> Named {
    let body = body(outer, "");
    Named::outside(&Envelope::parse(body.as_bytes()).unwrap().outer())
}

#[test]
fn kind_and_installation_are_seen() {
    let seen = look("{}", SIGNED);
    assert_eq!(seen.kind, Some(EventKind::OrganizationTransaction));
    assert_eq!(seen.installation, Some(Tag::id_hash("i")));
    assert!(!seen.outer_mismatch);
    assert_eq!(
        look("{}", r#"{"installation":{"app\u0049d":"a\u0062c"}}"#).app_id,
        Some(Tag::id_hash("abc"))
    );
    assert_eq!(
        look("{}", r#"{"event":"inst\u0061lled"}"#).kind,
        Some(EventKind::Installed)
    );
    assert_eq!(
        look("{}", r#"{"\u0065vent":"installed"}"#).kind,
        Some(EventKind::Installed)
    );
    assert_eq!(
        look("{}", r#"{"event":"brandNew"}"#).kind,
        Some(EventKind::Other)
    );
}

#[test]
fn names_are_read_also_where_nothing_can_be_normalized() {
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        names(&BASE64_STANDARD.encode(SIGNED)),
        Names {
            event: text("organizationTransaction"),
            installation: text("i"),
            organization: text("o"),
            transaction: text("t"),
        }
    );
    let odd = names(&BASE64_STANDARD.encode(r#"{"event":"a b","installation":7}"#));
    assert_eq!(odd.event, text("a b"));
    assert_eq!(odd.installation, None);
    assert_eq!(names("not base64!"), Names::default());
}

#[test]
fn what_cannot_be_seen_is_left_out() {
    for payload in [
        "",
        "[]",
        "null",
        r#"{"event":1}"#,
        r#"{"event":"a b"}"#,
        r#"{"event":""}"#,
        "\u{feff}{\"event\":\"installed\"}",
    ] {
        assert_eq!(look("{}", payload), Glance::default(), "{payload}");
    }
    for payload in [
        r#"{"installation":{"id":""}}"#,
        r#"{"installation":{"id":[7]}}"#,
        r#"{"installation":[]}"#,
    ] {
        assert_eq!(look("{}", payload).installation, None, "{payload}");
    }
    let body = body("{}", "not base64!");
    let envelope = Envelope::parse(body.as_bytes()).unwrap();
    assert_eq!(glance(&envelope), Glance::default());
}

#[test]
fn equal_and_absent_outer_fields_are_no_mismatch() {
    for outer in [
        "{}",
        SIGNED,
        r#"{"event":"organization\u0054ransaction","state":"x","installation":{"organization":{"id":"o","name":"other"}}}"#,
        r#"{"transaction":{"amount":1.5},"sender":{"email":"other"}}"#,
    ] {
        assert!(!look(outer, SIGNED).outer_mismatch, "{outer}");
    }
    for outer in [
        r#"{"transaction":null,"sender":null}"#,
        r#"{"installation":{"id":null,"organization":null}}"#,
    ] {
        assert!(
            !look(outer, r#"{"event":"installed"}"#).outer_mismatch,
            "{outer}"
        );
    }
    assert!(!look(r#"{"sender":7}"#, r#"{"sender":7}"#).outer_mismatch);
}

#[test]
fn every_compared_field_that_differs_is_a_mismatch() {
    for outer in [
        r#"{"event":"warehouseTransaction"}"#,
        r#"{"event":null}"#,
        r#"{"event":{"a":1}}"#,
        r#"{"installation":{"id":"x"}}"#,
        r#"{"installation":"i"}"#,
        r#"{"installation":null}"#,
        r#"{"installation":{"organization":{"id":"x"}}}"#,
        r#"{"installation":{"organization":[]}}"#,
        r#"{"transaction":{"id":"x"}}"#,
        r#"{"transaction":{"status":"failed"}}"#,
        r#"{"transaction":{"type":"transfer"}}"#,
        r#"{"transaction":{"amount":1.50}}"#,
        r#"{"transaction":{"amount":"1.5"}}"#,
        r#"{"transaction":{"creditId":"x"}}"#,
        r#"{"transaction":null}"#,
        r#"{"sender":{"id":"x"}}"#,
        r#"{"sender":42}"#,
    ] {
        assert!(look(outer, SIGNED).outer_mismatch, "{outer}");
    }
    let outer = r#"{"installation":{"organization":{"id":"o"}}}"#;
    assert!(look(outer, r#"{"event":"installed","installation":{"id":"i"}}"#).outer_mismatch);
}

#[test]
fn what_is_named_is_the_same_inside_outside_and_in_a_glance() {
    let payload =
        r#"{"event":"x","installation":{"organization":{"id":"o"},"id":"i","appId":"a"}}"#;
    let named = Named {
        app_id: Some(Tag::id_hash("a")),
        installation: Some(Tag::id_hash("i")),
    };
    assert_eq!(named_outside(payload), named);
    assert_eq!(Named::inside(&BASE64_STANDARD.encode(payload)), named);
    assert_eq!(Named::from(&look("{}", payload)), named);
}

#[test]
fn what_is_no_id_names_nothing() {
    for text in [
        "{}",
        r#"{"appId":"a","id":"i"}"#,
        r#"{"installation":"a"}"#,
        r#"{"installation":{"appId":"","id":[7]}}"#,
        r#"{"installation":{"appId":null,"id":{"id":"i"}}}"#,
        r#"{"nested":{"installation":{"appId":"a","id":"i"}}}"#,
    ] {
        assert_eq!(named_outside(text), Named::default(), "{text}");
        let inside = Named::inside(&BASE64_STANDARD.encode(text));
        assert_eq!(inside, Named::default(), "{text}");
    }
    for text in ["", "[]", "{\"installation\":\u{0}}"] {
        let inside = Named::inside(&BASE64_STANDARD.encode(text));
        assert_eq!(inside, Named::default(), "{text}");
    }
    assert_eq!(Named::inside("not base64!"), Named::default());
}
