//! How the demo looks: coloured in a terminal, plain when piped (`anstream` decides).

use super::Scene;
use super::bridge::{Answer, DemoBridge};
use super::tally::Tally;
use crate::domain::event::EventKind;
use crate::journal::Ledger;
use crate::mock_kafka::ConsumedRecord;
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const ODD: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// A pipe is taken to be this wide.
const PIPE_WIDTH: usize = 120;

pub(super) fn opening(bridge: &DemoBridge) -> io::Result<()> {
    let mut out = anstream::stdout();
    let DemoBridge { ingress, admin, .. } = bridge;
    writeln!(
        out,
        "{BOLD}icr-bridge demo{BOLD:#}: the whole bridge, an in-process Kafka broker, a temporary journal"
    )?;
    writeln!(out, "  deliveries go to  http://{ingress}/webhook")?;
    writeln!(out, "  metrics are at    http://{admin}/metrics")?;
    writeln!(out, "  Ctrl-C ends it with a summary\n")?;
    writeln!(
        out,
        "{BOLD}{:>4}  {:<27} {:<24} what became of it{BOLD:#}",
        "#", "ICR sends", "the bridge answers"
    )?;
    Ok(())
}

pub(super) fn delivery(
    number: u64,
    scene: Scene,
    answer: &Answer,
    record: Option<&ConsumedRecord>,
) -> io::Result<()> {
    let mut out = anstream::stdout();
    let colour = match (answer.word.as_str(), answer.status) {
        (_, 400..) => BAD,
        ("duplicate", _) => ODD,
        _ => GOOD,
    };
    let words = format!("{} {}", answer.status, answer.word);
    writeln!(
        out,
        "{number:>4}  {:<27} {colour}{words:<24}{colour:#} {}",
        title(scene),
        outcome(answer, record)
    )?;
    if let Some(record) = record {
        writeln!(out, "      {DIM}{}{DIM:#}", beginning(&record.value))?;
    }
    Ok(())
}

/// As much of a value as fits a line.
fn beginning(value: &[u8]) -> String {
    let width =
        terminal_size::terminal_size().map_or(PIPE_WIDTH, |(width, _)| usize::from(width.0));
    let value = String::from_utf8_lossy(value);
    let shown: String = value.chars().take(width.saturating_sub(8)).collect();
    if shown.len() < value.len() {
        shown + "…"
    } else {
        shown
    }
}

fn title(scene: Scene) -> String {
    match scene {
        Scene::Event(EventKind::Other) => "projectValidated (unknown)".to_owned(),
        Scene::Event(kind) => kind.label().to_owned(),
        Scene::Repeat => "the last transaction again".to_owned(),
        Scene::Forgery => "a forgery".to_owned(),
        Scene::Unintelligible => "something unintelligible".to_owned(),
    }
}

fn outcome(answer: &Answer, record: Option<&ConsumedRecord>) -> String {
    let Some(record) = record else {
        return match answer.word.as_str() {
            "accepted" => format!("{BAD}no record arrived{BAD:#}"),
            "duplicate" => "stored before: not published again".to_owned(),
            _ => "turned away, counted".to_owned(),
        };
    };
    let place = format!("{}[{}]@{}", record.topic, record.partition, record.offset);
    match (record.header("ce_reason"), &record.key) {
        (Some(reason), _) => format!("{ODD}{place}{ODD:#} because {reason}"),
        (None, Some(key)) => format!("{GOOD}{place}{GOOD:#} key {}", String::from_utf8_lossy(key)),
        (None, None) => place,
    }
}

pub(super) fn summary(tally: &Tally, ledger: &Ledger, adds_up: bool) -> io::Result<()> {
    let mut out = anstream::stdout();
    writeln!(out, "\n{BOLD}Summary{BOLD:#}")?;
    writeln!(
        out,
        "  sent        {:>6}  = {} accepted + {} duplicate + {} rejected",
        tally.sent, tally.accepted, tally.duplicates, tally.rejected
    )?;
    writeln!(
        out,
        "  accepted    {:>6}  = {} published + {} quarantined + {} held + {} pending",
        ledger.accepted, ledger.published, ledger.quarantined, ledger.held, ledger.pending
    )?;
    writeln!(
        out,
        "  consumed    {:>6}  = {} on icr.webhooks + {} on icr.webhooks.quarantine",
        tally.published + tally.quarantined,
        tally.published,
        tally.quarantined
    )?;
    if adds_up {
        writeln!(out, "{GOOD}  It adds up: nothing was lost.{GOOD:#}")?;
    } else {
        writeln!(out, "{BAD}  It does not add up.{BAD:#}")?;
    }
    Ok(())
}
