//! Simulated ICR deliveries: bodies and signatures in the documented form, every one distinct. For `demo`, tests and load.
//!
//! The shapes follow ICR's documentation: <https://docs.carbonregistry.com>, section webhooks.

use crate::domain::event::EventKind;
use crate::domain::signature::SecretSet;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A request that ICR could have sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The value of `x-icr-signature-256`.
    pub signature: String,
    /// The JSON body.
    pub body: Vec<u8>,
}

/// Makes deliveries that a bridge with the same secret accepts.
#[derive(Clone)]
pub struct Simulator {
    secrets: SecretSet,
    organizations: u64,
    run: u64,
}

/// The statuses of a transaction, in the order in which they come.
pub const STATUSES: [&str; 3] = ["pending_queue", "processed", "failed"];

/// The types of a transaction.
pub const TYPES: [&str; 3] = ["transfer", "transfer_retire", "retire"];

impl Simulator {
    /// Signs with the first secret of the set. `organizations` take turns; `run` makes the deliveries of two runs distinct.
    pub fn new(secrets: SecretSet, organizations: u64, run: u64) -> Self {
        Self {
            secrets,
            organizations: organizations.max(1),
            run,
        }
    }

    /// Delivery number `number` of an event. ICR has no event `Other`: then it is one that may come in the future.
    pub fn delivery(&self, kind: EventKind, number: u64) -> Request {
        self.sign(&self.payload(kind, number))
    }

    /// Signs a payload as ICR does: base64, HMAC over the text, and unsigned copies beside it.
    pub fn sign(&self, payload: &Value) -> Request {
        let mut outer = payload.clone();
        if let Some(outer) = outer.as_object_mut() {
            outer.remove("state");
        }
        self.sign_text(payload.to_string().as_bytes(), outer)
    }

    /// Signs any bytes as a payload, with what stands beside it.
    pub fn sign_text(&self, payload: &[u8], outer: Value) -> Request {
        self.envelope(&STANDARD.encode(payload), outer)
    }

    /// A proven delivery whose payload is no JSON.
    pub fn unintelligible(&self, number: u64) -> Request {
        self.sign_text(
            format!("run {} delivery {number}: this is not JSON", self.run).as_bytes(),
            json!({}),
        )
    }

    /// A delivery signed with a secret that nobody has.
    pub fn forged(&self, kind: EventKind, number: u64) -> Request {
        let genuine = self.delivery(kind, number);
        Request {
            signature: format!("sha256={}", "0".repeat(64)),
            ..genuine
        }
    }

    fn envelope(&self, signed_data: &str, mut outer: Value) -> Request {
        if let Some(outer) = outer.as_object_mut() {
            outer.insert("signedData".to_owned(), signed_data.into());
        }
        let signature = format!(
            "sha256={}",
            self.secrets.sign(signed_data.as_bytes()).to_hex()
        );
        Request {
            signature,
            body: outer.to_string().into_bytes(),
        }
    }

    fn payload(&self, kind: EventKind, number: u64) -> Value {
        let organization = number % self.organizations + 1;
        let name = if kind == EventKind::Other {
            "projectValidated"
        } else {
            kind.label()
        };
        let mut payload = json!({
            "event": name,
            "state": format!("{:x}-{number}", self.run),
            "installation": {
                "id": format!("{}", 100 + organization),
                "createdAt": "2022-03-14T11:01:55.941Z",
                "updatedAt": "2022-03-14T11:01:55.941Z",
                "organization": {
                    "id": format!("org{organization}"),
                    "name": format!("Organization {organization}"),
                    "url": format!("https://api.carbonregistry.com/organizations/org{organization}"),
                },
                "permissions": { "organization_info": "VIEW", "organization_inventory": "REQUEST" },
                "appNameId": "app1",
                "appId": "1",
                "accessTokensUrl": format!("https://api.carbonregistry.com/app/installations/{}/accessTokens", 100 + organization),
            },
            "sender": {
                "email": "user@example.com",
                "fullName": "John Doe",
                "id": "user1",
                "profilePicture": "https://example.com/profiles/user1.jpg",
            },
        });
        if kind.is_transaction() {
            let members = payload.as_object_mut();
            members
                .map(|members| members.insert("transaction".to_owned(), self.transaction(number)));
        }
        payload
    }

    fn transaction(&self, number: u64) -> Value {
        let pick = |list: [&'static str; 3], place: u64| list.get((place % 3) as usize).copied();
        json!({
            "id": format!("{:08x}-0000-4000-8000-{number:012x}", self.run as u32),
            "createdAt": "2024-09-02T08:15:00.120Z",
            "updatedAt": "2024-09-02T08:16:41.007Z",
            "status": pick(STATUSES, number),
            "type": pick(TYPES, number / 3),
            "amount": 1 + number % 500,
            "creditId": "exPost-2-0x51298f2f1142ecb129a2db5e6afd24f34f2e53f1",
        })
    }
}
