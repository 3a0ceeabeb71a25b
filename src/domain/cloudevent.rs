//! CloudEvents 1.0, Kafka protocol binding: the attributes of a record, in binary and structured mode.
//!
//! In binary mode each attribute is a header `ce_<name>` and the event's data is the record's value; in structured mode the
//! value is one JSON object that holds the attributes and, as `data`, the same bytes. Times are RFC 3339 in UTC with
//! milliseconds. Extension names are lowercase letters, as CloudEvents demands.

use super::delivery::Millis;
use super::fields::write_name;
use jiff::Timestamp;
use std::borrow::Cow;

/// `content-type` of a record whose value is JSON.
pub const JSON: &str = "application/json";

/// `content-type` of a record in structured mode (CloudEvents Kafka binding, section 3.3).
pub const STRUCTURED: &str = "application/cloudevents+json; charset=UTF-8";

/// `dataschema` of an event record; the number changes with an incompatible value.
pub const EVENT_SCHEMA: &str = "urn:icr-bridge:event:1";

/// `dataschema` of a quarantine record.
pub const QUARANTINE_SCHEMA: &str = "urn:icr-bridge:quarantine:1";

/// `type` of a quarantine record.
pub const QUARANTINE_TYPE: &str = "com.carbonregistry.quarantined";

/// The attributes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributes {
    /// `id`: the delivery's UUIDv7.
    pub id: String,
    /// `source`: `/icr/<app>`.
    pub source: String,
    /// `type`: `com.carbonregistry.<event>`.
    pub kind: Cow<'static, str>,
    /// `subject`: the organization's id, where there is one.
    pub subject: Option<String>,
    /// `time`: acceptance.
    pub time: String,
    /// `dataschema`.
    pub data_schema: &'static str,
    /// Extension `fingerprint`: SHA-256 of `signedData` in hex.
    pub fingerprint: String,
    /// Extension `journalsequence`: the place in the journal, zero-padded to 20 digits (the most that 64 bits take) so that text sorts like numbers.
    pub journal_sequence: String,
    /// Extension `instance`, where one is configured.
    pub instance: Option<String>,
    /// Extension `replay`: the time of a replay.
    pub replay: Option<String>,
}

/// Headers in their order.
pub(super) type Headers = Vec<(&'static str, Cow<'static, str>)>;

impl Attributes {
    /// Binary mode: all attributes as headers.
    pub fn into_headers(self) -> Headers {
        let mut headers: Headers = Vec::with_capacity(16);
        headers.push(("content-type", JSON.into()));
        headers.push(("ce_specversion", "1.0".into()));
        headers.push(("ce_id", self.id.into()));
        headers.push(("ce_source", self.source.into()));
        headers.push(("ce_type", self.kind));
        headers.extend(self.subject.map(|text| ("ce_subject", text.into())));
        headers.push(("ce_time", self.time.into()));
        headers.push(("ce_dataschema", self.data_schema.into()));
        headers.push(("ce_fingerprint", self.fingerprint.into()));
        headers.push(("ce_journalsequence", self.journal_sequence.into()));
        headers.extend(self.instance.map(|text| ("ce_instance", text.into())));
        headers.extend(self.replay.map(|text| ("ce_replay", text.into())));
        headers
    }

    /// Structured mode: the envelope around `data`, which is JSON.
    pub fn into_envelope(self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(data.len() + 640);
        out.push(b'{');
        for (name, value) in [
            ("specversion", Some("1.0")),
            ("id", Some(&self.id)),
            ("source", Some(&self.source)),
            ("type", Some(&self.kind)),
            ("subject", self.subject.as_deref()),
            ("time", Some(&self.time)),
            ("datacontenttype", Some(JSON)),
            ("dataschema", Some(self.data_schema)),
            ("fingerprint", Some(&self.fingerprint)),
            ("journalsequence", Some(&self.journal_sequence)),
            ("instance", self.instance.as_deref()),
            ("replay", self.replay.as_deref()),
        ] {
            if let Some(value) = value {
                write_name(name, &mut out);
                write_string(value, &mut out);
                out.push(b',');
            }
        }
        write_name("data", &mut out);
        out.extend_from_slice(data);
        out.push(b'}');
        out
    }
}

/// RFC 3339 in UTC with milliseconds; a time beyond the year 9999 becomes the last one that can be written.
pub fn rfc3339(time: Millis) -> String {
    let millis = i64::try_from(time.0).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    format!("{timestamp:.3}")
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(plain) = rest
        .iter()
        .position(|&byte| byte < 0x20 || matches!(byte, b'"' | b'\\'))
    {
        let (before, special) = rest.split_at(plain);
        out.extend_from_slice(before);
        let Some((&byte, after)) = special.split_first() else {
            break;
        };
        if byte < 0x20 {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(&[b'\\', byte]);
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_with_milliseconds() {
        assert_eq!(rfc3339(Millis(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            rfc3339(Millis(1_725_264_900_120)),
            "2024-09-02T08:15:00.120Z"
        );
        assert_eq!(
            rfc3339(Millis(1_725_264_900_000)),
            "2024-09-02T08:15:00.000Z"
        );
        assert!(rfc3339(Millis(u64::MAX)).starts_with("9999-12-30T"));
    }

    #[test]
    fn a_written_string_reads_back_equal() {
        let text: String = (0u8..128)
            .map(char::from)
            .chain("é😀\u{2028}".chars())
            .collect();
        let mut out = Vec::new();
        write_string(&text, &mut out);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }
}
