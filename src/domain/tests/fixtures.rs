//! Every delivery of `tests/fixtures/deliveries.json` meets the fate written beside it.

use crate::support::deliveries::{Fixture, Posted, fixtures};
use icr_domain::envelope::Envelope;
use icr_domain::glance::glance;
use icr_domain::normalize::{Event, Redaction, normalize};
use icr_domain::reasons::{QuarantineReason, Rejection};
use icr_domain::signature::{NoSecret, SecretSet, Signature, verify};
use serde_json::{Value, json};

#[derive(Debug)]
enum Fate {
    DoesNotStart(NoSecret),
    Rejected(Rejection),
    Quarantined(QuarantineReason),
    Accepted(Event),
}

fn fate(posted: &Posted) -> Fate {
    let proven = |secrets: &SecretSet| {
        let envelope = Envelope::parse(posted.body.as_bytes())?;
        let signature =
            Signature::from_headers(posted.signature.iter().map(|value| value.as_bytes()))?;
        verify(envelope, signature, secrets)
    };
    let secrets = match SecretSet::single(posted.secret.as_bytes()) {
        Ok(secrets) => secrets,
        Err(error) => return Fate::DoesNotStart(error),
    };
    match proven(&secrets) {
        Err(rejection) => Fate::Rejected(rejection),
        Ok(verified) => match normalize(verified.envelope().signed_data(), Redaction::default()) {
            Err(reason) => Fate::Quarantined(reason),
            Ok(event) => Fate::Accepted(event),
        },
    }
}

/// What a consumer reads, under the fixtures' names.
fn fields_of(event: &Event, fingerprint: &str) -> Value {
    let value: Value = serde_json::from_slice(&event.value).unwrap();
    let transaction = &value["transaction"];
    let transaction = match transaction {
        Value::Null => Value::Null,
        _ => json!({
            "id": transaction["id"], "status": transaction["status"], "type": transaction["type"],
            "amount_decimal": transaction["amount"], "credit_id": transaction["creditId"],
            "created_at": transaction["createdAt"], "updated_at": transaction["updatedAt"],
        }),
    };
    json!({
        "event": event.name,
        "state": value["state"],
        "installation_id": value["installation"]["id"],
        "app_id": value["installation"]["appId"],
        "app_name_id": value["installation"]["appNameId"],
        "organization_id": event.organization,
        "organization_name": value["organization"]["name"],
        "permissions": value["installation"]["permissions"],
        "sender_id": value["sender"]["id"],
        "transaction": transaction,
        "signed_data_sha256": fingerprint,
    })
}

fn fingerprint(fixture: &Fixture) -> String {
    let envelope = Envelope::parse(fixture.posted.body.as_bytes()).unwrap();
    hex_of(&envelope.fingerprint())
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_fixture_meets_its_fate() {
    let all = fixtures();
    assert_eq!(all.len(), 78);
    for fixture in all {
        let name = &fixture.posted.name;
        let (expect, reason) = match fate(&fixture.posted) {
            Fate::DoesNotStart(_) => ("rejected", Some("does_not_start")),
            Fate::Rejected(reason) => ("rejected", Some(reason.name())),
            Fate::Quarantined(reason) => ("quarantined", Some(reason.name())),
            Fate::Accepted(_) => ("accepted", None),
        };
        assert_eq!(
            (expect, reason),
            (&*fixture.expect, fixture.reason.as_deref()),
            "{name}"
        );
    }
}

#[test]
fn every_accepted_fixture_shows_the_fields_that_were_signed() {
    let mut compared = 0;
    for fixture in fixtures() {
        let name = &fixture.posted.name;
        if fixture.fields.is_null() {
            continue;
        }
        let found = match fate(&fixture.posted) {
            Fate::Accepted(event) => fields_of(&event, &fingerprint(&fixture)),
            _ => json!({"signed_data_sha256": fingerprint(&fixture)}),
        };
        for (field, expected) in fixture.fields.as_object().unwrap() {
            assert_eq!(&found[field], expected, "{name}: {field}");
            compared += 1;
        }
    }
    assert!(compared > 400, "only {compared} fields were compared");
}

#[test]
fn the_glance_agrees_with_the_understanding() {
    for fixture in fixtures() {
        if let Fate::Accepted(event) = fate(&fixture.posted) {
            let body = fixture.posted.body.as_bytes();
            let envelope = Envelope::parse(body).unwrap();
            let seen = glance(&envelope);
            assert_eq!(seen.kind, Some(event.kind), "{}", fixture.posted.name);
            assert_eq!(
                seen.installation.is_some(),
                event.organization.is_some(),
                "{}",
                fixture.posted.name
            );
        }
    }
}

#[test]
fn tampered_outer_fields_are_noticed_and_ignored() {
    let mut noticed = Vec::new();
    for fixture in fixtures()
        .iter()
        .filter(|fixture| fixture.expect != "rejected")
    {
        let body = fixture.posted.body.as_bytes();
        let envelope = Envelope::parse(body).unwrap();
        if glance(&envelope).outer_mismatch {
            noticed.push(fixture.posted.name.clone());
        }
    }
    for name in [
        "outer_tampered_event_and_org",
        "outer_tampered_types",
        "organization_missing_inside_only",
    ] {
        assert!(
            noticed.iter().any(|noticed| noticed == name),
            "{name} is not among {noticed:?}"
        );
    }
    for name in [
        "suspended",
        "outer_only_signedData",
        "warehouseTransaction_failed_transfer",
        "amount_tiny",
    ] {
        assert!(
            !noticed.iter().any(|noticed| noticed == name),
            "{name} is among {noticed:?}"
        );
    }
}
