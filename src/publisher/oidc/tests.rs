use super::*;

fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = [
        (METHOD, "oidc"),
        (CLIENT_ID, "bridge"),
        (CLIENT_SECRET, "hunter2"),
        (URL, "https://login.example/token"),
    ];
    let all = all.iter().chain(pairs);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn of(pairs: &[(&str, &str)]) -> Oidc {
    Oidc::of(&properties(pairs)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn problems(pairs: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    Oidc::of(&properties(pairs)).err().unwrap_or_default()
}

fn jwt(claims: &str) -> String {
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

fn granted(token: &str, expires_in: serde_json::Value) -> Granted {
    let granted = serde_json::json!({"access_token": token, "expires_in": expires_in});
    serde_json::from_value(granted).unwrap()
}

#[test]
fn a_token_is_used_until_the_earlier_of_its_two_ends() {
    let oidc = of(&[]);
    let seconds = |token: &str, expires_in| {
        oidc.token(granted(token, expires_in), 1_000_000)
            .map(|token| token.lifetime.as_secs())
            .map_err(|error| error.to_string())
    };
    assert_eq!(seconds(&jwt(r#"{"exp":1060}"#), 3600.into()), Ok(60));
    assert_eq!(seconds(&jwt(r#"{"exp":1060}"#), 30.into()), Ok(30));
    assert_eq!(
        seconds(&jwt(r#"{"exp":1060}"#), serde_json::Value::Null),
        Ok(60)
    );
    assert_eq!(seconds("opaque", "30".into()), Ok(30));
    assert_eq!(seconds("opaque", serde_json::Value::Null), Ok(300));
    assert_eq!(seconds("opaque", 1e300.into()), Ok(30 * 86_400));
    assert!(
        seconds("opaque", (-1).into())
            .unwrap_err()
            .contains("expired")
    );
    assert!(
        seconds(&jwt(r#"{"exp":900}"#), 3600.into())
            .unwrap_err()
            .contains("clock")
    );
    assert!(
        seconds("", 3600.into())
            .unwrap_err()
            .contains("access_token")
    );
}

#[test]
fn the_principal_is_the_tokens_subject_or_the_clients_id() {
    let principal = |token: &str| {
        let granted = granted(token, 60.into());
        of(&[])
            .token(granted, 1_000_000)
            .map(|token| token.principal)
            .unwrap()
    };
    assert_eq!(principal(&jwt(r#"{"sub":"service"}"#)), "service");
    assert_eq!(principal("opaque"), "bridge");
}

#[test]
fn every_problem_is_told_by_the_name_of_its_property() {
    for (name, value, words) in [
        (CLIENT_ID, "", "is required"),
        (CLIENT_SECRET, "", "is required"),
        (URL, "", "is required"),
        (URL, "login.example/token", "is not a URL"),
        (URL, "ftp://login.example/token", "http or https"),
        (
            URL,
            "https://hunter2:hunter2@login.example/token",
            "user name or password",
        ),
        (URL, "https://login.example:0/token", "port 0"),
        (
            GRANT,
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "client_credentials",
        ),
        (EXTENSIONS, "hunter2", "name=value"),
        (EXTENSIONS, "auth=hunter2", "name=value"),
        (CA_LOCATION, "/nowhere/hunter2", "cannot be read"),
        (CA_PEM, "hunter2", "no usable CA certificate"),
    ] {
        let found = problems(&[(name, value)]);
        let [(about, problem)] = found.as_slice() else {
            panic!("{name}={value}: {found:?}");
        };
        assert_eq!(*about, name);
        assert!(problem.contains(words), "{problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
    assert_eq!(
        problems(&[(CLIENT_ID, ""), (URL, "x"), (CA_PEM, "x")]).len(),
        3
    );
}

#[test]
fn extensions_are_names_and_values() {
    let oidc = of(&[(EXTENSIONS, "logicalCluster=lkc-1, identityPoolId=pool-2")]);
    let expected = [("logicalCluster", "lkc-1"), ("identityPoolId", "pool-2")];
    let found: Vec<_> = oidc
        .extensions
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_refusal_says_what_to_check_and_repeats_nothing_of_the_answer() {
    let words = |status, body: &str| refused(status, body.as_bytes()).to_string();
    let denied = words(
        401,
        r#"{"error":"invalid_client","error_description":"bridge/hunter2"}"#,
    );
    assert!(
        denied.contains("401 (invalid_client)") && denied.contains("client.secret"),
        "{denied}"
    );
    let odd = words(400, r#"{"error":"hunter2"}"#);
    assert!(odd.contains("400;") && !odd.contains("hunter2"), "{odd}");
    assert!(words(302, "").contains("redirects"));
    assert!(words(404, "<html>").contains("token.endpoint.url"));
}
