//! Simulated ICR deliveries: bodies and signatures in the documented form, every one distinct. For `demo`, `send`, tests and load.
//!
//! The shapes follow ICR's documentation: <https://docs.carbonregistry.com>, section webhooks.

use crate::domain::envelope::Envelope;
use crate::domain::event::EventKind;
use crate::domain::json;
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

impl Request {
    /// The same body with a signature of the right form, made without the secret.
    pub fn forged(self) -> Self {
        let digits = self.signature.strip_prefix(PREFIX).unwrap_or_default();
        let bytes = hex::decode(digits).unwrap_or_default();
        let wrong: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        Self {
            signature: format!("{PREFIX}{}", hex::encode(wrong)),
            ..self
        }
    }

    /// The same with a body that broke off half way: no JSON any more.
    pub fn broken_off(mut self) -> Self {
        self.body.truncate(self.body.len() / 2);
        self
    }

    /// The same with one character of `signedData` changed on the way.
    pub fn altered(mut self) -> Self {
        let token = Envelope::parse(&self.body).map(|envelope| envelope.token());
        let middle = token.map(|token| usize::midpoint(token.start, token.end));
        if let Some(byte) = middle.ok().and_then(|at| self.body.get_mut(at)) {
            *byte = if *byte == b'A' { b'B' } else { b'A' };
        }
        self
    }
}

/// What stands before the digits of a signature.
const PREFIX: &str = "sha256=";

