//! Open sets: what is known today, beside whatever may come.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A value of which the known form is documented, and any form of `Rest` is to be expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Open<Known, Rest> {
    /// What is documented today.
    Known(Known),
    /// What may come besides: consumers must tolerate it.
    Further(Rest),
}

/// A field of ICR's: documented as `T` or null; null where it is absent; and passed through unchanged whatever it is.
pub type AsSent<T> = Open<Option<T>, Anything>;

/// Any JSON value: the bridge passes on unchanged what ICR sends, of whatever type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Anything(pub Value);
