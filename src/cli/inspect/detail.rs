//! One delivery in full: what came, what was proven, what became of it and why, and the record that the present settings make of it.

use super::output::colour;
use super::row::Row;
use super::shown::{Shown, pretty};
use crate::domain::delivery::Delivery;
use crate::domain::envelope::Envelope;
use crate::domain::glance::glance;
use crate::domain::outcome::{Fate, HeldReason, Outcome};
use crate::domain::printable::printable;
use crate::domain::privacy::Mask;
use crate::domain::reasons::QuarantineReason;
use crate::domain::record::{Occasion, Record, RecordSettings, quarantine_record, record};
use crate::ingest::wall_clock;
use crate::journal::Sequence;
use crate::journal::view::View;
use crate::survey::Found;
use anstyle::Style;
use serde::Serialize;
use std::io::{self, Write};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Where what belongs to a name begins.
const MARGIN: usize = 20;

/// The header that holds the payload again.
const SIGNED_DATA: &str = "icr_signed_data";

/// What came over HTTP.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Came {
    headers: Vec<(String, String)>,
    body: Shown,
}

/// What the signature proves.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Proven {
    signature: String,
    secret_position: u8,
    fingerprint: Option<String>,
    outer_mismatch: bool,
    payload: Option<Shown>,
}

/// A record.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Made {
    topic: String,
    key: Option<String>,
    headers: Vec<(String, String)>,
    value: Shown,
}

/// A delivery, taken apart.
pub(super) struct Facts<'a> {
    delivery: &'a Delivery<'a>,
    fate: Fate,
    copy: bool,
    /// How far publishing is.
    cursor: Sequence,
    /// What the reason for its outcome means.
    why: Option<&'static str>,
    mask: &'a Mask,
    fingerprint: Option<String>,
    outer_mismatch: bool,
    payload: Option<Vec<u8>>,
    record: Record,
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        found: &Found<'_>,
        delivery: &'a Delivery<'a>,
        view: &View,
        settings: &RecordSettings,
        mask: &'a Mask,
    ) -> Self {
        let verified = delivery.verified().ok();
        let envelope = verified.as_ref().map(|verified| verified.envelope());
        let seen = Envelope::parse(delivery.body).map(|envelope| glance(&envelope));
        Self {
            delivery,
            fate: found.fate,
            copy: found.copy,
            cursor: view.progress().sequence,
            why: found.outcome.as_ref().and_then(why),
            mask,
            fingerprint: envelope.map(|envelope| hex::encode(envelope.fingerprint())),
            outer_mismatch: seen.is_ok_and(|seen| seen.outer_mismatch),
            payload: envelope.and_then(|envelope| envelope.payload()),
            record: made(found, delivery, settings),
        }
    }

    /// The object of `--json`.
    pub(super) fn object(&self, row: Row) -> Row {
        let shown = |bytes: &[u8]| Shown::new(bytes, self.mask);
        let came = Came {
            headers: self.came_headers(),
            body: shown(self.delivery.body),
        };
        let proven = Proven {
            signature: self.delivery.signature.to_hex(),
            secret_position: self.delivery.secret_position,
            fingerprint: self.fingerprint.clone(),
            outer_mismatch: self.outer_mismatch,
            payload: self.payload.as_deref().map(shown),
        };
        let record = Made {
            topic: self.record.topic.clone(),
            key: self.key(),
            headers: self.record_headers(),
            value: shown(&self.record.value),
        };
        row.in_full(came, proven, record)
    }

    fn came_headers(&self) -> Vec<(String, String)> {
        let header = |(name, value): &(&str, &[u8])| {
            let value = match std::str::from_utf8(value) {
                Ok(text) => self.mask.text(text).into_owned(),
                Err(_) => value.escape_ascii().to_string(),
            };
            ((*name).to_owned(), value)
        };
        self.delivery.headers.iter().map(header).collect()
    }

    fn record_headers(&self) -> Vec<(String, String)> {
        let header = |(name, value): &(&'static str, std::borrow::Cow<'static, str>)| {
            let value = match *name {
                SIGNED_DATA if !self.mask.is_open() => "(withheld: it encodes the payload)".into(),
                _ => self.mask.text(value),
            };
            ((*name).to_owned(), value.into_owned())
        };
        self.record.headers.iter().map(header).collect()
    }

    fn key(&self) -> Option<String> {
        let key = String::from_utf8_lossy(self.record.key.as_deref()?);
        Some(self.mask.text(&key).into_owned())
    }

    /// The text for people.
    pub(super) fn write(&self, row: &Row, out: &mut dyn Write) -> io::Result<()> {
        let id = self.delivery.id;
        writeln!(
            out,
            "{BOLD}Delivery {id}{BOLD:#}  sequence {}",
            row.sequence
        )?;
        self.write_came(row, out)?;
        self.write_proven(out)?;
        self.write_outcome(row, out)?;
        self.write_record(out)?;
        if !self.mask.is_open() {
            let hint = "Personal data is masked; --show-personal-data shows it.";
            writeln!(out, "\n{DIM}{hint}{DIM:#}")?;
        }
        Ok(())
    }

    fn write_came(&self, row: &Row, out: &mut dyn Write) -> io::Result<()> {
        heading(out, "What came")?;
        line(out, "accepted", row.accepted_at.as_deref().unwrap_or("-"))?;
        line(out, "app", self.delivery.app)?;
        for (name, value) in self.came_headers() {
            line(out, &name, &value)?;
        }
        self.text(out, "body", self.delivery.body)
    }

    fn write_proven(&self, out: &mut dyn Write) -> io::Result<()> {
        heading(out, "What was proven")?;
        let signature = self.delivery.signature.to_hex();
        line(out, "signature", &format!("sha256={signature}"))?;
        let secret = match self.delivery.secret_position {
            0 => "position 0: the current one at that time".to_owned(),
            position => format!("position {position}: an earlier one at that time"),
        };
        line(out, "secret", &secret)?;
        line(
            out,
            "fingerprint",
            self.fingerprint.as_deref().unwrap_or("-"),
        )?;
        let differs = match self.outer_mismatch {
            true => "differs from what was signed, and was not used",
            false => "agrees with what was signed",
        };
        line(out, "outer body", differs)?;
        match &self.payload {
            Some(payload) => self.text(out, "payload", payload),
            None => line(out, "payload", "signedData is not base64"),
        }
    }

    fn write_outcome(&self, row: &Row, out: &mut dyn Write) -> io::Result<()> {
        heading(out, "What became of it")?;
        let circumstances = printable(&row.circumstances()).into_owned();
        let words = match self.fate {
            Fate::Pending => format!(
                "not published yet; publishing has come to sequence {}",
                self.cursor
            ),
            Fate::Published => circumstances,
            Fate::Quarantined => circumstances,
            Fate::Held => format!(
                "{circumstances}; not even the quarantine topic took it: it is kept on disk whatever the retention, and tried again"
            ),
            Fate::Unknown => {
                "publishing has passed it, and the note of what became of it was lost".to_owned()
            }
        };
        let (colour, name) = (colour(row.outcome), row.outcome);
        let spaces = MARGIN.saturating_sub(2 + name.len());
        writeln!(out, "  {colour}{name}{colour:#}{:spaces$}{words}", "")?;
        if let Some(why) = self.why {
            line(out, "", why)?;
        }
        if self.copy {
            line(
                out,
                "",
                "the journal has it no more: this is the copy that is held",
            )?;
        }
        Ok(())
    }

    fn write_record(&self, out: &mut dyn Write) -> io::Result<()> {
        heading(
            out,
            "Its record, as the settings of this environment make it",
        )?;
        line(out, "topic", &self.record.topic)?;
        line(out, "key", self.key().as_deref().unwrap_or("(none)"))?;
        for (name, value) in self.record_headers() {
            line(out, &name, &value)?;
        }
        self.text(out, "value", &self.record.value)
    }

    fn text(&self, out: &mut dyn Write, name: &str, bytes: &[u8]) -> io::Result<()> {
        line(out, name, &format!("{} bytes", bytes.len()))?;
        writeln!(out, "{:MARGIN$}{}", "", pretty(bytes, self.mask, MARGIN))
    }
}

