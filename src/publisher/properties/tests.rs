use super::*;

fn with(pairs: &[(&str, &str)]) -> Result<BTreeMap<String, String>, Vec<String>> {
    effective(
        &pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        None,
    )
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let properties = with(&[]).unwrap();
    assert_eq!(properties["acks"], "all");
    assert_eq!(properties["message.timeout.ms"], "0");
    assert_eq!(properties["enable.idempotence"], "true");
    assert_eq!(properties["partitioner"], "murmur2_random");
}

#[test]
fn what_is_effective_stays_so_when_asked_again() {
    let once = with(&[("delivery.timeout.ms", "60000"), ("topic.acks", "-1")]).unwrap();
    assert_eq!(effective(&once, None).unwrap(), once);
}

#[test]
fn an_alias_overrides_the_default_under_its_canonical_name() {
    let properties = with(&[
        ("delivery.timeout.ms", "60000"),
        ("queue.buffering.max.ms", "50"),
        ("compression.codec", "zstd"),
    ])
    .unwrap();
    assert_eq!(properties["message.timeout.ms"], "60000");
    assert_eq!(properties["linger.ms"], "50");
    assert_eq!(properties["compression.type"], "zstd");
    assert!(!properties.contains_key("delivery.timeout.ms"));
    assert!(!properties.contains_key("compression.codec"));
}

#[test]
fn two_names_of_one_property_must_agree() {
    assert!(with(&[("linger.ms", "5"), ("queue.buffering.max.ms", "5")]).is_ok());
    let problems = with(&[("linger.ms", "5"), ("queue.buffering.max.ms", "6")]).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("linger.ms"), "{problems:?}");
}

#[test]
fn what_would_void_the_promise_is_refused_and_every_problem_is_told_at_once() {
    let problems = with(&[
        ("request.required.acks", "1"),
        ("enable.idempotence", "false"),
        ("enable.gapless.guarantee", "false"),
        ("delivery.report.only.error", "true"),
        ("transactional.id", "x"),
        ("max.in.flight", "5"),
        ("metadata.broker.list", "elsewhere:9092"),
        ("test.mock.num.brokers", "3"),
        ("no.such.property", "1"),
    ])
    .unwrap_err();
    assert_eq!(problems.len(), 9, "{problems:#?}");
    assert!(
        problems
            .iter()
            .any(|p| p.contains("no librdkafka property") && !p.contains("no.such.property")),
        "{problems:#?}"
    );
}

#[test]
fn statistics_cannot_be_turned_off_or_made_rare() {
    for value in ["0", "00", "60001", "0x0", "never", ""] {
        let problems = with(&[("statistics.interval.ms", value)]).unwrap_err();
        assert!(
            problems[0].contains("between 1 and 60000"),
            "{value}: {problems:?}"
        );
    }
    for value in ["1", "100", "60000"] {
        with(&[("statistics.interval.ms", value)]).unwrap();
    }
}

#[test]
fn a_contradiction_is_told_in_librdkafkas_own_words() {
    let problems = with(&[("retries", "0")]).unwrap_err();
    assert!(problems[0].contains("retries"), "{problems:?}");
}

#[test]
fn tls_and_sasl_with_scram_are_built_in() {
    with(&[
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "u"),
        ("sasl.password", "p"),
    ])
    .unwrap();
}

#[test]
fn a_client_id_names_the_instance_unless_the_operator_sets_it() {
    let id = |pairs: &[(&str, &str)], instance| {
        let user = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        effective(&user, instance).unwrap()["client.id"].clone()
    };
    assert_eq!(id(&[], None), "icr-bridge");
    assert_eq!(id(&[], Some("blue-1")), "icr-bridge-blue-1");
    assert_eq!(id(&[("client.id", "ours")], Some("blue-1")), "ours");
}

#[test]
fn a_property_of_a_topic_may_have_a_prefix_and_one_whose_name_begins_so_keeps_it() {
    assert_eq!(canonical("topic.acks"), "acks");
    let properties = with(&[("topic.metadata.refresh.interval.ms", "1000")]).unwrap();
    assert_eq!(properties["topic.metadata.refresh.interval.ms"], "1000");
}

#[test]
fn secrets_are_left_out_of_what_librdkafka_says() {
    let user = BTreeMap::from([
        ("sasl.password".to_owned(), "hunter2".to_owned()),
        ("linger.ms".to_owned(), "100".to_owned()),
    ]);
    let masks = Masks::of(&user);
    assert_eq!(masks.mask("no hunter2 in 100 ms"), "no … in 100 ms");
    assert!(matches!(
        masks.mask("nothing"),
        std::borrow::Cow::Borrowed(_)
    ));
}

#[test]
fn librdkafkas_words_are_shown_unless_they_repeat_a_value() {
    let properties = BTreeMap::from([
        ("retries".to_owned(), "0".to_owned()),
        (
            "ssl.key.location".to_owned(),
            "/etc/keys/hunter2.pem".to_owned(),
        ),
    ]);
    let shown = words::together("`retries` must be set >= 1", &properties);
    assert!(shown.contains(">= 1"), "{shown}");
    let hidden = words::together(
        "ssl.key.location failed: hunter2.pem: no such file",
        &properties,
    );
    assert!(
        hidden.contains("names ssl.key.location") && !hidden.contains("hunter2"),
        "{hidden}"
    );
}
