//! Signed deliveries: those of `tests/fixtures/deliveries.json`, and the full matrix of ICR's documented events.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use icr_domain::signature::SecretSet;
use serde_json::Value;

/// The secret of the matrix and of most fixtures.
pub const SECRET: &str = "It's a Secret to Everybody";

/// A delivery as it would come over HTTP.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Names the golden file as well.
    pub name: String,
    /// What it shows, for people.
    pub shows: String,
    /// The app's secret.
    pub secret: String,
    /// The value of `x-icr-signature-256`, if there is one.
    pub signature: Option<String>,
    /// The body.
    pub body: String,
}

/// A fixture: a delivery and what is to become of it.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// The delivery.
    pub posted: Posted,
    /// `accepted`, `quarantined` or `rejected`.
    pub expect: String,
    /// The word of the closed vocabulary, where it is not accepted.
    pub reason: Option<String>,
    /// What a consumer must find; null where nothing is said.
    pub fields: Value,
}

/// All of `tests/fixtures/deliveries.json`.
pub fn fixtures() -> Vec<Fixture> {
    let text = include_str!("../fixtures/deliveries.json");
    let entries: Vec<Value> = serde_json::from_str(text).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    entries
        .iter()
        .map(|entry| Fixture {
            posted: Posted {
                name: text(&entry["name"]).unwrap(),
                shows: text(&entry["why"]).unwrap_or_default(),
                secret: text(&entry["secret"]).unwrap(),
                signature: text(&entry["headers"]["x-icr-signature-256"]),
                body: text(&entry["body"]).unwrap(),
            },
            expect: text(&entry["expect"]).unwrap(),
            reason: text(&entry["reason"]),
            fields: entry["fields"].clone(),
        })
        .collect()
}

/// The fixture of this name.
pub fn fixture(name: &str) -> Fixture {
    let found = fixtures()
        .into_iter()
        .find(|fixture| fixture.posted.name == name);
    found.unwrap_or_else(|| panic!("no fixture {name}"))
}

/// Signs a payload as ICR does: outer copies of its fields, and `signedData`.
pub fn posted(name: &str, payload: &str) -> Posted {
    let signed_data = BASE64_STANDARD.encode(payload);
    let secrets = SecretSet::single(SECRET.as_bytes()).unwrap();
    let outer = payload.strip_suffix('}').unwrap();
    Posted {
        name: name.to_owned(),
        shows: String::new(),
        secret: SECRET.to_owned(),
        signature: Some(format!(
            "sha256={}",
            secrets.sign(signed_data.as_bytes()).to_hex()
        )),
        body: format!("{outer},\"signedData\":\"{signed_data}\"}}"),
    }
}

/// 2 transaction events × 3 statuses × 4 types, and the 5 lifecycle events, in ICR's documented shape. (`cancel` only its REST API
/// documents.)
pub fn matrix() -> Vec<Posted> {
    let mut all = Vec::new();
    for event in ["warehouseTransaction", "organizationTransaction"] {
        for status in ["pending_queue", "processed", "failed"] {
            for kind in ["transfer", "transfer_retire", "retire", "cancel"] {
                let transaction = format!(
                    concat!(
                        r#""transaction":{{"id":"00000000-0000-4000-8000-0000000001{:02}","createdAt":"2024-09-02T08:15:00.120Z","#,
                        r#""updatedAt":"2024-09-02T08:16:41.007Z","status":"{}","type":"{}","amount":12.50,"#,
                        r#""creditId":"exPost-2-0x51298f2f1142ecb129a2db5e6afd24f34f2e53f1"}},"#
                    ),
                    all.len() + 1,
                    status,
                    kind
                );
                let name = format!("matrix_{event}_{status}_{kind}");
                let shows = "Every event, status and type, in ICR's documented shape.".to_owned();
                all.push(Posted {
                    shows,
                    ..posted(&name, &payload(event, &transaction))
                });
            }
        }
    }
    for event in [
        "installed",
        "uninstalled",
        "suspended",
        "unsuspended",
        "newPermissionsAccepted",
    ] {
        all.push(Posted {
            shows: "Every event, in ICR's documented shape.".to_owned(),
            ..posted(&format!("matrix_{event}"), &payload(event, ""))
        });
    }
    all
}

