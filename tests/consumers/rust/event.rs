//! A CloudEvent of icr-bridge, as far as this program needs it.

use rdkafka::message::{Headers, Message};
use serde::Deserialize;
use std::error::Error;

#[derive(Deserialize)]
pub struct Event {
    pub id: String,
    pub source: String,
    pub dataschema: String,
    pub fingerprint: String,
    pub data: Data,
}

/// The record's value. Each field that the contract names is of its one type; whatever else stands there is left alone.
#[derive(Deserialize)]
pub struct Data {
    pub event: String,
    pub organization: Option<Identified>,
    pub installation: Option<Identified>,
    pub transaction: Option<Transaction>,
}

#[derive(Deserialize)]
pub struct Identified {
    pub id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    pub id: String,
    pub credit_id: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub status: Option<String>,
    /// A decimal in plain notation: never a float.
    pub amount: Option<String>,
}

impl Event {
    /// Reads a record in either of CloudEvents' content modes.
    pub fn parse(record: &impl Message) -> Result<Self, Box<dyn Error>> {
        let header = |name: &str| {
            let headers = record
                .headers()
                .into_iter()
                .flat_map(|headers| headers.iter());
            let mut values = headers.filter(|header| header.key == name);
            let value = values.next().and_then(|header| header.value);
            value.and_then(|value| std::str::from_utf8(value).ok())
        };
        let value = record.payload().ok_or("a record without a value")?;
        if header("content-type")
            .is_some_and(|kind| kind.starts_with("application/cloudevents+json"))
        {
            return Ok(serde_json::from_slice(value)?);
        }
        let attribute = |name: &'static str| {
            let value =
                header(name).ok_or_else(|| format!("this is no CloudEvent: {name} is missing"));
            value.map(str::to_owned)
        };
        Ok(Self {
            id: attribute("ce_id")?,
            source: attribute("ce_source")?,
            dataschema: attribute("ce_dataschema")?,
            fingerprint: attribute("ce_fingerprint")?,
            data: serde_json::from_slice(value)?,
        })
    }
}
