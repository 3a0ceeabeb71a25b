//! What a run came to, for people.

use super::expect::{Kind, Tally, Verdict};
use super::job::Job;
use crate::load::{Answer, NoAnswer, Outcome, Pace, Summary, Target};
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};
use std::time::Duration;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// Of what the other side says, so many characters are shown.
const MAX_SHOWN: usize = 300;

/// The shares of answers whose latency is told.
const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

/// An outcome in a few words.
pub(super) fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(answer) => said(answer),
        Outcome::NoAnswer(reason) => format!("no answer ({})", reason.name()),
    }
}

/// One captured delivery, as soon as its fate is known.
pub(super) fn each(name: &str, width: usize, outcome: &Outcome, verdict: Verdict) {
    let (colour, mark) = match verdict {
        Verdict::AsExpected => (GOOD, "as expected"),
        Verdict::Unexpected => (BAD, "NOT EXPECTED"),
        Verdict::Alarm => (BAD, "ALARM"),
    };
    let mut out = anstream::stdout();
    // A reader that went away is told of when the summary is printed.
    drop(writeln!(
        out,
        "{name:<width$}  {colour}{mark:<12}{colour:#}  {}",
        in_words(outcome)
    ));
}

/// The answer of a single delivery, or the summary of many.
pub(super) fn text(job: &Job, summary: &Summary, tally: &Tally) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    match &tally.last {
        Some((kind, outcome)) if job.single => single(&mut out, job, *kind, outcome)?,
        _ => whole(&mut out, job, summary, tally)?,
    }
    out.flush()
}

fn single(out: &mut impl Write, job: &Job, kind: Kind, outcome: &Outcome) -> io::Result<()> {
    writeln!(out, "{}", in_words(outcome))?;
    if let Outcome::NoAnswer(reason) = outcome {
        writeln!(out, "{}", hint(*reason, &job.plan.target))?;
    }
    match kind.judge(outcome) {
        Verdict::AsExpected => Ok(()),
        Verdict::Unexpected => writeln!(
            out,
            "{BAD}Not as expected{BAD:#}: a {} delivery should be answered {}.",
            kind.name(),
            kind.expected()
        ),
        Verdict::Alarm => writeln!(
            out,
            "{BAD}ALARM{BAD:#}: a {} delivery was taken. The endpoint does not verify what it should.",
            kind.name()
        ),
    }
}

fn whole(out: &mut impl Write, job: &Job, summary: &Summary, tally: &Tally) -> io::Result<()> {
    writeln!(
        out,
        "{} deliveries to {} in {:.2} s: {:.1} answers a second\n",
        summary.sent(),
        job.plan.target,
        summary.elapsed.as_secs_f64(),
        summary.throughput()
    )?;
    writeln!(
        out,
        "  {:<16}{:>10}{:>16}{:>14}",
        "", "sent", "expected", "as expected"
    )?;
    for (kind, counts) in &tally.kinds {
        let (name, expected) = (kind.name(), kind.expected());
        writeln!(
            out,
            "  {name:<16}{:>10}{expected:>16}{:>14}",
            counts.sent, counts.as_expected
        )?;
    }
    writeln!(out)?;
    for ((status, word), count) in &summary.answers {
        let words = format!("{status} {}", word.as_deref().unwrap_or_default());
        writeln!(out, "  {words:<32}{count:>10}")?;
    }
    for (reason, count) in &summary.no_answer {
        let words = format!("no answer: {}", reason.name());
        writeln!(
            out,
            "  {words:<32}{count:>10}  {}",
            hint(*reason, &job.plan.target)
        )?;
    }
    if summary.unsent > 0 {
        writeln!(
            out,
            "  {:<32}{:>10}  no connection was free until the end; raise --concurrency, or lower --rate",
            "due and not sent", summary.unsent
        )?;
    }
    latencies(out, job, summary)?;
    verdict(out, summary, tally)
}

fn latencies(out: &mut impl Write, job: &Job, summary: &Summary) -> io::Result<()> {
    if summary.answered() == 0 {
        return Ok(());
    }
    let since = match job.plan.pace {
        Pace::Closed => "sending",
        Pace::Open { .. } => "the scheduled time",
    };
    writeln!(out, "\n  latency of the answers, from {since}")?;
    let told: Vec<_> = PERCENTILES
        .iter()
        .map(|(name, share)| format!("{name} {:.2} ms", millis(summary.latency(*share))))
        .collect();
    writeln!(out, "  {}", told.join("   "))
}

fn verdict(out: &mut impl Write, summary: &Summary, tally: &Tally) -> io::Result<()> {
    writeln!(out)?;
    if tally.is_as_expected(summary) {
        return writeln!(out, "{GOOD}Everything was answered as expected.{GOOD:#}");
    }
    if summary.deliveries() == 0 {
        return writeln!(out, "{BAD}Nothing was sent.{BAD:#}");
    }
    if tally.alarms() > 0 {
        writeln!(
            out,
            "{BAD}ALARM{BAD:#}: {} that should have been turned away were taken. The endpoint does not verify what it should.",
            tally.alarms()
        )?;
    }
    writeln!(
        out,
        "{BAD}Not as expected{BAD:#}: {} of {}.",
        tally.unexpected() + summary.unsent,
        summary.deliveries()
    )?;
    for example in &tally.examples {
        writeln!(out, "  {example}")?;
    }
    Ok(())
}

/// What the other side said: the bridge's own words, or the beginning of whatever it is.
fn said(answer: &Answer) -> String {
    let status = answer.status;
    let shown = match (answer.word(), answer.id(), answer.detail()) {
        (Some(word), Some(id), _) => format!("{word} {id}"),
        (Some(word), None, Some(detail)) => format!("{word}: {}", detail.trim_end_matches('.')),
        (Some(word), None, None) => word,
        (None, _, Some(detail)) => detail,
        (None, _, None) => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    // What a stranger sends must not steer the terminal.
    let shown: String = shown
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_SHOWN)
        .collect();
    format!("{status} {shown}").trim_end().to_owned()
}

/// What may help.
fn hint(reason: NoAnswer, target: &Target) -> String {
    match reason {
        NoAnswer::Unresolved => "The host's name cannot be resolved; check the URL.".to_owned(),
        NoAnswer::Refused => format!("Nobody listens at {target}; is the bridge running, and is this its LISTEN address?"),
        NoAnswer::Unreachable => "There is no way to this host; check the URL and the network.".to_owned(),
        NoAnswer::Tls => "No TLS connection came about: does the endpoint speak https, and is its certificate trusted here (else SSL_CERT_FILE)?".to_owned(),
        NoAnswer::Timeout => "There was no answer within --timeout.".to_owned(),
        NoAnswer::Reset => "The other side broke the connection.".to_owned(),
        NoAnswer::Closed => "The other side closed the connection before its answer was complete.".to_owned(),
        NoAnswer::NotHttp => "What came back is no HTTP; check the port, and http against https.".to_owned(),
        NoAnswer::NoSocket => "This machine has no file descriptor or port left; lower --concurrency.".to_owned(),
        NoAnswer::GivenUp => "The run was ended before the answer came.".to_owned(),
        NoAnswer::Other => "The exchange failed.".to_owned(),
    }
}

/// In milliseconds, to the microsecond.
pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}
