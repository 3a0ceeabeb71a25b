//! `schema`: the contract with consumers, on standard output.

use super::Exit;
use super::print::{self, errln};
use crate::contract::{ASYNCAPI, SCHEMAS, SchemaDocument, bundle};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// In which form
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Which schema; without a name all of them, in one document that as a schema is that of `event`
    #[arg(value_parser = names())]
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// JSON Schema, draft 2020-12
    #[default]
    JsonSchema,
    /// AsyncAPI in YAML: topics, keys, headers, guarantees and examples besides; it takes no name
    Asyncapi,
}

fn names() -> PossibleValuesParser {
    let schemas = SCHEMAS.iter();
    schemas
        .map(|schema| PossibleValue::new(schema.name).help(schema.about))
        .into()
}

pub(super) fn run(options: Options) -> Exit {
    let text = match (options.format, options.name) {
        (Format::Asyncapi, Some(name)) => {
            errln!(
                "icr-bridge: the AsyncAPI document is one whole: leave out {name}, or --format asyncapi"
            );
            return Exit::Usage;
        }
        (Format::Asyncapi, None) => ASYNCAPI.to_owned(),
        (Format::JsonSchema, None) => bundle(),
        // clap lets no other names pass.
        (Format::JsonSchema, Some(name)) => SchemaDocument::named(&name)
            .map(|schema| schema.text.to_owned())
            .unwrap_or_default(),
    };
    print::out(format_args!("{text}"));
    Exit::Done
}
