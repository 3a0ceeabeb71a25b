//! Open sets: texts of which some are known today, and others may come at any time.
//!
//! To a validator and to a code generator such a field is a plain string, so that a new event or status breaks no generated code. What is
//! known stands in `examples`, and with its meaning in [`KNOWN_VALUES`].

use schemars::Schema;
use serde_json::{Map, Value};

/// The keyword that lists what is known: an object from value to meaning.
pub const KNOWN_VALUES: &str = "x-known-values";

/// The same for the names of an object's entries: from name to meaning.
pub const KNOWN_PROPERTIES: &str = "x-known-properties";

/// Enters known values into the schema of an open set.
pub fn document<'a>(schema: &mut Schema, known: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let known: Map<String, Value> = known
        .into_iter()
        .map(|(value, meaning)| (value.to_owned(), meaning.into()))
        .collect();
    let examples = known.keys().map(String::as_str).collect::<Vec<_>>();
    schema.insert("examples".to_owned(), examples.into());
    schema.insert(KNOWN_VALUES.to_owned(), known.into());
}

/// A type for an open set: a text, and what is known of it.
macro_rules! open_set {
    ($(#[$about:meta])* $name:ident $([$($rule:tt)*])? { $($value:literal: $meaning:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[schemars(inline, transform = Self::document)]
        pub struct $name($(#[schemars($($rule)*)])? pub String);

        impl $name {
            fn document(schema: &mut schemars::Schema) {
                crate::contract::generator::open::document(schema, [$(($value, $meaning)),+]);
            }
        }
    };
}

pub(crate) use open_set;