fn why(outcome: &Outcome<'_>) -> Option<&'static str> {
    match outcome {
        Outcome::Published { .. } => None,
        Outcome::Quarantined { reason, .. } => Some(reason.meaning()),
        Outcome::Held { reason } => Some(match reason {
            HeldReason::Refused(reason) => reason.meaning(),
            HeldReason::Unreadable => "This bridge cannot read its record in the journal.",
        }),
    }
}

fn heading(out: &mut dyn Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{BOLD}{text}{BOLD:#}")
}

fn line(out: &mut dyn Write, name: &str, value: &str) -> io::Result<()> {
    let width = MARGIN - 4;
    writeln!(out, "  {name:width$}  {}", printable(value))
}

/// The record that it has or would get: as the publisher makes it, a broker's verdict included.
fn made(found: &Found<'_>, delivery: &Delivery<'_>, settings: &RecordSettings) -> Record {
    let occasion = Occasion {
        sequence: found.sequence,
        now: wall_clock(),
        replay: false,
    };
    let ordinary = record(delivery, settings, occasion);
    let verdict = match &found.outcome {
        Some(Outcome::Quarantined { reason, .. }) => Some(*reason),
        Some(Outcome::Held {
            reason: HeldReason::Refused(reason),
        }) => Some(*reason),
        _ => None,
    };
    let by_broker = |reason: &QuarantineReason| {
        let verdicts = [
            QuarantineReason::RecordTooLarge,
            QuarantineReason::RecordInvalid,
        ];
        verdicts.contains(reason)
    };
    match verdict.filter(by_broker) {
        Some(reason) if ordinary.quarantined.is_none() => {
            quarantine_record(delivery, reason, settings, occasion)
        }
        _ => ordinary,
    }
}