fn payload(event: &str, transaction: &str) -> String {
    format!(
        concat!(
            r#"{{"event":"{}",{}"installation":{{"id":"88f89df1-0000-4000-8000-000000000001","createdAt":"2022-03-14T11:01:55.941Z","#,
            r#""updatedAt":"2022-03-14T11:01:55.941Z","organization":{{"id":"e3f779a2-0000-4000-8000-000000000003","#,
            r#""name":"Kolefnisjöfnun ehf.","url":"https://api.carbonregistry.com/organizations/e3f779a2-0000-4000-8000-000000000003"}},"#,
            r#""permissions":{{"organization_info":"VIEW","organization_warehouse":"WRITE"}},"appNameId":"example-connector","#,
            r#""appId":"d23967cc-0000-4000-8000-000000000002","#,
            r#""accessTokensUrl":"https://api.carbonregistry.com/app/installations/88f89df1-0000-4000-8000-000000000001/accessTokens"}},"#,
            r#""sender":{{"email":"person@example.org","fullName":"Ísabel Órdás","id":"289a98f7-0000-4000-8000-000000000004","profilePicture":null}}}}"#
        ),
        event, transaction
    )
}

/// What neither the fixtures nor the matrix show: sets that are open, and the remaining reasons for quarantine.
pub fn further() -> Vec<Posted> {
    let transaction = |rest: &str| {
        let id = "00000000-0000-4000-8000-000000000200";
        payload(
            "warehouseTransaction",
            &format!(r#""transaction":{{"id":"{id}",{rest}}},"#),
        )
    };
    let deep = format!("{}1{}", "[".repeat(64), "]".repeat(64));
    let warehouse = |replacements: &[(&str, &str)]| {
        let usual = transaction(
            r#""createdAt":"2024-09-02T08:15:00.120Z","updatedAt":"2024-09-02T08:16:41.007Z","status":"processed","type":"transfer","amount":12.50,"creditId":"exPost-2""#,
        );
        replacements.iter().fold(usual, |payload, (from, to)| {
            assert!(payload.contains(from), "{from}");
            payload.replacen(from, to, 1)
        })
    };
    [
        (
            "status_type_permission_unknown",
            "Statuses, types and permissions are open sets.",
            transaction(r#""status":"reversed","type":"swap","amount":12.50"#).replace(
                r#""organization_warehouse":"WRITE""#,
                r#""organization_audit":"ADMIN""#,
            ),
        ),
        (
            "event_unknown_without_organization",
            "An unknown event may belong to nobody: the key ends in `none`, and there is no `ce_subject`.",
            r#"{"event":"maintenanceAnnounced","at":"2026-01-01T00:00:00Z","sender":{"id":"s","email":"person@example.org"}}"#.to_owned(),
        ),
        (
            "root_names_occupied",
            "Fields whose names the contract takes get underscores in front.",
            payload(
                "installed",
                r#""organization":"not ours","_organization":1,"transaction":"none","#,
            ),
        ),
        (
            "amount_null",
            "A transaction whose amount is null, and without most of its fields.",
            transaction(r#""status":"processed","type":"transfer","amount":null"#),
        ),
        (
            "amount_out_of_range",
            "An amount of 101 characters.",
            transaction(r#""status":"processed","type":"transfer","amount":1e100"#),
        ),
        (
            "event_malformed",
            "An event name with spaces.",
            payload("not a name", ""),
        ),
        (
            "too_deep",
            "Nested deeper than 64 levels.",
            payload("installed", &format!(r#""nested":{deep},"#)),
        ),
        (
            "texts_from_numbers_and_booleans",
            "A number or a boolean where a string belongs becomes its text, exactly as ICR spelled it; so do ids, also in key and `ce_subject`.",
            warehouse(&[
                (r#""id":"00000000-0000-4000-8000-000000000200""#, r#""id":200"#),
                (r#""status":"processed""#, r#""status":true"#),
                (r#""type":"transfer""#, r#""type":1e3"#),
                (r#""creditId":"exPost-2""#, r#""creditId":1.50"#),
                (r#""id":"88f89df1-0000-4000-8000-000000000001""#, r#""id":12345678901234567890"#),
                (r#""id":"e3f779a2-0000-4000-8000-000000000003""#, r#""id":3"#),
                (r#""name":"Kolefnisjöfnun ehf.""#, r#""fullName":1984"#),
                (r#""appId":"d23967cc-0000-4000-8000-000000000002""#, r#""appId":-0.0"#),
                (r#""id":"289a98f7-0000-4000-8000-000000000004""#, r#""id":4"#),
                (r#""profilePicture":null"#, r#""profilePicture":false"#),
            ]),
        ),
        (
            "texts_that_do_not_fit",
            "An object or an array where a string belongs stands unchanged under `_<name>`, and the named field is null.",
            warehouse(&[
                (r#""status":"processed""#, r#""state":["a",{"b":1.50}],"status":{"code":"processed"}"#),
                (r#""creditId":"exPost-2""#, r#""creditId":["exPost-2","exPost-3"]"#),
                (r#""name":"Kolefnisjöfnun ehf.""#, r#""name":{"is":"Kolefnisjöfnun ehf."},"fullName":"Kolefnisjöfnun""#),
                (r#""appNameId":"example-connector""#, r#""appNameId":{}"#),
                (r#""fullName":"Ísabel Órdás""#, r#""fullName":["Ísabel","Órdás"]"#),
                (r#"{"event""#, r#"{"state":{"a":[ ]},"event""#),
            ]),
        ),
        (
            "underscored_names_taken",
            "Where ICR sends a field `_<name>` of its own, what does not fit gets one more underscore.",
            warehouse(&[
                (r#""status":"processed""#, r#""_status":"processed","status":[]"#),
                (r#""creditId":"exPost-2""#, r#""__creditId":1,"creditId":[]"#),
                (r#""name":"Kolefnisjöfnun ehf.""#, r#""name":{},"_name":"a","__name":"b""#),
                (r#"{"event""#, r#"{"_state":1,"state":{},"event""#),
            ]),
        ),
        (
            "times_that_are_none",
            "What is no RFC 3339 date-time of the documented form stands under `_createdAt` or `_updatedAt`, and the named field is null.",
            warehouse(&[
                (r#""createdAt":"2024-09-02T08:15:00.120Z""#, r#""createdAt":"""#),
                (r#""updatedAt":"2024-09-02T08:16:41.007Z""#, r#""updatedAt":1725264900"#),
                (r#""createdAt":"2022-03-14T11:01:55.941Z""#, r#""createdAt":"2022-13-14T11:01:55.941Z""#),
                (r#""updatedAt":"2022-03-14T11:01:55.941Z""#, r#""updatedAt":"2022-03-14 11:01:55""#),
            ]),
        ),
        (
            "times_leap_second_and_lower_case",
            "RFC 3339 allows them, and not every date-time type takes them: they stand under `_createdAt` and `_updatedAt`.",
            warehouse(&[
                (r#""createdAt":"2024-09-02T08:15:00.120Z""#, r#""createdAt":"2016-12-31T23:59:60Z""#),
                (r#""updatedAt":"2024-09-02T08:16:41.007Z""#, r#""updatedAt":"2024-09-02t08:16:41.007z""#),
                (r#""createdAt":"2022-03-14T11:01:55.941Z""#, r#""createdAt":"2022-03-14T11:01:55.9411234567Z""#),
                (r#""updatedAt":"2022-03-14T11:01:55.941Z""#, r#""updatedAt":"2022-03-14T11:01:55.941+18:00""#),
            ]),
        ),
        (
            "times_of_other_forms",
            "Offsets, nanoseconds and the first and last moments that a time may be.",
            warehouse(&[
                (r#""createdAt":"2024-09-02T08:15:00.120Z""#, r#""createdAt":"2024-09-02T10:15:00.123456789+02:00""#),
                (r#""updatedAt":"2024-09-02T08:16:41.007Z""#, r#""updatedAt":"2024-02-29T23:59:59-14:00""#),
                (r#""createdAt":"2022-03-14T11:01:55.941Z""#, r#""createdAt":"0001-01-01T00:00:00Z""#),
                (r#""updatedAt":"2022-03-14T11:01:55.941Z""#, r#""updatedAt":"9999-12-31T23:59:59.999Z""#),
            ]),
        ),
        (
            "permissions_of_other_types",
            "Entries that are numbers or booleans become texts; where one is null, an object or an array, what ICR sent stands whole under `_permissions`.",
            warehouse(&[(
                r#""organization_warehouse":"WRITE""#,
                r#""organization_members":true,"organization_projects":null,"organization_audit":["VIEW"],"level":2"#,
            )]),
        ),
        (
            "permissions_that_are_no_object",
            "They stand under `_permissions`.",
            warehouse(&[(
                r#"{"organization_info":"VIEW","organization_warehouse":"WRITE"}"#,
                r#"["organization_info"]"#,
            )]),
        ),
        (
            "sender_that_is_no_object",
            "It stands under `_sender`, unless `DROP_SENDER` leaves it out.",
            payload("installed", "").replace(
                r#"{"email":"person@example.org","fullName":"Ísabel Órdás","id":"289a98f7-0000-4000-8000-000000000004","profilePicture":null}"#,
                r#""Ísabel Órdás <person@example.org>""#,
            ),
        ),
        (
            "organization_id_that_is_no_text",
            "An object is no id: a known event needs one that is a string, a number or a boolean.",
            payload("installed", "").replace(
                r#""id":"e3f779a2-0000-4000-8000-000000000003""#,
                r#""id":{"uuid":"e3f779a2-0000-4000-8000-000000000003"}"#,
            ),
        ),
    ]
    .map(|(name, shows, payload)| Posted {
        shows: shows.to_owned(),
        ..posted(name, &payload)
    })
    .into()
}
