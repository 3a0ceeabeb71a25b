//! OIDC's client credentials, against a broker that checks the tokens of an endpoint of the test's own.

use super::logins::{free_port, listener};
use super::{
    PATIENCE, accept_transactions, assert_complete_and_in_order, logged, serve,
    wait_until_nothing_is_pending,
};
use crate::support::eventually::within;
use crate::support::kafka::{OwnBroker, RealKafka, skip};
use crate::support::token_endpoint::{AUDIENCE, Mood, TokenEndpoint};
use crate::tls::authority::Authority;
use std::path::Path;

const SECRET: &str = "hunter2+/=%and more";

/// A broker whose listener OIDC takes the endpoint's tokens alone, and its address.
fn broker(folder: &Path, endpoint: &TokenEndpoint) -> (OwnBroker, String) {
    let keys = folder.join("keys.json");
    std::fs::write(&keys, endpoint.keys().to_string()).unwrap();
    let port = free_port();
    let mut properties = listener("OIDC", "SASL_PLAINTEXT", "127.0.0.1", port);
    let oauth = "org.apache.kafka.common.security.oauthbearer";
    properties.extend([
        "listener.name.oidc.sasl.enabled.mechanisms=OAUTHBEARER".to_owned(),
        format!("listener.name.oidc.oauthbearer.sasl.jaas.config={oauth}.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";"),
        format!("listener.name.oidc.oauthbearer.sasl.server.callback.handler.class={oauth}.OAuthBearerValidatorCallbackHandler"),
        format!("listener.name.oidc.sasl.oauthbearer.jwks.endpoint.url=file://{}", keys.display()),
        format!("listener.name.oidc.sasl.oauthbearer.expected.audience={AUDIENCE}"),
        "listener.name.oidc.sasl.oauthbearer.expected.issuer=test".to_owned(),
        // A connection ends with its token, unless the client logs in again.
        "listener.name.oidc.oauthbearer.connections.max.reauth.ms=3600000".to_owned(),
    ]);
    let options = format!(
        "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://{}",
        keys.display()
    );
    let broker = OwnBroker::start_with_java(&options, &properties);
    (broker, format!("127.0.0.1:{port}"))
}

#[test]
fn tokens_are_fetched_renewed_and_waited_for_and_none_of_it_is_logged() {
    if RealKafka::from_env().is_none() {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = files.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let issued = authority.issue(30);
    let endpoint = TokenEndpoint::start(&issued.certificate, &issued.key, Mood::Refuses(401));
    let (broker, bootstrap) = broker(files.path(), &endpoint);
    if broker.in_container() {
        return skip("the broker runs in a container, into which no further listener leads");
    }
    let topic = broker.new_topic("oidc", 3);
    let properties = files.path().join("kafka.properties");
    let text = format!(
        "# A comment\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\nsasl.oauthbearer.method=oidc\n\
         sasl.oauthbearer.client.id=bridge-client\nsasl.oauthbearer.client.secret={SECRET}\nsasl.oauthbearer.scope=kafka publish\n\
         sasl.oauthbearer.extensions=logicalCluster=lkc-1,identityPoolId=pool-2\n\
         sasl.oauthbearer.token.endpoint.url={}\nhttps.ca.location={}\n",
        endpoint.url(),
        ca.display()
    );
    std::fs::write(&properties, text).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("KAFKA_PROPERTIES_FILE", properties.to_str().unwrap()),
        ("LOG", "debug"),
        // With the right that a token gives, too.
        ("KAFKA_CREATE_TOPICS", "true"),
    ];
    let bridge = serve(dir.path(), &bootstrap, &topic, &settings);

    // Refused: told in plain words, counted, and deliveries are accepted all the same.
    let mut ids = accept_transactions(&bridge, 0..20);
    within(PATIENCE, "log and metric say why", || {
        let words = [
            "token endpoint",
            "401 (invalid_client)",
            "sasl.oauthbearer.client.secret",
        ];
        let counted = bridge
            .metrics()
            .maybe("publish_failures_total{reason=\"authentication\"}")
            .unwrap_or(0.0);
        (logged(&bridge, &words) && counted > 0.0).then_some(())
    });
    assert_eq!(broker.count(&topic), 0);

    // Silent: nothing waits for it but its own thread.
    endpoint.set(Mood::Silent);
    let asked = endpoint.asked();
    within(PATIENCE, "it is asked again", || {
        (endpoint.asked() > asked).then_some(())
    });
    ids.extend(accept_transactions(&bridge, 20..40));
    assert!(bridge.is_ready());

    // It grants tokens that live for 4 s: publishing goes on over several of them.
    endpoint.set(Mood::Grants(4));
    wait_until_nothing_is_pending(&bridge);
    let granted = endpoint.granted();
    let mut next = 40;
    within(PATIENCE, "tokens are renewed", || {
        ids.extend(accept_transactions(&bridge, next..next + 5));
        next += 5;
        wait_until_nothing_is_pending(&bridge);
        (endpoint.granted() >= granted + 4).then_some(())
    });

    // A token outlives a short outage of its endpoint, and a long one ends with the endpoint's return.
    endpoint.set(Mood::Refuses(503));
    let refused = endpoint.asked();
    within(PATIENCE, "it is asked in vain", || {
        (endpoint.asked() >= refused + 3).then_some(())
    });
    ids.extend(accept_transactions(&bridge, next..next + 20));
    endpoint.set(Mood::Grants(3600));
    wait_until_nothing_is_pending(&bridge);

    let records = broker.read_all(&[&topic], ids.len(), PATIENCE);
    assert_complete_and_in_order(&records, &ids);
    within(PATIENCE, "the other topic is created, too", || {
        let created = broker.topics();
        created
            .contains_key(&format!("{topic}.quarantine"))
            .then_some(())
    });
    let (credentials, body) = endpoint.requests().pop().unwrap();
    assert_eq!(credentials, format!("bridge-client:{SECRET}"));
    assert_eq!(body, "grant_type=client_credentials&scope=kafka+publish");
    let log = bridge.log().join("\n");
    for secret in [
        SECRET,
        "hunter2",
        "bridge-client",
        "lkc-1",
        "eyJ",
        "/oauth2/token",
    ] {
        assert!(!log.contains(secret), "{secret} in the log: {log}");
    }
}
