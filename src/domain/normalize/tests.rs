use super::*;
use base64::{Engine as _, prelude::BASE64_STANDARD};

fn understand(payload: &str) -> Result<Event, QuarantineReason> {
    normalize(&BASE64_STANDARD.encode(payload), Redaction::default())
}

fn value(payload: &str) -> String {
    String::from_utf8(understand(payload).unwrap().value).unwrap()
}

fn without_sender(payload: &str) -> String {
    let redaction = Redaction { drop_sender: true };
    let event = normalize(&BASE64_STANDARD.encode(payload), redaction).unwrap();
    String::from_utf8(event.value).unwrap()
}

fn reason(payload: &str) -> QuarantineReason {
    understand(payload).unwrap_err()
}

/// A payload of a known transaction event with this transaction.
fn with_transaction(transaction: &str) -> String {
    format!(
        r#"{{"event":"warehouseTransaction","installation":{{"id":"i","organization":{{"id":"o"}}}},"transaction":{transaction}}}"#
    )
}

fn amount(token: &str) -> Result<String, QuarantineReason> {
    let event = understand(&with_transaction(&format!(
        r#"{{"id":"t","amount":{token}}}"#
    )))?;
    let value = String::from_utf8(event.value).unwrap();
    let (_, rest) = value.split_once(r#""amount":"#).unwrap();
    let (amount, _) = rest.split_once(r#","creditId""#).unwrap();
    Ok(amount.to_owned())
}

#[test]
fn known_fields_come_in_the_contracts_order_and_unknown_ones_after_them() {
    let payload = r#" { "z" : [ 1.50 , { "y" : "\ud800" } ],
        "sender":{"x":1,"profilePicture":null,"email":"e","fullName":"f","id":"s"},
        "transaction":{"updatedAt":"2024-09-02T08:16:41.007Z","createdAt":"2024-09-02T08:15:00Z","creditId":"cr","amount":1e-7,"type":"retire","status":"new","id":"t","w":{}},
        "installation":{"v":true,"accessTokensUrl":"a","permissions":{"b":"VIEW","a":"X"},"updatedAt":"2022-03-14T11:01:55+01:00","createdAt":"2022-03-14T11:01:55.941\u005a",
            "appNameId":"n","organization":{"url":"ou","zip":"","name":"on","id":"o"},"appId":"1","id":"i"},
        "state":"","event":"organizationTransaction" } "#;
    assert_eq!(
        value(payload),
        concat!(
            r#"{"event":"organizationTransaction","state":"","#,
            r#""organization":{"id":"o","name":"on","url":"ou","zip":""},"#,
            r#""installation":{"id":"i","appId":"1","appNameId":"n","createdAt":"2022-03-14T11:01:55.941\u005a","updatedAt":"2022-03-14T11:01:55+01:00","#,
            r#""permissions":{"b":"VIEW","a":"X"},"accessTokensUrl":"a","v":true},"#,
            r#""transaction":{"id":"t","status":"new","type":"retire","amount":"0.0000001","creditId":"cr","createdAt":"2024-09-02T08:15:00Z","updatedAt":"2024-09-02T08:16:41.007Z","w":{}},"#,
            r#""sender":{"id":"s","fullName":"f","email":"e","profilePicture":null,"x":1},"#,
            r#""z":[1.50,{"y":"\ud800"}]}"#
        )
    );
}

#[test]
fn an_event_is_named_by_its_decoded_name_and_keyed_by_its_organization() {
    let event = understand(r#"{"event":"inst\u0061lled","installation":{"id":"i","organization":{"id":"\u00e9\ud800"}}}"#).unwrap();
    assert_eq!(event.name, "installed");
    assert_eq!(event.kind, EventKind::Installed);
    assert_eq!(event.organization.as_deref(), Some("é\u{fffd}"));
    let text = String::from_utf8(event.value).unwrap();
    assert!(text.starts_with(r#"{"event":"inst\u0061lled","state":null,"organization":{"id":"\u00e9\ud800","name":null,"url":null}"#));
}

#[test]
fn the_organizations_name_is_name_then_full_name_then_null() {
    let named = |organization: &str| {
        let text = value(&format!(
            r#"{{"event":"x","installation":{{"organization":{{"id":"o"{organization}}}}}}}"#
        ));
        let (_, rest) = text.split_once(r#""name":"#).unwrap();
        rest.split_once(r#","url""#).unwrap().0.to_owned()
    };
    assert_eq!(named(r#","fullName":"f","name":"n""#), r#""n""#);
    assert_eq!(named(r#","fullName":"f","name":"""#), r#""""#);
    assert_eq!(named(r#","fullName":"f","name":null"#), r#""f""#);
    assert_eq!(named(r#","fullName":"f""#), r#""f""#);
    assert_eq!(named(r#","fullName":null"#), "null");
    assert_eq!(named(""), "null");
    let text = value(r#"{"event":"x","installation":{"organization":{"id":"o","fullName":"f"}}}"#);
    assert!(
        text.contains(r#"{"id":"o","name":"f","url":null,"fullName":"f"}"#),
        "{text}"
    );
}

#[test]
fn an_unknown_event_needs_nothing_but_its_name() {
    let event = understand(r#"{"event":"brand.New-1"}"#).unwrap();
    assert_eq!((event.kind, event.organization), (EventKind::Other, None));
    assert_eq!(
        event.value,
        br#"{"event":"brand.New-1","state":null,"organization":null,"installation":null,"transaction":null,"sender":null}"#
    );
}

#[test]
fn a_field_whose_name_is_occupied_moves_behind_an_underscore() {
    let text = value(
        r#"{"event":"x","organization":{"a":1},"installation":[1],"sender":"me","_sender":7,"__sender":8}"#,
    );
    assert_eq!(
        text,
        concat!(
            r#"{"event":"x","state":null,"organization":null,"installation":null,"transaction":null,"sender":null,"#,
            r#""_organization":{"a":1},"_installation":[1],"___sender":"me","_sender":7,"__sender":8}"#
        )
    );
    let text = value(
        r#"{"event":"x","organization":null,"_organiz\u0061tion":1,"installation":null,"sender":null}"#,
    );
    assert!(
        text.ends_with(r#""sender":null,"__organization":null,"_organiz\u0061tion":1}"#),
        "{text}"
    );
}

#[test]
fn an_unknown_events_odd_organization_stays_in_the_installation() {
    let text = value(r#"{"event":"x","installation":{"a":1,"organization":"o","b":2}}"#);
    assert!(
        text.contains(r#""organization":null,"installation":{"id":null,"#),
        "{text}"
    );
    assert!(
        text.contains(r#""accessTokensUrl":null,"a":1,"organization":"o","b":2}"#),
        "{text}"
    );
    let text = value(r#"{"event":"x","installation":{"organization":null}}"#);
    assert!(text.contains(r#""accessTokensUrl":null}"#), "{text}");
    let event = understand(r#"{"event":"x","installation":{"organization":{"id":[7]}}}"#).unwrap();
    assert_eq!(event.organization, None);
    assert!(
        String::from_utf8(event.value)
            .unwrap()
            .contains(r#""organization":{"id":null,"name":null,"url":null,"_id":[7]}"#)
    );
}

#[test]
fn a_dropped_sender_leaves_no_trace() {
    for sender in [
        r#""sender":{"id":"s","email":"e","fullName":["Jane"]}"#,
        r#""sender":"Jane""#,
        r#""sender":["Jane"],"_sender":{"email":"e"},"__sender":7,"_s\u0065nder_":1"#,
        r#""_sender":"Jane","s\u0065nder":true"#,
    ] {
        let text = without_sender(&format!(r#"{{"event":"x",{sender},"a":1}}"#));
        let text = text.replace(r#""_s\u0065nder_":1,"#, "");
        assert!(text.ends_with(r#""sender":null,"a":1}"#), "{text}");
    }
}

/// What stands in the value under `name` and after it, of an unknown event with this installation.
fn of_installation(installation: &str) -> String {
    let text = value(&format!(r#"{{"event":"x","installation":{installation}}}"#));
    let (_, rest) = text.split_once(r#""installation":"#).unwrap();
    let (installation, _) = rest.split_once(r#","transaction":null"#).unwrap();
    installation.to_owned()
}

#[test]
fn a_number_or_a_boolean_where_a_text_belongs_becomes_its_text_exactly() {
    for (token, text) in [
        ("7", r#""7""#),
        ("1.50", r#""1.50""#),
        ("1e3", r#""1e3""#),
        ("-0.0", r#""-0.0""#),
        ("1E400000000", r#""1E400000000""#),
        ("12345678901234567890123", r#""12345678901234567890123""#),
        ("true", r#""true""#),
        ("false", r#""false""#),
        (r#""\u0037""#, r#""\u0037""#),
        (r#""""#, r#""""#),
        ("null", "null"),
    ] {
        let payload = format!(
            r#"{{"event":"x","state":{token},"installation":{{"id":{token},"appId":{token},"appNameId":{token},"accessTokensUrl":{token},
                "organization":{{"id":{token},"name":{token},"url":{token}}}}},
                "sender":{{"id":{token},"fullName":{token},"email":{token},"profilePicture":{token}}}}}"#
        );
        assert_eq!(
            value(&payload),
            format!(
                concat!(
                    r#"{{"event":"x","state":{0},"organization":{{"id":{0},"name":{0},"url":{0}}},"#,
                    r#""installation":{{"id":{0},"appId":{0},"appNameId":{0},"createdAt":null,"updatedAt":null,"permissions":null,"accessTokensUrl":{0}}},"#,
                    r#""transaction":null,"sender":{{"id":{0},"fullName":{0},"email":{0},"profilePicture":{0}}}}}"#
                ),
                text
            )
        );
    }
    let text = value(&with_transaction(
        r#"{"id":7,"status":false,"type":1.50,"creditId":-1}"#,
    ));
    assert!(
        text.contains(
            r#""transaction":{"id":"7","status":"false","type":"1.50","amount":null,"creditId":"-1","#
        ),
        "{text}"
    );
}

#[test]
fn what_does_not_fit_stands_unchanged_under_an_underscore_at_its_place() {
    assert_eq!(
        value(
            r#"{"event":"x","a":1,"state":{ "b" : [ ] },"c":2,"sender":{"email":["e"],"x":3,"id":{}}}"#
        ),
        concat!(
            r#"{"event":"x","state":null,"organization":null,"installation":null,"transaction":null,"#,
            r#""sender":{"id":null,"fullName":null,"email":null,"profilePicture":null,"_email":["e"],"x":3,"_id":{}},"#,
            r#""a":1,"_state":{"b":[]},"c":2}"#
        )
    );
    let text = value(&with_transaction(
        r#"{"id":"t","status":{},"type":[1],"creditId":{"a":"b"},"amount":1}"#,
    ));
    assert!(
        text.contains(concat!(
            r#""transaction":{"id":"t","status":null,"type":null,"amount":"1","creditId":null,"createdAt":null,"updatedAt":null,"#,
            r#""_status":{},"_type":[1],"_creditId":{"a":"b"}}"#
        )),
        "{text}"
    );
}

#[test]
fn an_underscored_name_that_is_taken_gets_one_more() {
    let text = of_installation(
        r#"{"_id":1,"id":[2],"__appId":3,"appId":[4],"_createdAt":5,"__cre\u0061tedAt":6,"createdAt":7}"#,
    );
    assert!(
        text.ends_with(
            r#""_id":1,"__id":[2],"__appId":3,"_appId":[4],"_createdAt":5,"__cre\u0061tedAt":6,"___createdAt":7}"#
        ),
        "{text}"
    );
    let text = value(r#"{"event":"x","_state":1,"state":[]}"#);
    assert!(text.ends_with(r#","_state":1,"__state":[]}"#), "{text}");
}

#[test]
fn what_is_no_time_stands_under_an_underscore() {
    for token in [
        r#""""#,
        r#""yesterday""#,
        "1710414115",
        "true",
        "{}",
        r#"["2024-09-02T08:15:00Z"]"#,
        r#""2024-13-02T08:15:00Z""#,
        r#""2024-09-02T08:15:00""#,
        r#""2024-09-02t08:15:00z""#,
        r#""2016-12-31T23:59:60Z""#,
    ] {
        let text = of_installation(&format!(
            r#"{{"updatedAt":{token},"createdAt":"2024-09-02T08:15:00Z"}}"#
        ));
        assert!(
            text.contains(r#""createdAt":"2024-09-02T08:15:00Z","updatedAt":null,"#),
            "{text}"
        );
        assert!(
            text.ends_with(&format!(r#","_updatedAt":{token}}}"#)),
            "{text}"
        );
    }
}

#[test]
fn permissions_are_texts_and_what_is_none_stands_whole_beside_them() {
    for (token, written, beside) in [
        ("null", "null", ""),
        ("{ }", "{}", ""),
        (
            r#"{"b":"VIEW","\u0061":1.50,"c":false}"#,
            r#"{"b":"VIEW","\u0061":"1.50","c":"false"}"#,
            "",
        ),
        (r#""all""#, "null", r#""all""#),
        ("true", "null", "true"),
        ("7", "null", "7"),
        (r#"["VIEW"]"#, "null", r#"["VIEW"]"#),
        (
            r#"{"a":null,"b":"VIEW","c":7}"#,
            r#"{"b":"VIEW","c":"7"}"#,
            r#"{"a":null,"b":"VIEW","c":7}"#,
        ),
        (r#"{"a":["VIEW"]}"#, "{}", r#"{"a":["VIEW"]}"#),
        (r#"{"a":{}}"#, "{}", r#"{"a":{}}"#),
    ] {
        let text = of_installation(&format!(r#"{{"permissions":{token},"x":1}}"#));
        let beside = match beside {
            "" => String::new(),
            token => format!(r#""_permissions":{token},"#),
        };
        assert!(
            text.ends_with(&format!(
                r#""permissions":{written},"accessTokensUrl":null,{beside}"x":1}}"#
            )),
            "{text}"
        );
    }
}

#[test]
fn an_organizations_name_that_is_no_text_is_null_whatever_its_full_name() {
    let organization = |fields: &str| {
        let text = value(&format!(
            r#"{{"event":"x","installation":{{"organization":{{{fields}}}}}}}"#
        ));
        let (_, rest) = text.split_once(r#""organization":"#).unwrap();
        rest.split_once(r#","installation""#).unwrap().0.to_owned()
    };
    assert_eq!(
        organization(r#""fullName":"f","name":{"en":"n"}"#),
        r#"{"id":null,"name":null,"url":null,"fullName":"f","_name":{"en":"n"}}"#
    );
    assert_eq!(
        organization(r#""fullName":7"#),
        r#"{"id":null,"name":"7","url":null,"fullName":7}"#
    );
    assert_eq!(
        organization(r#""fullName":["f"]"#),
        r#"{"id":null,"name":null,"url":null,"fullName":["f"]}"#
    );
}

#[test]
fn ids_count_as_they_are_written() {
    let event = understand(
        r#"{"event":"warehouseTransaction","installation":{"id":7,"organization":{"id":1.50}},"transaction":{"id":true}}"#,
    )
    .unwrap();
    assert_eq!(event.organization.as_deref(), Some("1.50"));
    for (id, organization, transaction, expected) in [
        ("[7]", "1", "1", QuarantineReason::InstallationMissing),
        ("1", "{}", "1", QuarantineReason::OrganizationMissing),
        ("1", "null", "1", QuarantineReason::OrganizationMissing),
        ("1", r#""""#, "1", QuarantineReason::OrganizationMissing),
        ("1", "1", "[1]", QuarantineReason::TransactionInvalid),
    ] {
        let payload = format!(
            r#"{{"event":"warehouseTransaction","installation":{{"id":{id},"organization":{{"id":{organization}}}}},"transaction":{{"id":{transaction}}}}}"#
        );
        assert_eq!(reason(&payload), expected, "{payload}");
    }
}

#[test]
fn amounts_become_exact_decimal_strings() {
    for (token, expected) in [
        ("1.50", r#""1.50""#),
        ("1e-7", r#""0.0000001""#),
        ("1e21", r#""1000000000000000000000""#),
        ("-0", r#""0""#),
        ("-1", r#""-1""#),
        (r#""1.50""#, r#""1.50""#),
        (r#""\u0031e1""#, r#""10""#),
        ("null", "null"),
    ] {
        assert_eq!(amount(token).as_deref(), Ok(expected), "{token}");
    }
    let absent = value(&with_transaction(r#"{"id":"t"}"#));
    assert!(absent.contains(r#""amount":null"#), "{absent}");
}

#[test]
fn an_amount_that_is_no_number_or_too_long_is_quarantined() {
    for token in [
        r#""""#,
        r#"" 1""#,
        r#""1,5""#,
        r#""0x1""#,
        "true",
        "[1]",
        "{}",
        r#""\ud800""#,
    ] {
        assert_eq!(
            amount(token),
            Err(QuarantineReason::TransactionInvalid),
            "{token}"
        );
    }
    for token in ["1e400000000", "1e-1000000", r#""1e100""#] {
        assert_eq!(
            amount(token),
            Err(QuarantineReason::AmountOutOfRange),
            "{token}"
        );
    }
}

#[test]
fn what_is_no_json_object_is_quarantined() {
    assert_eq!(
        normalize("Hello, World!", Redaction::default()),
        Err(QuarantineReason::SignedDataUndecodable)
    );
    assert_eq!(
        normalize("/w==", Redaction::default()),
        Err(QuarantineReason::PayloadNotJson)
    );
    for payload in [
        "",
        "x",
        "{}{}",
        "\u{feff}{\"event\":\"x\"}",
        "{\"event\":\"x\"",
        "{\"event\":\"\n\"}",
    ] {
        assert_eq!(
            reason(payload),
            QuarantineReason::PayloadNotJson,
            "{payload}"
        );
    }
    for payload in [
        "[]",
        "null",
        "\"x\"",
        "1e400000000",
        " [{\"a\":1,\"a\":1}] ",
    ] {
        assert_eq!(
            reason(payload),
            QuarantineReason::PayloadNotObject,
            "{payload}"
        );
    }
}

#[test]
fn sixty_four_levels_are_understood_and_sixty_five_are_too_deep() {
    let payload = |levels: usize| {
        let inner = levels - 1;
        format!(
            "{{\"event\":\"x\",\"a\":{}{}}}",
            "[".repeat(inner),
            "]".repeat(inner)
        )
    };
    assert!(understand(&payload(64)).is_ok());
    assert_eq!(reason(&payload(65)), QuarantineReason::TooDeep);
    assert_eq!(reason(&payload(100_000)), QuarantineReason::TooDeep);
}

#[test]
fn reasons_have_an_order() {
    let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
    for (payload, expected) in [
        (format!("{{\"a\":1,\"a\":{deep}}}"), QuarantineReason::TooDeep),
        (r#"{"a":1,"a":1}"#.to_owned(), QuarantineReason::DuplicateKey),
        (r#"{"event":7}"#.to_owned(), QuarantineReason::EventMissing),
        (r#"{"event":null,"transaction":[]}"#.to_owned(), QuarantineReason::EventMissing),
        (r#"{"event":"","transaction":[]}"#.to_owned(), QuarantineReason::EventMalformed),
        (r#"{"event":"installed","transaction":[]}"#.to_owned(), QuarantineReason::InstallationMissing),
        (r#"{"event":"installed","installation":{"id":"","organization":{"id":"o"}}}"#.to_owned(), QuarantineReason::InstallationMissing),
        (r#"{"event":"installed","installation":{"id":"i","organization":{"id":[7]}},"transaction":[]}"#.to_owned(), QuarantineReason::OrganizationMissing),
        (r#"{"event":"installed","installation":{"id":"i","organization":"o"}}"#.to_owned(), QuarantineReason::OrganizationMissing),
        (with_transaction("null"), QuarantineReason::TransactionMissing),
        (with_transaction("[]"), QuarantineReason::TransactionInvalid),
        (with_transaction("\"\""), QuarantineReason::TransactionInvalid),
        (with_transaction(r#"{"amount":1e400}"#), QuarantineReason::TransactionInvalid),
        (with_transaction(r#"{"id":"","amount":1}"#), QuarantineReason::TransactionInvalid),
        (with_transaction(r#"{"id":"t","amount":1e400}"#), QuarantineReason::AmountOutOfRange),
    ] {
        assert_eq!(reason(&payload), expected, "{payload}");
    }
}

#[test]
fn a_transaction_that_means_nothing_passes_beside_the_name_on_any_event_that_is_no_transaction() {
    let installation = r#""installation":{"id":"i","organization":{"id":"o"}}"#;
    for token in [
        "false",
        r#""""#,
        "[{}]",
        "{}",
        r#"{"id":"t","amount":"much"}"#,
    ] {
        for event in ["x", "suspended"] {
            let text = value(&format!(
                r#"{{"event":"{event}","a":1,"transaction":{token},{installation},"b":2}}"#
            ));
            assert!(text.contains(r#""transaction":null"#), "{text}");
            let extras = format!(r#","a":1,"_transaction":{token},"b":2}}"#);
            assert!(text.ends_with(&extras), "{text}");
        }
    }
    let understood = value(r#"{"event":"x","transaction":{"id":"t","amount":1e-7}}"#);
    assert!(
        understood.contains(r#""amount":"0.0000001""#),
        "{understood}"
    );
}

#[test]
fn a_displaced_name_takes_the_fewest_underscores_that_are_free() {
    let text = value(r#"{"event":"x","__organization":1,"organization":2,"\u005forganization":3}"#);
    assert!(text.contains(r#""___organization":2"#), "{text}");
}

#[test]
fn a_lifecycle_event_may_carry_a_null_transaction() {
    let text = value(
        r#"{"event":"suspended","installation":{"id":"i","organization":{"id":"o"}},"transaction":null}"#,
    );
    assert!(text.contains(r#""transaction":null"#));
}

#[test]
fn extreme_payloads_pass_unchanged() {
    let long = "x".repeat(1_000_000);
    let text = value(&format!(
        r#"{{"event":"x","a":"{long}","b":1e400000000,"c":1e-1000000,"d":"\u0000"}}"#
    ));
    assert!(text.ends_with(&format!(
        r#","a":"{long}","b":1e400000000,"c":1e-1000000,"d":"\u0000"}}"#
    )));
}