/// Makes deliveries that a bridge with the same secret accepts.
#[derive(Clone)]
pub struct Simulator {
    secrets: SecretSet,
    organizations: u64,
    run: u64,
    body_bytes: usize,
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
            body_bytes: 0,
        }
    }

    /// The same with bodies of exactly so many bytes, where they would be shorter. `state` grows, which ICR leaves to the app.
    pub fn with_body_bytes(self, body_bytes: usize) -> Self {
        Self { body_bytes, ..self }
    }

    /// Delivery number `number` of an event. ICR has no event `Other`: then it is one that may come in the future.
    pub fn delivery(&self, kind: EventKind, number: u64) -> Request {
        let name = match kind {
            EventKind::Other => "projectValidated",
            kind => kind.label(),
        };
        self.named(name, number)
    }

    /// Delivery number `number` of an event by its name, also one that ICR does not know.
    pub fn named(&self, name: &str, number: u64) -> Request {
        let mut payload = self.payload(name, number);
        let request = self.sign(&payload);
        let missing = self.body_bytes.saturating_sub(request.body.len());
        if missing == 0 {
            return request;
        }
        // Three more bytes of a payload are four of its base64; white space at the end makes up the rest.
        let state = format!("{}{}", self.state(number), "x".repeat(missing / 4 * 3));
        if let Some(place) = payload.get_mut("state") {
            *place = state.into();
        }
        let mut request = self.sign(&payload);
        request.body.resize(self.body_bytes, b' ');
        request
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

    /// Signs a JSON text as it stands, as ICR does; what stands beside it is copied as it stands, too.
    pub fn sign_json(&self, payload: &str) -> Request {
        let mut body = String::from("{");
        for member in json::members(payload) {
            let own = ["state", "signedData"];
            if !own.iter().any(|own| json::string_is(member.key, own)) {
                body.push_str(&format!("{}:{},", member.key, member.value));
            }
        }
        let signed_data = STANDARD.encode(payload);
        body.push_str(&format!("\"signedData\":\"{signed_data}\"}}"));
        Request {
            signature: self.signature(&signed_data),
            body: body.into_bytes(),
        }
    }

    /// The signature of a body that ICR could have sent, whoever signed it before; `None` where it has no `signedData`.
    pub fn signature_of(&self, body: &[u8]) -> Option<String> {
        let envelope = Envelope::parse(body).ok()?;
        Some(self.signature(envelope.signed_data()))
    }

    /// A JSON object with a `state` of its own for each number: the same payload, another delivery.
    pub fn distinct(&self, payload: &str, number: u64) -> String {
        let state = self.state(number);
        let mut distinct = format!("{{\"state\":\"{state}\"");
        for member in json::members(payload).filter(|member| !json::string_is(member.key, "state"))
        {
            distinct.push_str(&format!(",{}:{}", member.key, member.value));
        }
        distinct.push('}');
        distinct
    }

    /// A proven delivery whose payload is no JSON.
    pub fn unintelligible(&self, number: u64) -> Request {
        self.sign_text(
            format!("run {} delivery {number}: this is not JSON", self.run).as_bytes(),
            json!({}),
        )
    }

    /// A delivery whose signature has the right form and was made without the secret.
    pub fn forged(&self, kind: EventKind, number: u64) -> Request {
        self.delivery(kind, number).forged()
    }

    fn signature(&self, signed_data: &str) -> String {
        format!(
            "{PREFIX}{}",
            self.secrets.sign(signed_data.as_bytes()).to_hex()
        )
    }

    fn state(&self, number: u64) -> String {
        format!("{:x}-{number}", self.run)
    }

    fn envelope(&self, signed_data: &str, mut outer: Value) -> Request {
        if let Some(outer) = outer.as_object_mut() {
            outer.insert("signedData".to_owned(), signed_data.into());
        }
        Request {
            signature: self.signature(signed_data),
            body: outer.to_string().into_bytes(),
        }
    }

    fn payload(&self, name: &str, number: u64) -> Value {
        let organization = number % self.organizations + 1;
        let mut payload = json!({
            "event": name,
            "state": self.state(number),
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
        if EventKind::of(name).is_transaction() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signature::{Signature, verify};

    fn simulator() -> Simulator {
        Simulator::new(SecretSet::single(b"secret").unwrap(), 3, 0xabc)
    }

    /// Whether a bridge with the same secret takes it.
    fn proven(request: &Request) -> bool {
        let secrets = SecretSet::single(b"secret").unwrap();
        let signature = Signature::from_headers([request.signature.as_bytes()]).unwrap();
        Envelope::parse(&request.body)
            .is_ok_and(|envelope| verify(envelope, signature, &secrets).is_ok())
    }

    fn payload(request: &Request) -> String {
        let envelope = Envelope::parse(&request.body).unwrap();
        let payload = STANDARD.decode(envelope.signed_data()).unwrap();
        String::from_utf8(payload).unwrap()
    }

    #[test]
    fn a_body_has_exactly_the_size_asked_for() {
        let natural = simulator().named("installed", 1).body.len();
        for more in (0..20).chain([1000, 300_001]) {
            let wanted = natural + more;
            let request = simulator().with_body_bytes(wanted).named("installed", 1);
            assert_eq!(request.body.len(), wanted, "{more}");
            assert!(proven(&request), "{more}");
        }
        let short = simulator().with_body_bytes(10).named("installed", 1);
        assert_eq!(short.body.len(), natural);
    }

    #[test]
    fn a_json_text_is_signed_and_copied_as_it_stands() {
        let text = r#"{"b": 1.50, "a":1e400,"state":"s","event":"x"}"#;
        let request = simulator().sign_json(text);
        assert!(proven(&request));
        assert_eq!(payload(&request), text);
        let body = String::from_utf8(request.body).unwrap();
        assert!(
            body.starts_with(r#"{"b":1.50,"a":1e400,"event":"x","signedData":""#),
            "{body}"
        );
        let request = simulator().sign_json("[1]");
        assert!(proven(&request) && payload(&request) == "[1]");
    }

    #[test]
    fn a_payload_is_made_distinct_by_its_state_alone() {
        let text = r#"{"event":"x", "state":"old","n":1.0}"#;
        let distinct = simulator().distinct(text, 7);
        assert_eq!(distinct, r#"{"state":"abc-7","event":"x","n":1.0}"#);
        assert_eq!(simulator().distinct("{}", 8), r#"{"state":"abc-8"}"#);
    }

    #[test]
    fn forged_altered_and_broken_off_deliveries_are_not_proven() {
        let genuine = || simulator().named("installed", 1);
        assert!(proven(&genuine()));
        assert!(!proven(&genuine().forged()) && genuine().forged().body == genuine().body);
        let altered = genuine().altered();
        assert!(!proven(&altered) && Envelope::parse(&altered.body).is_ok());
        assert!(Envelope::parse(&genuine().broken_off().body).is_err());
    }

    #[test]
    fn a_captured_body_is_signed_anew() {
        let foreign = Simulator::new(SecretSet::single(b"theirs").unwrap(), 1, 1);
        let request = foreign.named("installed", 1);
        let signature = simulator().signature_of(&request.body).unwrap();
        assert!(proven(&Request {
            signature,
            ..request
        }));
        assert_eq!(simulator().signature_of(b"{}"), None);
    }
}
