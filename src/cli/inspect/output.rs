//! Where rows and details go: a table whose columns fit, or JSON lines.

use super::Failure;
use super::detail::Facts;
use super::row::Row;
use crate::cli::print::WIDEST;
use crate::cli::print::errln;
use crate::domain::printable::{printable, printable_json};
use crate::journal::Sequence;
use crate::survey::Step;
use anstyle::{AnsiColor, Style};
use std::io::{self, BufWriter, Write};

/// So many rows are gathered to find out how wide the columns must be.
const GATHERED: usize = 256;

const TITLES: [&str; 6] = ["ACCEPTED", "ID", "APP", "EVENT", "ORGANIZATION", "OUTCOME"];

const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const ODD: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// The colour in which an outcome is shown, on a terminal.
pub(super) fn colour(outcome: &str) -> Style {
    match outcome {
        "published" => GOOD,
        "held" | "unknown" => BAD,
        _ => ODD,
    }
}

pub(super) struct Output {
    out: Box<dyn Write>,
    json: bool,
    rows: Vec<[String; 6]>,
    outcomes: Vec<&'static str>,
    widths: [usize; 5],
    titled: bool,
    detailed: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        let out: Box<dyn Write> = if json {
            Box::new(BufWriter::new(io::stdout()))
        } else {
            Box::new(BufWriter::new(anstream::stdout()))
        };
        Self {
            out,
            json,
            rows: Vec::new(),
            outcomes: Vec::new(),
            widths: [0; 5],
            titled: false,
            detailed: false,
        }
    }

    /// Shows a delivery in a line.
    pub(super) fn row(&mut self, row: Row) -> Result<(), Failure> {
        if self.json {
            return self.object(&row);
        }
        self.outcomes.push(row.outcome);
        self.rows.push(cells(row));
        if self.rows.len() >= GATHERED {
            self.lines().map_err(Failure::Write)?;
        }
        Ok(())
    }

    /// Shows a delivery in full.
    pub(super) fn detail(&mut self, row: Row, facts: &Facts<'_>) -> Result<(), Failure> {
        if self.json {
            return self.object(&facts.object(row));
        }
        let blank = std::mem::replace(&mut self.detailed, true);
        let written = if blank { writeln!(self.out) } else { Ok(()) };
        written
            .and_then(|()| facts.write(&row, &mut self.out))
            .map_err(Failure::Write)
    }

    fn object(&mut self, row: &Row) -> Result<(), Failure> {
        // Numbers, texts and JSON that was checked: nothing that could fail.
        let line = serde_json::to_string(row).map_err(|error| Failure::Write(error.into()))?;
        writeln!(self.out, "{}", printable_json(&line)).map_err(Failure::Write)
    }

    /// Says what came in the way, after what was shown so far.
    pub(super) fn say(&mut self, words: &str) -> Result<(), Failure> {
        self.flush()?;
        errln!("icr-bridge: {words}");
        Ok(())
    }

    /// Writes all that was gathered.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.lines()
            .and_then(|()| self.out.flush())
            .map_err(Failure::Write)
    }

    fn lines(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        if !self.titled {
            self.widen(&TITLES);
        }
        rows.iter().for_each(|row| self.widen(row));
        if !std::mem::replace(&mut self.titled, true) {
            write!(self.out, "{BOLD}")?;
            self.line(&TITLES, Style::new())?;
            write!(self.out, "{BOLD:#}")?;
        }
        let outcomes = std::mem::take(&mut self.outcomes);
        for (row, outcome) in rows.iter().zip(outcomes) {
            self.line(row, colour(outcome))?;
        }
        Ok(())
    }

    fn widen(&mut self, row: &[impl AsRef<str>; 6]) {
        for (width, cell) in self.widths.iter_mut().zip(row) {
            *width = (*width).max(cell.as_ref().chars().count().min(WIDEST));
        }
    }

    fn line(&mut self, row: &[impl AsRef<str>; 6], colour: Style) -> io::Result<()> {
        for (cell, width) in row.iter().zip(self.widths) {
            write!(self.out, "{:width$}  ", cell.as_ref())?;
        }
        let last = row.last().map_or("", AsRef::as_ref);
        writeln!(self.out, "{colour}{last}{colour:#}")
    }
}

fn cells(row: Row) -> [String; 6] {
    let circumstances = row.circumstances();
    let outcome = format!("{} {circumstances}", row.outcome);
    let cell = |text: Option<String>| match text {
        Some(text) => printable(&text).into_owned(),
        None => "-".to_owned(),
    };
    let id = match row.id {
        Some(id) => id,
        None => format!("(sequence {}: unreadable)", row.sequence),
    };
    [
        cell(row.accepted_at),
        id,
        cell(row.app),
        cell(row.event),
        cell(row.organization),
        printable(outcome.trim_end()).into_owned(),
    ]
}

/// What a step other than a delivery means for who looks for deliveries.
pub(super) fn words(step: &Step<'_>) -> String {
    match step {
        Step::Missing {
            from,
            to,
            written_off,
        } => {
            let verb = if from == to { "is" } else { "are" };
            let rest = match written_off {
                true => ", and written off by `icr-bridge journal repair`",
                false => " in the journal; see `icr-bridge journal verify`",
            };
            format!("{} {verb} lost to damage{rest}", span(*from, *to))
        }
        Step::Unnoted { from, error } => format!(
            "what became of the deliveries from the sequence {from} on cannot be read: {error}"
        ),
        Step::Found(_) | Step::End => String::new(),
    }
}

/// Deliveries, as the beginning of a sentence.
pub(super) fn span(from: Sequence, to: Sequence) -> String {
    if from == to {
        format!("the delivery with the sequence {from}")
    } else {
        format!("the deliveries with the sequences {from} to {to}")
    }
}
