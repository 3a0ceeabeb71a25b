use super::*;
use crate::delivery::Millis;
use crate::envelope::Envelope;
use crate::signature::Signature;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use uuid::Uuid;

const PAYLOAD: &str = r#"{"event":"installed","state":"","installation":{"id":"i","organization":{"id":"o","fullName":"Acme ehf."}},
    "sender":{"id":"289a98f7","email":"jane.roe@example.org","fullName":"Jane Roe","profilePicture":"https://x.test/jr.png","age":7}}"#;

/// The mask of a delivery with this payload, and this beside `signedData`.
fn mask(payload: &str, outer: &str) -> Mask {
    let body = format!(
        r#"{{{outer}"signedData":"{}"}}"#,
        BASE64_STANDARD.encode(payload)
    );
    Mask::of(&Delivery {
        id: Uuid::nil(),
        accepted_at: Millis(0),
        app: "default",
        secret_position: 0,
        signature: Signature::from_bytes([0; 32]),
        token: Envelope::parse(body.as_bytes()).unwrap().token(),
        headers: Vec::new(),
        body: body.as_bytes(),
    })
}

fn compact(mask: &Mask, text: &str) -> String {
    mask.json(text, Layout::Compact).unwrap()
}

#[test]
fn a_sender_is_masked_whole_and_the_rest_is_as_it_was() {
    assert_eq!(
        compact(&mask(PAYLOAD, ""), PAYLOAD),
        concat!(
            r#"{"event":"installed","state":"","installation":{"id":"i","organization":{"id":"o","fullName":"Acme ehf."}},"#,
            r#""sender":"(masked)"}"#
        )
    );
}

#[test]
fn personal_data_is_masked_wherever_it_stands() {
    let mask = mask(PAYLOAD, "");
    for (text, shown) in [
        (
            r#"{"_sender":{"a":1},"__Sender":"x","sender":null}"#,
            r#"{"_sender":"(masked)","__Sender":"(masked)","sender":null}"#,
        ),
        (
            r#"[{"a":{"s\u0065nder":[1]}}]"#,
            r#"[{"a":{"s\u0065nder":"(masked)"}}]"#,
        ),
        (
            r#"{"contactEmail":"x","PHONE_number":5}"#,
            r#"{"contactEmail":"(masked)","PHONE_number":"(masked)"}"#,
        ),
        (
            r#"{"organization":{"members":[{"fullName":"X Y"}]}}"#,
            r#"{"organization":{"members":[{"fullName":"(masked)"}]}}"#,
        ),
        (
            r#"{"organizations":{"fullName":"X Y"}}"#,
            r#"{"organizations":{"fullName":"(masked)"}}"#,
        ),
        (
            r#"["write to max@example.com!","a\u0040b","/users/max%40example.com","@ 5"]"#,
            r#"["(masked)","(masked)","(masked)","@ 5"]"#,
        ),
        (r#"{"max@example.com":"VIEW"}"#, r#"{"(masked)":"VIEW"}"#),
        (
            r#"["by JANE ROE.","289a98f7","289a98f70","x.test/jr.png"]"#,
            r#"["(masked)","(masked)","289a98f70","x.test/jr.png"]"#,
        ),
        (
            r#"{"signedData":"eyJ9","icr_signed_data":"eyJ9"}"#,
            r#"{"signedData":"(withheld: it encodes the payload)","icr_signed_data":"(withheld: it encodes the payload)"}"#,
        ),
    ] {
        assert_eq!(compact(&mask, text), shown);
    }
    let copy = format!(r#"{{"copy":"{}"}}"#, BASE64_STANDARD.encode(PAYLOAD));
    assert_eq!(compact(&mask, &copy), r#"{"copy":"(masked)"}"#);
    assert_eq!(mask.text("by Jane Roe"), MASKED);
    assert_eq!(mask.text("Jane Roebuck"), "Jane Roebuck");
}

#[test]
fn a_sender_that_only_the_outer_body_names_is_known_too() {
    let mask = mask(
        "not JSON at all",
        r#""x":{"sender":{"fullName":"Max Muster"}},"#,
    );
    assert_eq!(compact(&mask, r#"["for Max Muster"]"#), r#"["(masked)"]"#);
}

#[test]
fn what_is_not_json_is_withheld() {
    assert_eq!(
        mask(PAYLOAD, "").json("Jane Roe, jane.roe@example.org", Layout::Compact),
        None
    );
}

#[test]
fn everything_is_shown_to_who_asks_but_no_control_characters() {
    let open = Mask::nothing();
    assert_eq!(
        compact(
            &open,
            "{ \"sender\" : \"jane.roe@example.org \u{9b}\" , \"signedData\":\"eyJ9\"}"
        ),
        "{\"sender\":\"jane.roe@example.org \\u009b\",\"signedData\":\"eyJ9\"}"
    );
    assert_eq!(open.text("a@b"), "a@b");
}

#[test]
fn a_text_is_laid_out_a_member_a_line() {
    let text = r#"{"a":[1,{"b":{}}, []],"c":null,"sender":{"x":1}}"#;
    let pretty = mask(PAYLOAD, "").json(text, Layout::Pretty(2)).unwrap();
    let expected = [
        "{",
        "    \"a\": [",
        "      1,",
        "      {",
        "        \"b\": {}",
        "      },",
        "      []",
        "    ],",
        "    \"c\": null,",
        "    \"sender\": \"(masked)\"",
        "  }",
    ];
    assert_eq!(pretty, expected.join("\n"));
    let numbers = r#"[1e400000000,-0.0,1.50,"\ud800"]"#;
    assert_eq!(compact(&Mask::nothing(), numbers), numbers);
}

#[test]
fn a_hundred_thousand_levels_are_shown_in_one_line() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let shown = mask(PAYLOAD, "").json(&deep, Layout::Pretty(0)).unwrap();
    assert_eq!(shown, deep);
}

#[test]
fn what_a_record_holds_of_a_sender_that_is_no_object_or_has_numbers_is_masked() {
    let of_numbers = mask(r#"{"sender":{"id":28997,"fullName":["Jane Roe"]}}"#, "");
    assert_eq!(
        compact(
            &of_numbers,
            r#"{"sender":{"id":"28997","fullName":null,"_fullName":["Jane Roe"]},"by":"28997","a":28997,"b":[28997.5,true],"c":289970}"#
        ),
        r#"{"sender":"(masked)","by":"(masked)","a":"(masked)","b":["(masked)",true],"c":289970}"#
    );
    let of_text = mask(r#"{"sender":"Jane Roe"}"#, "");
    assert_eq!(
        compact(
            &of_text,
            r#"{"sender":null,"_sender":"Jane Roe","note":"for Jane Roe","_fullName":["x"]}"#
        ),
        r#"{"sender":null,"_sender":"(masked)","note":"(masked)","_fullName":"(masked)"}"#
    );
}

#[test]
fn short_texts_of_a_sender_are_not_looked_for() {
    let mask = mask(r#"{"sender":{"id":"7","fullName":"Bo"}}"#, "");
    let text = r#"{"transaction":{"id":"7","note":"Bo"}}"#;
    assert_eq!(compact(&mask, text), text);
}
