//! One delivery in full.

use super::*;

#[test]
fn what_came_what_was_proven_and_what_became_of_it_are_shown() {
    let stage = Stage::played();
    let text = printed(&stage.inspect(&["--id", &stage.transaction]));
    for part in [
        format!("Delivery {}  sequence 2", stage.transaction),
        "What came".into(),
        "accepted          20".into(),
        "app               default".into(),
        "\"name\": \"Organization org2\"".into(),
        "What was proven".into(),
        "signature         sha256=".into(),
        "secret            position 0: the current one".into(),
        "fingerprint       ".into(),
        "outer body        agrees with what was signed".into(),
        "\"amount\": 2.5".into(),
        "What became of it".into(),
        "published         icr.webhooks[".into(),
        "Its record".into(),
        "key               organizationTransaction:org2".into(),
        format!("ce_id             {}", stage.transaction),
        "ce_journalsequence  00000000000000000002".into(),
        "ce_type           com.carbonregistry.organizationTransaction".into(),
        "\"amount\": \"2.5\"".into(),
    ] {
        assert!(text.contains(&part), "{part} in\n{text}");
    }
}

#[test]
fn why_it_is_not_in_its_topic_is_said() {
    let stage = Stage::played();
    for (id, words) in [
        (
            &stage.no_json,
            "quarantined       payload_not_json icr.webhooks.quarantine[0]@0",
        ),
        (
            &stage.no_event,
            "quarantined       event_missing icr.webhooks.quarantine[0]@1",
        ),
        (
            &stage.held,
            "held              record_invalid; not even the quarantine topic took it",
        ),
        (
            &stage.pending,
            "pending           not published yet; publishing has come to sequence 7",
        ),
    ] {
        let text = printed(&stage.inspect(&["--id", id]));
        assert!(text.contains(words), "{words} in\n{text}");
    }
    let text = printed(&stage.inspect(&["--id", &stage.no_event]));
    assert!(
        text.contains("`event` is absent or not a string."),
        "{text}"
    );
}

#[test]
fn the_object_of_a_delivery_holds_body_payload_and_record() {
    let stage = Stage::played();
    let found = objects(&stage.inspect(&["--json", "--id", &stage.transaction]));
    let [found] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(found["outcome"], "published");
    assert_eq!(found["came"]["body"]["json"]["transaction"]["id"], "t-1");
    let proven = &found["proven"];
    assert_eq!(proven["payload"]["json"]["transaction"]["amount"], 2.5);
    assert_eq!(
        (&proven["secret_position"], &proven["outer_mismatch"]),
        (&json!(0), &json!(false))
    );
    assert_eq!(proven["signature"].as_str().unwrap().len(), 64);
    let record = &found["record"];
    assert_eq!(record["key"], "organizationTransaction:org2");
    assert_eq!(record["topic"], MAIN);
    let fingerprint = json!(["ce_fingerprint", proven["fingerprint"]]);
    assert!(record["headers"].as_array().unwrap().contains(&fingerprint));
    assert_eq!(record["value"]["json"]["transaction"]["amount"], "2.5");
    // What is quarantined is so in its record too.
    let quarantined = &objects(&stage.inspect(&["--json", "--id", &stage.no_event]))[0];
    assert_eq!(quarantined["record"]["key"], Value::Null);
    let reason = json!(["ce_reason", "event_missing"]);
    assert!(
        quarantined["record"]["headers"]
            .as_array()
            .unwrap()
            .contains(&reason)
    );
    // Held after the broker's verdict on the record: its quarantine record is what is offered.
    let held = &objects(&stage.inspect(&["--json", "--id", &stage.held]))[0];
    assert_eq!(held["record"]["topic"], QUARANTINE);
    let reason = json!(["ce_reason", "record_invalid"]);
    assert!(
        held["record"]["headers"]
            .as_array()
            .unwrap()
            .contains(&reason)
    );
}

#[test]
fn the_record_is_made_by_the_settings_of_the_environment() {
    let stage = Stage::played();
    let journal = stage.journal();
    let settings = [
        ("JOURNAL_DIR", journal.to_str().unwrap()),
        ("KAFKA_TOPIC", "other.{app}"),
        ("KAFKA_KEY", "{organization}"),
        ("CONTENT_MODE", "structured"),
        ("INSTANCE", "here"),
    ];
    let output = run(&["inspect", "--json", "--id", &stage.sandbox], &settings);
    let record = &objects(&output)[0]["record"];
    assert_eq!(
        (&record["topic"], &record["key"]),
        (&json!("other.sandbox"), &json!("org1"))
    );
    assert_eq!(record["value"]["json"]["instance"], "here");
    assert_eq!(record["value"]["json"]["data"]["event"], "installed");

    let wrong = [settings[0], ("KAFKA_TOPIC", "{nonsense}")];
    let output = run(&["inspect", "--id", &stage.sandbox], &wrong);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        told(&output).contains("ICR_BRIDGE_KAFKA_TOPIC"),
        "{}",
        told(&output)
    );
    let output = run(&["inspect"], &wrong);
    assert_eq!(output.status.code(), Some(0), "a list needs no record");
}

#[test]
fn what_the_outer_body_claims_besides_is_told() {
    let app = TestApp::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let app_on = TestApp::on(dir.path(), &[]).unwrap();
    let signed = payload("installed", "org1").to_string();
    let request = app
        .simulator()
        .sign_text(signed.as_bytes(), json!({ "event": "uninstalled" }));
    let id = accepted(&app_on, "/webhook", &request);
    let text = printed(&inspect(dir.path(), &["--id", &id]));
    assert!(
        text.contains("outer body        differs from what was signed"),
        "{text}"
    );
}

#[test]
fn an_id_that_is_not_there_ends_with_1_and_others_are_shown_all_the_same() {
    let stage = Stage::played();
    let missing = "01900000-0000-7000-8000-000000000000";
    let output = stage.inspect(&["--id", missing]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains(&format!("no delivery with the id {missing}")),
        "{}",
        told(&output)
    );
    let both = format!("{missing},{}", stage.pending);
    let output = stage.inspect(&["--id", &both]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&stage.pending));
    let output = stage.inspect(&["--id", &stage.pending, "--outcome", "held"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("that meets the other criteria"),
        "{}",
        told(&output)
    );
}

#[test]
fn several_deliveries_are_shown_in_the_order_of_acceptance() {
    let stage = Stage::played();
    let both = [&*stage.pending, &stage.installed].join(",");
    let found = ids(&stage.inspect(&["--json", "--id", &both]));
    assert_eq!(found, [&*stage.installed, &stage.pending]);
}
