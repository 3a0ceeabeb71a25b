//! Captured deliveries: a JSON file of headers and bodies, as in `tests/fixtures/deliveries.json`.

use super::SendError;
use super::expect::Kind;
use crate::load::{Delivery, SIGNATURE_HEADER};
use crate::simulator::Simulator;
use hyper::HeaderMap;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A delivery as it was captured.
#[derive(Debug, Clone)]
pub(super) struct Captured {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) delivery: Delivery,
}

/// One entry of the file. Other members are the capturer's own business.
#[derive(Deserialize)]
struct Entry {
    name: Option<String>,
    headers: BTreeMap<String, Values>,
    body: String,
    expect: Option<Expect>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Accepted,
    Quarantined,
    Rejected,
}

/// What a connection adds by itself.
const OWN: [HeaderName; 4] = [HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING];

/// Reads a file's text; of several deliveries those with these names, or all.
pub(super) fn read(text: &str, names: &[String]) -> Result<Vec<Captured>, SendError> {
    let captured = parse(text).and_then(|entries| {
        let all = entries.into_iter().enumerate();
        all.map(|(place, entry)| Captured::new(place, entry))
            .collect::<Result<Vec<_>, _>>()
    });
    let captured = captured.map_err(|error| SendError::Usage(format!("--fixture: {error}")))?;
    choose(captured, names).map_err(SendError::Usage)
}

fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let entries = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map(|entry| vec![entry])
    } else {
        serde_json::from_str(text)
    };
    entries.map_err(|error| {
        format!(
            "this is no file of captured deliveries ({error}); it is a JSON array of objects with `headers` (an object) and `body` (a string)"
        )
    })
}

fn choose(captured: Vec<Captured>, names: &[String]) -> Result<Vec<Captured>, String> {
    if captured.is_empty() {
        return Err("--fixture: the file holds no delivery".to_owned());
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| !captured.iter().any(|captured| captured.name == **name))
    {
        let known: Vec<_> = captured.iter().map(|captured| &*captured.name).collect();
        return Err(format!(
            "--name: the file holds no delivery `{unknown}`; there are: {}",
            known.join(", ")
        ));
    }
    let wanted = |captured: &Captured| names.is_empty() || names.contains(&captured.name);
    Ok(captured.into_iter().filter(wanted).collect())
}

impl Captured {
    fn new(place: usize, entry: Entry) -> Result<Self, String> {
        let name = entry.name.unwrap_or_else(|| format!("#{}", place + 1));
        let mut headers = HeaderMap::new();
        for (header, values) in entry.headers {
            let parsed = HeaderName::from_bytes(header.as_bytes())
                .map_err(|_| format!("delivery `{name}`: `{header}` is no name of a header"))?;
            let values = match values {
                Values::One(value) => vec![value],
                Values::Many(values) => values,
            };
            for value in values.iter().filter(|_| !OWN.contains(&parsed)) {
                let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
                    format!("delivery `{name}`: the header `{header}` cannot have this value")
                })?;
                headers.append(&parsed, value);
            }
        }
        let kind = match entry.expect {
            Some(Expect::Rejected) => Kind::CapturedWrong,
            Some(Expect::Accepted | Expect::Quarantined) | None => Kind::Captured,
        };
        Ok(Self {
            name,
            kind,
            delivery: Delivery {
                headers,
                body: entry.body.into(),
                tag: (),
            },
        })
    }

    /// Signs it anew, unless it is meant to be wrong.
    pub(super) fn re_signed(mut self, simulator: &Simulator) -> Result<Self, SendError> {
        if self.kind == Kind::CapturedWrong {
            return Ok(self);
        }
        let signature = simulator.signature_of(&self.delivery.body);
        let signature = signature.and_then(|signature| HeaderValue::from_str(&signature).ok());
        let Some(signature) = signature else {
            return Err(SendError::Usage(format!(
                "--re-sign: the body of delivery `{}` has no one string `signedData` to sign; leave it out with --name, or write `\"expect\": \"rejected\"` beside it",
                self.name
            )));
        };
        self.delivery.headers.insert(SIGNATURE_HEADER, signature);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str, names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        match read(text, &names) {
            Err(SendError::Usage(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_delivery_and_several_are_read_and_chosen_by_name() {
        let one =
            r#"{"headers": {"X-A": ["1", "2"], "Host": "h", "Content-Length": "7"}, "body": "b"}"#;
        let captured = read(one, &[]).unwrap();
        assert_eq!((captured.len(), &*captured[0].name), (1, "#1"));
        let headers = &captured[0].delivery.headers;
        assert_eq!(
            (headers.len(), headers.get_all("x-a").iter().count()),
            (2, 2)
        );
        let two = r#"[{"name": "a", "headers": {}, "body": ""}, {"name": "b", "headers": {}, "body": "", "expect": "rejected"}]"#;
        let captured = read(two, &["b".to_owned()]).unwrap();
        assert_eq!((captured.len(), captured[0].kind), (1, Kind::CapturedWrong));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        for (text, word) in [
            ("", "no file of captured deliveries"),
            ("[]", "holds no delivery"),
            (r#"[{"body": ""}]"#, "missing field `headers`"),
            (
                r#"{"headers": {"a b": "c"}, "body": ""}"#,
                "`a b` is no name",
            ),
            (
                r#"{"headers": {"a": "\n"}, "body": ""}"#,
                "cannot have this value",
            ),
            (
                r#"{"headers": {}, "body": "", "expect": "maybe"}"#,
                "unknown variant `maybe`",
            ),
        ] {
            assert!(problem(text, &[]).contains(word), "{}", problem(text, &[]));
        }
        let text = r#"{"name": "a", "headers": {}, "body": "{}"}"#;
        assert!(problem(text, &["b"]).contains("there are: a"));
    }
}
