//! What a run came to, for programs: one JSON object.

use super::expect::Tally;
use super::job::Job;
use super::report::millis;
use crate::load::{Pace, Summary};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The JSON object.
#[derive(Serialize)]
struct Report<'a> {
    target: String,
    as_expected: bool,
    deliveries: u64,
    answered: u64,
    unanswered: u64,
    unsent: u64,
    alarms: u64,
    unexpected: u64,
    elapsed_seconds: f64,
    answers_per_second: f64,
    kinds: BTreeMap<&'static str, KindReport>,
    statuses: BTreeMap<String, u64>,
    words: BTreeMap<&'a str, u64>,
    no_answer: BTreeMap<&'static str, u64>,
    latency_from: &'static str,
    /// Null where there is no answer.
    latency_ms: Option<Latencies>,
    examples: &'a [String],
    /// Of a single delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerReport>,
}

#[derive(Serialize)]
struct KindReport {
    sent: u64,
    expected: &'static str,
    as_expected: u64,
    alarms: u64,
}

#[derive(Serialize)]
struct Latencies {
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

#[derive(Serialize)]
struct AnswerReport {
    status: u16,
    word: Option<String>,
    id: Option<String>,
    detail: Option<String>,
}

/// Prints the object.
pub(super) fn print(job: &Job, summary: &Summary, tally: &Tally) -> io::Result<()> {
    let report = Report::new(job, summary, tally);
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &report)?;
    writeln!(out)
}

impl<'a> Report<'a> {
    fn new(job: &Job, summary: &'a Summary, tally: &'a Tally) -> Self {
        let mut statuses = BTreeMap::new();
        let mut words = BTreeMap::new();
        for ((status, word), count) in &summary.answers {
            *statuses.entry(status.to_string()).or_default() += count;
            if let Some(word) = word {
                *words.entry(word.as_str()).or_default() += count;
            }
        }
        let answered = summary.answered() > 0;
        let latency = |share| millis(summary.latency(share));
        let latencies = || Latencies {
            p50: latency(0.5),
            p90: latency(0.9),
            p99: latency(0.99),
            p99_9: latency(0.999),
            max: latency(1.0),
        };
        Self {
            target: job.plan.target.to_string(),
            as_expected: tally.is_as_expected(summary),
            deliveries: summary.deliveries(),
            answered: summary.answered(),
            unanswered: summary.unanswered(),
            unsent: summary.unsent,
            alarms: tally.alarms(),
            unexpected: tally.unexpected(),
            elapsed_seconds: summary.elapsed.as_secs_f64(),
            answers_per_second: summary.throughput(),
            kinds: tally
                .kinds
                .iter()
                .map(|(kind, counts)| {
                    (
                        kind.name(),
                        KindReport {
                            sent: counts.sent,
                            expected: kind.expected(),
                            as_expected: counts.as_expected,
                            alarms: counts.alarms,
                        },
                    )
                })
                .collect(),
            statuses,
            words,
            no_answer: summary
                .no_answer
                .iter()
                .map(|(reason, count)| (reason.name(), *count))
                .collect(),
            latency_from: match job.plan.pace {
                Pace::Closed => "sending",
                Pace::Open { .. } => "schedule",
            },
            latency_ms: answered.then(latencies),
            examples: &tally.examples,
            answer: tally
                .last
                .as_ref()
                .filter(|_| job.single)
                .and_then(|(_, outcome)| {
                    outcome.answer().map(|answer| AnswerReport {
                        status: answer.status,
                        word: answer.word(),
                        id: answer.id(),
                        detail: answer.detail(),
                    })
                }),
        }
    }
}
