//! The CloudEvents attributes of a record, one type each: headers and structured events are made of them.

use icr_domain::cloudevent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! attributes {
    ($($(#[$about:meta])* $name:ident $([$($rule:tt)*])?;)+) => {
        $(
            $(#[$about])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
            #[schemars(inline)]
            pub struct $name($(#[schemars($($rule)*)])? pub String);
        )+
    };
}

attributes! {
    /// How the value is encoded: JSON.
    JsonContentType [extend("const" = cloudevent::JSON)];

    /// Says that the value is a whole CloudEvent.
    StructuredContentType [extend("const" = cloudevent::STRUCTURED)];

    /// Version of CloudEvents.
    SpecVersion [extend("const" = "1.0")];

    /// The delivery's id, a UUIDv7: the same on every re-publication, so that consumers recognise what they have processed.
    ///
    /// Examples: `"0191b1e5-7e78-7000-8000-000000000001"`
    DeliveryId [
        extend("format" = "uuid"),
        regex(pattern = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
    ];

    /// The app or environment that delivered: `/icr/<app>`, `/icr/default` for the bridge's path `/webhook`.
    ///
    /// Examples: `"/icr/default"`, `"/icr/sandbox"`
    Source [regex(pattern = r"^/icr/[a-z0-9-]{1,32}$")];

    /// `com.carbonregistry.` and the event's name, which is an open set.
    ///
    /// Examples: `"com.carbonregistry.installed"`, `"com.carbonregistry.warehouseTransaction"`
    EventType [regex(pattern = r"^com\.carbonregistry\.[A-Za-z0-9_.-]{1,100}$")];

    /// Says that the delivery is proven, and could not be understood.
    QuarantineType [extend("const" = cloudevent::QUARANTINE_TYPE)];

    /// The organization's id. Left out where there is none, which only happens with events that are not known yet.
    ///
    /// Examples: `"e3f779a2-0000-4000-8000-000000000003"`
    Subject [length(min = 1)];

    /// When the bridge accepted the delivery: RFC 3339 with milliseconds, in UTC. It is the record's timestamp as well, except for a
    /// replay, and says nothing about when the event happened.
    ///
    /// Examples: `"2024-09-02T08:15:00.120Z"`
    Time [
        extend("format" = "date-time"),
        regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$")
    ];

    /// How the data is encoded: JSON.
    DataContentType [extend("const" = cloudevent::JSON)];

    /// The schema of the data, and its version: the number changes when a consumer could break. Stop at one that you don't know.
    EventSchema [extend("const" = cloudevent::EVENT_SCHEMA)];

    /// The schema of a quarantine record, and its version.
    QuarantineSchema [extend("const" = cloudevent::QUARANTINE_SCHEMA)];

    /// SHA-256 of `signedData` in lowercase hex: the same for each of ICR's own repeats of a delivery, whichever replica of the bridge
    /// took it.
    ///
    /// Examples: `"324e682b15a66d7bb1a653f5c10549e8560ae3b658e5828512d346e6ffaf94fe"`
    Fingerprint [regex(pattern = r"^[0-9a-f]{64}$")];

    /// The delivery's place in the journal of its instance, zero-padded to 20 digits so that text sorts like numbers. It rises within
    /// one instance; gaps mean nothing. Compare it only among records of the same `ce_instance`: each replica counts its own journal,
    /// and all replicas share `ce_source`.
    ///
    /// Examples: `"00000000000000000042"`
    JournalSequence [regex(pattern = r"^[0-9]{20}$")];

    /// The replica that took the delivery, where the operator named it.
    ///
    /// Examples: `"bridge-1"`
    Instance [regex(pattern = r"^[A-Za-z0-9_.-]{1,64}$")];

    /// Only on a replay that an operator asked for: its time, RFC 3339 with milliseconds, in UTC. The record's timestamp is that time
    /// too; everything else is as it was.
    ///
    /// Examples: `"2024-09-03T09:00:00.000Z"`
    Replay [
        extend("format" = "date-time"),
        regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$")
    ];

    /// Only with `SIGNATURE_HEADERS=true`: the text that ICR signed, exactly as it came (base64 of the payload).
    SignedData;

    /// ICR's signature in 64 lowercase hex digits: HMAC-SHA256 over the text of `signedData`, the webhook secret being the key. On event
    /// records only with `SIGNATURE_HEADERS=true`.
    ///
    /// Examples: `"843ef1f910434a180a97bf99cb3e796109723b3a67d0d5ccf300a20a04adbb64"`
    SignatureHex [regex(pattern = r"^[0-9a-f]{64}$")];
}
