//! The value of an event record: what `src/domain/normalize.rs` writes, as types.
//!
//! Each named field is of one type, or null: the bridge guarantees it, whatever ICR sends. Which texts ICR chooses is an open set
//! (`open.rs`).

use super::open::{KNOWN_PROPERTIES, open_set};
use icr_domain::event::EventKind;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Fields that no version of this contract names, at the level at which ICR sent them.
pub type Further = Map<String, Value>;

/// One webhook delivery of the International Carbon Registry (ICR), understood: a pure function of what ICR signed, so the same
/// delivery always gives the same bytes.
///
/// Compact UTF-8 JSON. The fields named here come first and in this order, and each is of its one type; what is absent is null. Then
/// follow, unchanged and in their order, all fields that this contract doesn't name. Fields, events, statuses, types and permissions may
/// be added by ICR at any time without a new version.
///
/// Where ICR sends another type, the bridge converts it or sets it aside, so that a consumer never meets it. A number or a boolean where a
/// string belongs becomes its text, exactly as ICR spelled it (`1.50` becomes `"1.50"`). Whatever else does not fit stands unchanged under
/// the name with an underscore in front, in the same object (`_createdAt`, `_permissions`), and the named field is null; if ICR sends a
/// field of that name already, one more underscore is put in front. The same goes for fields at the root whose names this contract
/// gives to something else (`_organization`).
///
/// For ICR's seven events `organization` and `installation` are objects with an id; for the two transaction events `transaction` is an
/// object too. An event that is not known yet may have none of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Event", transform = guarantees_of_known_events)]
pub struct Event {
    /// What happened, in ICR's words; the same name as in the record's key and in `ce_type`. Case matters. Ignore events that you
    /// don't know.
    ///
    /// Examples: `"projectValidated"`
    pub event: EventName,
    /// The `state` that was passed to ICR's installation page, if any.
    ///
    /// Examples: `""`, `null`
    pub state: Option<String>,
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

open_set! {
    /// An event's name. ICR will add more than these.
    EventName [regex(pattern = r"^[A-Za-z0-9_.-]{1,100}$")] {
        "installed": "The app was installed on an organization.",
        "uninstalled": "The app was removed from an organization.",
        "suspended": "The installation was suspended.",
        "unsuspended": "The installation was resumed. Suspended → unsuspended → suspended are three events, though the first and the last may have the same bytes.",
        "newPermissionsAccepted": "The organization accepted new permissions of the app.",
        "warehouseTransaction": "A transaction in the app's warehouse.",
        "organizationTransaction": "A transaction of the organization.",
    }
}

/// An organization that is registered at ICR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Organization {
    /// ICR's id of the organization, not empty for ICR's seven events. Identify organizations by it and nothing else.
    ///
    /// Examples: `"e3f779a2-0000-4000-8000-000000000003"`
    pub id: Option<String>,
    /// Its name: ICR's `name`, else `fullName`, else null. May be empty.
    ///
    /// Examples: `"Kolefnisjöfnun ehf."`, `""`, `null`
    pub name: Option<String>,
    /// Where ICR's API has it. Not to be called without checking it: ICR has sent URLs that begin with `undefined/`.
    ///
    /// Examples: `"https://api.carbonregistry.com/organizations/e3f779a2-0000-4000-8000-000000000003"`
    pub url: Option<String>,
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
    pub id: Option<String>,
    /// ICR's id of the app.
    ///
    /// Examples: `"d23967cc-0000-4000-8000-000000000002"`
    pub app_id: Option<String>,
    /// The app's name in ICR's URLs.
    ///
    /// Examples: `"example-connector"`
    pub app_name_id: Option<String>,
    /// When the installation was made: RFC 3339; ICR has sent UTC only. Null where ICR sent no such time.
    ///
    /// Examples: `"2022-03-14T11:01:55.941Z"`
    pub created_at: Option<DateTime>,
    /// When the installation last changed: RFC 3339; ICR has sent UTC only, and it was equal to `createdAt` although the state had changed, so
    /// don't order by it.
    ///
    /// Examples: `"2022-03-14T11:01:55.941Z"`
    pub updated_at: Option<DateTime>,
    /// What the app may do on the organization.
    pub permissions: Option<Permissions>,
    /// Where ICR's API hands out access tokens for the installation. The bridge never calls it.
    ///
    /// Examples: `"https://api.carbonregistry.com/app/installations/88f89df1-0000-4000-8000-000000000001/accessTokens"`
    pub access_tokens_url: Option<String>,
    #[serde(flatten)]
    pub further: Further,
}

