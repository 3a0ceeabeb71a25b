//! The way to Kafka: what can never work is refused at once, each with its variable and the way out, and no value is repeated.

use super::{read, refused};
use proptest::prelude::*;

/// What a login needs, so that one more property is the only thing that can be wrong.
const LOGIN: &str =
    "security.protocol=SASL_SSL,sasl.mechanism=PLAIN,sasl.username=user,sasl.password=hunter2";

#[test]
fn logins_that_can_work_are_accepted() {
    let files = tempfile::tempdir().unwrap();
    let pem = files.path().join("a.pem");
    std::fs::write(&pem, crate::tls::authority::Authority::new().pem()).unwrap();
    let pem = pem.display();
    let oidc = "security.protocol=SASL_SSL,sasl.mechanism=OAUTHBEARER,sasl.oauthbearer.method=oidc,sasl.oauthbearer.client.id=a,\
                sasl.oauthbearer.client.secret=b,sasl.oauthbearer.token.endpoint.url=https://login.example/token";
    for properties in [
        String::new(),
        LOGIN.to_owned(),
        "security.protocol=ssl".to_owned(),
        format!("security.protocol=SSL,ssl.ca.location={pem}"),
        format!("{LOGIN},ssl.endpoint.identification.algorithm=none"),
        oidc.to_owned(),
        format!("{oidc},sasl.oauthbearer.scope=x y,https.ca.location={pem}"),
        "security.protocol=SASL_PLAINTEXT,sasl.mechanism=OAUTHBEARER,enable.sasl.oauthbearer.unsecure.jwt=true,\
         sasl.oauthbearer.config=principal=admin"
            .to_owned(),
    ] {
        read(&[("KAFKA_PROPERTIES", &properties)]).unwrap_or_else(|problems| panic!("{properties}: {problems}"));
    }
}

