//! The value of a quarantine record.

use super::event::Further;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A quarantine record's value: the HTTP body as ICR sent it (inflated where it was compressed), byte for byte. It is always one JSON
/// object with one string `signedData`, in UTF-8; whatever else stands in it is unproven, may repeat keys, may be nested to any depth
/// and may hold numbers and escapes that a JSON library refuses: keep the bytes. `DROP_SENDER` leaves it whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Quarantine record")]
pub struct QuarantinedBody {
    /// What ICR signed: meant to be base64 of the payload's JSON. `icr_signature` is the HMAC-SHA256 of this text.
    ///
    /// Examples: `"cnVuIDI1MDk2IGRlbGl2ZXJ5IDIxOiB0aGlzIGlzIG5vdCBKU09O"`
    #[serde(rename = "signedData")]
    pub signed_data: String,
    #[serde(flatten)]
    pub further: Further,
}