/// A time as RFC 3339 writes it, in the form that every date-time type takes (`src/domain/time.rs`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct DateTime(
    #[schemars(
        extend("format" = "date-time"),
        regex(
            pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
        )
    )]
    pub String,
);

/// Access by subject; a subject without access is left out. ICR may add subjects and levels of access.
///
/// Where an entry is neither string, number nor boolean, it is left out here, and what ICR sent stands whole under `_permissions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = known_subjects)]
pub struct Permissions(#[schemars(with = "BTreeMap<String, Access>")] pub Further);

/// Not as properties: with entries of names that are not known, generators make of them types that don't compile.
fn known_subjects(schema: &mut Schema) {
    let known = json!({
        "organization_info": "The organization's profile.",
        "organization_members": "Its members.",
        "organization_projects": "Its projects.",
        "organization_inventory": "Its inventory of credits.",
        "organization_warehouse": "Its warehouses.",
    });
    schema.insert(KNOWN_PROPERTIES.to_owned(), known);
}

open_set! {
    /// A level of access.
    Access {
        "VIEW": "May read.",
        "REQUEST": "May ask for changes.",
        "WRITE": "May change.",
    }
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
    pub status: Option<Status>,
    /// What kind of transaction it is.
    #[serde(rename = "type")]
    pub kind: Option<TransactionType>,
    /// How many carbon credits, as a decimal string in plain notation: exact, never an exponent, trailing zeros as ICR sent them,
    /// 100 characters at most. Credits are divisible to 10⁻¹⁸ on chain: parse it as a decimal, never through a binary float. Null where
    /// ICR names no amount.
    ///
    /// Examples: `"12.50"`, `"0.000000000000000001"`, `null`
    pub amount: Option<Amount>,
    /// The credits that it moves.
    ///
    /// Examples: `"exPost-2-0x51298f2f1142ecb129a2db5e6afd24f34f2e53f1"`
    pub credit_id: Option<String>,
    /// When it was created: RFC 3339; ICR has sent UTC only. Null where ICR sent no such time.
    ///
    /// Examples: `"2024-09-02T08:15:00.120Z"`
    pub created_at: Option<DateTime>,
    /// When it last changed: RFC 3339; ICR has sent UTC only. Null where ICR sent no such time.
    ///
    /// Examples: `"2024-09-02T08:15:03.481Z"`
    pub updated_at: Option<DateTime>,
    #[serde(flatten)]
    pub further: Further,
}

open_set! {
    /// The state of a transaction.
    Status {
        "pending_queue": "Waits to be processed: not final.",
        "processed": "Done: final.",
        "failed": "Came to nothing: final.",
    }
}

open_set! {
    /// The kind of a transaction.
    TransactionType {
        "transfer": "Credits change hands.",
        "transfer_retire": "Credits change hands and are retired.",
        "retire": "Credits are retired.",
        "cancel": "A transaction is taken back. ICR's REST API knows it; no webhook with it has been seen.",
    }
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
    pub id: Option<String>,
    /// The person's name.
    ///
    /// Examples: `"Ísabel Órdás"`
    pub full_name: Option<String>,
    /// The person's e-mail address.
    ///
    /// Examples: `"person@example.org"`
    pub email: Option<String>,
    /// Where a picture of the person is.
    ///
    /// Examples: `"https://example.com/profiles/user1.jpg"`, `null`
    pub profile_picture: Option<String>,
    #[serde(flatten)]
    pub further: Further,
}

/// What a type cannot say: which events are guaranteed to have which objects. Put as what never happens, since generators pass over `not`,
/// while some make classes of `if` and `then`.
fn guarantees_of_known_events(schema: &mut Schema) {
    let never = |belongs: fn(EventKind) -> bool, without: Value, description: &str| {
        let kinds = EventKind::ALL.iter().filter(|kind| belongs(**kind));
        let events: Vec<_> = kinds.map(|kind| kind.label()).collect();
        json!({
            "description": description,
            "not": {
                "properties": {"event": {"enum": events}},
                "required": ["event"],
                "not": {"properties": without},
            },
        })
    };
    let with_id = json!({
        "type": "object",
        "properties": {"id": {"type": "string", "minLength": 1}},
        "required": ["id"],
    });
    schema.insert(
        "allOf".to_owned(),
        json!([
            never(
                |kind| kind != EventKind::Other,
                json!({"organization": with_id, "installation": with_id}),
                "Each of ICR's seven events has an installation and an organization, with their ids.",
            ),
            never(
                EventKind::is_transaction,
                json!({"transaction": {"type": "object"}}),
                "Each of the two transaction events has a transaction.",
            ),
        ]),
    );
}
