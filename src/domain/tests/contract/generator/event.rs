//! The value of an event record: what `src/domain/normalize.rs` writes, as types.
//!
//! What the bridge itself guarantees is typed strictly. What ICR chooses is an [`Open`] set: documented, and passed through
//! unchanged whatever it is.

use super::open::{Anything, AsSent, Open};
use icr_domain::event::EventKind;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Fields that no version of this contract names, at the level at which ICR sent them.
pub type Further = Map<String, Value>;

/// One webhook delivery of the International Carbon Registry (ICR), understood: a pure function of what ICR signed, so the same
/// delivery always gives the same bytes.
///
/// Compact UTF-8 JSON. The fields named here come first and in this order; what is absent is null. Then follow, unchanged and in
/// their order, all fields that this contract doesn't name; one whose name is taken here has one underscore or more put in front
/// (`_organization`). Fields, events, statuses, types and permissions may be added by ICR at any time without a new version.
///
/// For ICR's seven events `organization` and `installation` are objects with an id; for the two transaction events `transaction` is an
/// object too. An event that is not known yet may have none of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Event", transform = guarantees_of_known_events)]
pub struct Event {
    /// What happened, in ICR's words; the same name as in the record's key and in `ce_type`. Case matters. Ignore events that you
    /// don't know.
    ///
    /// Examples: `"installed"`, `"warehouseTransaction"`, `"projectValidated"`
    pub event: Open<KnownEvent, EventName>,
    /// The `state` that was passed to ICR's installation page, if any.
    ///
    /// Examples: `""`, `null`
    pub state: AsSent<String>,
    /// The organization on which the app is installed; ICR sends it inside the installation. Its id is `ce_subject` and part of the
    /// record's key.
    pub organization: Option<Organization>,
    /// The installation of your app on that organization.
    pub installation: Option<Installation>,
    /// The carbon credit transaction; null for events that are about none.
    pub transaction: Option<Transaction>,
    /// The person who caused the event: personal data. Null where ICR names none, and where the bridge runs with
    /// `DROP_SENDER=true`.
    pub sender: Option<Sender>,
    #[serde(flatten)]
    pub further: Further,
}

/// The events that ICR documents. It will add more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum KnownEvent {
    /// The app was installed on an organization.
    Installed,
    /// The app was removed from an organization.
    Uninstalled,
    /// The installation was suspended.
    Suspended,
    /// The installation was resumed. Suspended → unsuspended → suspended are three events, though the first and the last may have
    /// the same bytes.
    Unsuspended,
    /// The organization accepted new permissions of the app.
    NewPermissionsAccepted,
    /// A transaction in the app's warehouse.
    WarehouseTransaction,
    /// A transaction of the organization.
    OrganizationTransaction,
}

/// An event's name as ICR chose it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct EventName(#[schemars(regex(pattern = r"^[A-Za-z0-9_.-]{1,100}$"))] pub String);

/// An organization that is registered at ICR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Organization {
    /// ICR's id of the organization, not empty for ICR's seven events. Identify organizations by it and nothing else.
    ///
    /// Examples: `"e3f779a2-0000-4000-8000-000000000003"`
    pub id: AsSent<Id>,
    /// Its name: ICR's `name`, else `fullName`, else null. May be empty.
    ///
    /// Examples: `"Kolefnisjöfnun ehf."`, `""`, `null`
    pub name: AsSent<String>,
    /// Where ICR's API has it. Not to be called without checking it: ICR has sent URLs that begin with `undefined/`.
    ///
    /// Examples: `"https://api.carbonregistry.com/organizations/e3f779a2-0000-4000-8000-000000000003"`
    pub url: AsSent<String>,
    #[serde(flatten)]
    pub further: Further,
}

/// An id that ICR gave: not empty, otherwise opaque.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Id(#[schemars(length(min = 1))] pub String);

/// An installation of the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Installation {
    /// ICR's id of the installation, not empty for ICR's seven events.
    ///
    /// Examples: `"88f89df1-0000-4000-8000-000000000001"`
    pub id: AsSent<Id>,
    /// ICR's id of the app.
    ///
    /// Examples: `"d23967cc-0000-4000-8000-000000000002"`
    pub app_id: AsSent<String>,
    /// The app's name in ICR's URLs.
    ///
    /// Examples: `"example-connector"`
    pub app_name_id: AsSent<String>,
    /// When the installation was made: RFC 3339, in UTC.
    ///
    /// Examples: `"2022-03-14T11:01:55.941Z"`
    pub created_at: AsSent<DateTime>,
    /// When the installation last changed: RFC 3339, in UTC. ICR has sent it equal to `createdAt` although the state had changed, so
    /// don't order by it.
    ///
    /// Examples: `"2022-03-14T11:01:55.941Z"`
    pub updated_at: AsSent<DateTime>,
    /// What the app may do on the organization.
    pub permissions: AsSent<Permissions>,
    /// Where ICR's API hands out access tokens for the installation. The bridge never calls it.
    ///
    /// Examples: `"https://api.carbonregistry.com/app/installations/88f89df1-0000-4000-8000-000000000001/accessTokens"`
    pub access_tokens_url: AsSent<String>,
    #[serde(flatten)]
    pub further: Further,
}

/// A time as RFC 3339 writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct DateTime(#[schemars(extend("format" = "date-time"))] pub String);

