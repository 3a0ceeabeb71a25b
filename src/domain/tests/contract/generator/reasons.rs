//! The reasons for quarantine, as the contract documents them.

use icr_domain::reasons::QuarantineReason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reasons that this version knows: the domain's, with its sentences. A test compares names and sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum KnownReason {
    /// `signedData` is not base64 in either alphabet.
    SignedDataUndecodable,
    /// The payload is not one JSON text in UTF-8.
    PayloadNotJson,
    /// The payload is JSON, but no object.
    PayloadNotObject,
    /// A key stands twice in one object, at any level of the payload.
    DuplicateKey,
    /// The payload is nested deeper than 64 levels.
    TooDeep,
    /// `event` is absent or not a string.
    EventMissing,
    /// `event` is not `[A-Za-z0-9_.-]{1,100}`.
    EventMalformed,
    /// A known event without its installation or the installation's id.
    InstallationMissing,
    /// A known event without its organization or the organization's id.
    OrganizationMissing,
    /// A transaction event whose `transaction` is absent or null.
    TransactionMissing,
    /// A `transaction` that is no object, has no id, or whose amount is neither number, numeric string nor null.
    TransactionInvalid,
    /// An amount of more than 100 characters in plain notation.
    AmountOutOfRange,
    /// The broker, or the client's own limit, refused the record for its size, alone in its batch.
    RecordTooLarge,
    /// The broker refused the record, alone in its batch, for another reason that lies in the record itself.
    RecordInvalid,
}

/// Exhaustive, so that a reason which the contract does not document yet does not compile.
impl From<QuarantineReason> for KnownReason {
    fn from(reason: QuarantineReason) -> Self {
        match reason {
            QuarantineReason::SignedDataUndecodable => Self::SignedDataUndecodable,
            QuarantineReason::PayloadNotJson => Self::PayloadNotJson,
            QuarantineReason::PayloadNotObject => Self::PayloadNotObject,
            QuarantineReason::DuplicateKey => Self::DuplicateKey,
            QuarantineReason::TooDeep => Self::TooDeep,
            QuarantineReason::EventMissing => Self::EventMissing,
            QuarantineReason::EventMalformed => Self::EventMalformed,
            QuarantineReason::InstallationMissing => Self::InstallationMissing,
            QuarantineReason::OrganizationMissing => Self::OrganizationMissing,
            QuarantineReason::TransactionMissing => Self::TransactionMissing,
            QuarantineReason::TransactionInvalid => Self::TransactionInvalid,
            QuarantineReason::AmountOutOfRange => Self::AmountOutOfRange,
            QuarantineReason::RecordTooLarge => Self::RecordTooLarge,
            QuarantineReason::RecordInvalid => Self::RecordInvalid,
        }
    }
}