#[test]
fn what_can_never_work_is_refused_with_the_way_out() {
    let with = |more: &str| format!("{LOGIN},{more}");
    for (properties, words) in [
        ("security.protocol=SASL_SSL,sasl.mechanism=OAUTHBEARER".to_owned(), "no source of tokens"),
        ("sasl.mechanism=PLAIN,sasl.username=a,sasl.password=b".to_owned(), "needs security.protocol"),
        ("security.protocol=PLAINTEXT,sasl.mechanism=PLAIN".to_owned(), "set it to SASL_SSL"),
        ("security.protocol=SSL,sasl.password=b".to_owned(), "does not log in"),
        ("security.protocol=SASL_SSL".to_owned(), "needs sasl.mechanism"),
        ("security.protocol=TLS".to_owned(), "must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
        ("security.protocol=SASL_SSL,sasl.mechanism=SCRAM-SHA-512,sasl.username=a".to_owned(), "needs sasl.password"),
        ("security.protocol=SASL_SSL,sasl.mechanism=plain,sasl.username=a,sasl.password=b".to_owned(), "must be written PLAIN"),
        ("security.protocol=SASL_SSL,sasl.mechanism=AWS_MSK_IAM".to_owned(), "SCRAM"),
        ("security.protocol=SASL_SSL,sasl.mechanism=GSSAPI".to_owned(), "--features kerberos"),
        ("security.protocol=SASL_SSL,sasl.mechanism=DIGEST-MD5".to_owned(), "must be one of PLAIN"),
        ("ssl.ca.location=/etc/hostname".to_owned(), "connections are not encrypted"),
        (with("ssl.key.location=/etc/hostname"), "without ssl.certificate.location"),
        (with("ssl.certificate.location=/etc/hostname"), "without ssl.key.location"),
        (with("ssl.key.password=x"), "without ssl.key.location"),
        (with("ssl.keystore.location=/etc/hostname"), "needs ssl.keystore.password"),
        (with("ssl.ca.location=/nowhere/at/all"), "does not exist"),
        (with("ssl.ca.location=/dev/null"), "regular file"),
        (with("ssl.certificate.location=/tmp,ssl.key.location=/tmp"), "names a folder"),
        (with("sasl.oauthbearer.method=oidc"), "needs sasl.mechanism=OAUTHBEARER"),
        ("security.protocol=SASL_SSL,sasl.mechanism=OAUTHBEARER,sasl.oauthbearer.method=oidc".to_owned(), "sasl.oauthbearer.token.endpoint.url is required"),
        ("security.protocol=SASL_SSL,sasl.mechanism=OAUTHBEARER,sasl.oauthbearer.method=oidc,sasl.oauthbearer.assertion.file=/x".to_owned(), "is not supported"),
        ("linger.ms=900001".to_owned(), "must be from 0 to 900000"),
        ("socket.keepalive.enable=perhaps".to_owned(), "must be true or false"),
        ("compression.type=brotli".to_owned(), "must be none, gzip, snappy, lz4 or zstd"),
        ("sasl.jaas.config=x".to_owned(), "is Java's"),
        ("ssl.truststore.location=x".to_owned(), "is Java's"),
        ("sasl.pasword=x".to_owned(), "did you mean sasl.password?"),
        ("linger.ms=5,linger.ms=5".to_owned(), "entry 2 sets linger.ms a second time"),
        ("bootstrap.servers=x:1".to_owned(), "setting for the brokers"),
    ] {
        let error = refused(&[("KAFKA_PROPERTIES", &properties)]);
        assert!(error.contains(words), "{properties}: {error}");
        assert!(error.contains("ICR_BRIDGE_KAFKA_PROPERTIES: "), "{error}");
    }
}

#[test]
fn every_problem_with_brokers_and_properties_is_told_at_once() {
    let error = refused(&[
        ("KAFKA_BROKERS", "a:0,::1:9092"),
        (
            "KAFKA_PROPERTIES",
            "security.protocol=SASL_SSL,sasl.mechanism=PLAIN,ssl.key.location=/nowhere,no=1,acks=1",
        ),
    ]);
    for words in [
        "broker 1",
        "broker 2",
        "needs sasl.username and sasl.password",
        "without ssl.certificate.location",
        "ssl.key.location names a file that does not exist",
        "entry 4 is no librdkafka property",
        "acks: must stay all",
    ] {
        assert!(error.contains(words), "{words} in {error}");
    }
}

#[test]
fn properties_in_the_place_of_their_file_are_not_repeated() {
    let error = refused(&[("KAFKA_PROPERTIES_FILE", "sasl.password=hunter2")]);
    assert!(
        error.contains("belong into KAFKA_PROPERTIES") && !error.contains("hunter2"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Words that stand in no message, put together with all that has a meaning somewhere: whatever of a password is taken for a
    /// name, an entry, a path, a URL or a broker, none of its words is repeated.
    #[test]
    fn no_part_of_a_value_stands_in_a_problem(
        words in prop::collection::vec("[QXZ][0-9]{4,7}", 2..6),
        separators in prop::collection::vec(r"[,=;:@./#&? \n\\-]{1,2}", 6),
        property in prop::sample::select(vec![
            "sasl.password", "sasl.username", "ssl.key.password", "ssl.ca.location", "ssl.key.location", "ssl.key.pem", "ssl.ca.pem",
            "sasl.oauthbearer.client.secret", "sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.extensions", "https.ca.location",
            "https.ca.pem", "security.protocol", "sasl.mechanism", "linger.ms", "acks", "socket.keepalive.enable", "ssl.keystore.location",
            "sasl.oauthbearer.method", "ssl.cipher.suites", "ssl.providers", "debug", "compression.type", "transactional.id",
        ]),
        in_file in any::<bool>(),
    ) {
        let mut value = String::new();
        for (word, separator) in words.iter().zip(&separators) {
            value += word;
            value += separator;
        }
        let separator = if in_file { "\n" } else { "," };
        let properties = ["security.protocol=SASL_SSL", "sasl.mechanism=OAUTHBEARER", "sasl.oauthbearer.method=oidc"]
            .iter()
            .filter(|entry| !entry.starts_with(property))
            .map(|entry| (*entry).to_owned())
            .chain([format!("{property}={value}")])
            .collect::<Vec<_>>()
            .join(separator);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &properties).unwrap();
        let path = file.path().to_str().unwrap();
        let setting = if in_file { ("KAFKA_PROPERTIES_FILE", path) } else { ("KAFKA_PROPERTIES", properties.as_str()) };
        // Accepted or refused: what is printed in either case.
        let said = match read(&[setting]) {
            Ok(config) => format!("{:?} {:?} {config:?}", config.effective(), config.warnings),
            Err(error) => error,
        };
        for word in &words {
            prop_assert!(!said.contains(word.as_str()), "{word} of {properties:?}: {said}");
        }
    }
}