/// Access by subject; a subject without access is left out. ICR may add subjects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Permissions {
    /// The organization's profile.
    ///
    /// Examples: `"VIEW"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Open<Access, Anything>")]
    pub organization_info: Option<Open<Access, Anything>>,
    /// Its members.
    ///
    /// Examples: `"VIEW"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Open<Access, Anything>")]
    pub organization_members: Option<Open<Access, Anything>>,
    /// Its projects.
    ///
    /// Examples: `"VIEW"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Open<Access, Anything>")]
    pub organization_projects: Option<Open<Access, Anything>>,
    /// Its inventory of credits.
    ///
    /// Examples: `"REQUEST"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Open<Access, Anything>")]
    pub organization_inventory: Option<Open<Access, Anything>>,
    /// Its warehouses.
    ///
    /// Examples: `"WRITE"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Open<Access, Anything>")]
    pub organization_warehouse: Option<Open<Access, Anything>>,
    #[serde(flatten)]
    pub further: Further,
}

/// A level of access, as far as they have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum Access {
    /// May read.
    View,
    /// May ask for changes.
    Request,
    /// May change.
    Write,
}

/// A carbon credit transaction. One transaction comes as several events, in any order: tell them apart by `id`, `creditId` and
/// `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// ICR's id of the transaction. An app that is installed on both parties gets it from both.
    ///
    /// Examples: `"0b4c6a52-6a0e-4f0c-9f0a-6f0d7b1f2c11"`
    pub id: Id,
    /// How far it is. `pending_queue` can arrive after a final status: never let it overwrite one. Treat a status that you don't know
    /// as not final.
    ///
    /// Examples: `"pending_queue"`, `"processed"`, `"failed"`
    pub status: AsSent<Status>,
    /// What kind of transaction it is.
    ///
    /// Examples: `"transfer"`, `"retire"`
    #[serde(rename = "type")]
    pub kind: AsSent<TransactionType>,
    /// How many carbon credits, as a decimal string in plain notation: exact, never an exponent, trailing zeros as ICR sent them,
    /// 100 characters at most. Credits are divisible to 10⁻¹⁸ on chain: parse it as a decimal, never through a binary float. Null where
    /// ICR names no amount.
    ///
    /// Examples: `"12.50"`, `"0.000000000000000001"`, `null`
    pub amount: Option<Amount>,
    /// The credits that it moves.
    ///
    /// Examples: `"exPost-2-0x51298f2f1142ecb129a2db5e6afd24f34f2e53f1"`
    pub credit_id: AsSent<String>,
    /// When it was created: RFC 3339, in UTC.
    ///
    /// Examples: `"2024-09-02T08:15:00.120Z"`
    pub created_at: AsSent<DateTime>,
    /// When it last changed: RFC 3339, in UTC.
    ///
    /// Examples: `"2024-09-02T08:15:03.481Z"`
    pub updated_at: AsSent<DateTime>,
    #[serde(flatten)]
    pub further: Further,
}

/// The states of a transaction that ICR documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Status {
    /// Waits to be processed: not final.
    PendingQueue,
    /// Done: final.
    Processed,
    /// Came to nothing: final.
    Failed,
}

/// The kinds of transactions that ICR documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum TransactionType {
    /// Credits change hands.
    Transfer,
    /// Credits change hands and are retired.
    TransferRetire,
    /// Credits are retired.
    Retire,
    /// A transaction is taken back. ICR's REST API knows it; no webhook with it has been seen.
    Cancel,
}

/// A decimal in plain notation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Amount(
    #[schemars(
        length(min = 1, max = 100),
        regex(pattern = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$")
    )]
    pub String,
);

/// A person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sender {
    /// ICR's id of the person.
    ///
    /// Examples: `"289a98f7-0000-4000-8000-000000000004"`
    pub id: AsSent<String>,
    /// The person's name.
    ///
    /// Examples: `"Ísabel Órdás"`
    pub full_name: AsSent<String>,
    /// The person's e-mail address.
    ///
    /// Examples: `"person@example.org"`
    pub email: AsSent<String>,
    /// Where a picture of the person is.
    ///
    /// Examples: `"https://example.com/profiles/user1.jpg"`, `null`
    pub profile_picture: AsSent<String>,
    #[serde(flatten)]
    pub further: Further,
}

/// What a type cannot say: which events are guaranteed to have which objects.
fn guarantees_of_known_events(schema: &mut Schema) {
    let names = |belongs: fn(EventKind) -> bool| -> Vec<&str> {
        let kinds = EventKind::ALL.iter().filter(|kind| belongs(**kind));
        kinds.map(|kind| kind.label()).collect()
    };
    let when = |events: Vec<&str>| json!({"properties": {"event": {"enum": events}}, "required": ["event"]});
    let with_id = json!({
        "type": "object",
        "properties": {"id": {"type": "string", "minLength": 1}},
        "required": ["id"],
    });
    schema.insert(
        "allOf".to_owned(),
        json!([
            {
                "description": "Each of ICR's seven events has an installation and an organization, with their ids.",
                "if": when(names(|kind| kind != EventKind::Other)),
                "then": {"properties": {"organization": with_id, "installation": with_id}},
            },
            {
                "description": "Each of the two transaction events has a transaction.",
                "if": when(names(EventKind::is_transaction)),
                "then": {"properties": {"transaction": {"type": "object"}}},
            },
        ]),
    );
}
