//! What is printed: a row for each fault.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a fault has shown.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub fault: &'static str,
    pub rounds: u64,
    pub sent: u64,
    pub accepted: u64,
    /// By status or error.
    pub others: BTreeMap<String, u64>,
    pub published: u64,
    pub quarantined: u64,
    pub duplicated: u64,
    pub lost: u64,
    pub out_of_order: u64,
    /// The longest time without a 202 while deliveries were sent.
    pub gap: Duration,
    /// The longest time from the end of the fault to the next 202.
    pub recovery: Option<Duration>,
    /// Why deliveries were not answered 202, where that cannot be otherwise.
    pub why: Option<&'static str>,
    /// What the fault itself tells.
    pub notes: Vec<String>,
    /// What is not as it must be.
    pub violations: Vec<String>,
    /// It could not run here, and why.
    pub skipped: Option<String>,
    pub took: Duration,
}

impl Row {
    pub fn refused(&self) -> u64 {
        self.others.values().sum()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "fault": self.fault,
            "rounds": self.rounds,
            "sent": self.sent,
            "accepted": self.accepted,
            "not_accepted": self.others,
            "published": self.published,
            "quarantined": self.quarantined,
            "duplicated": self.duplicated,
            "lost": self.lost,
            "out_of_order": self.out_of_order,
            "longest_without_202_seconds": self.gap.as_secs_f64(),
            "recovery_seconds": self.recovery.map(|time| time.as_secs_f64()),
            "why_not_accepted": self.why.filter(|_| self.refused() > 0),
            "notes": self.notes,
            "violations": self.violations,
            "skipped": self.skipped,
            "took_seconds": self.took.as_secs_f64(),
        })
    }

    fn cells(&self) -> [String; 13] {
        let result = match (&self.skipped, self.violations.is_empty()) {
            (Some(_), _) => "skipped",
            (None, true) => "ok",
            (None, false) => "FAILED",
        };
        [
            self.fault.to_owned(),
            self.rounds.to_string(),
            self.sent.to_string(),
            self.accepted.to_string(),
            self.refused().to_string(),
            self.published.to_string(),
            self.quarantined.to_string(),
            self.duplicated.to_string(),
            self.lost.to_string(),
            self.out_of_order.to_string(),
            seconds(self.gap),
            self.recovery.map_or_else(|| "-".to_owned(), seconds),
            result.to_owned(),
        ]
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

const HEADS: [&str; 13] = [
    "fault",
    "rounds",
    "sent",
    "202",
    "not 202",
    "published",
    "quarantined",
    "duplicated",
    "lost",
    "out of order",
    "longest without 202",
    "recovery",
    "",
];

/// The table, and below it what the rows have to say.
pub fn print(rows: &[Row]) {
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    let width = |column: usize| {
        let all = cells.iter().map(|row| row[column].len());
        all.chain([HEADS[column].len()]).max().unwrap_or(0)
    };
    let line = |row: &[String; 13]| {
        let mut line = format!("{:<1$}", row[0], width(0));
        for (column, cell) in row.iter().enumerate().skip(1) {
            line.push_str(&format!("  {cell:>0$}", width(column)));
        }
        line.trim_end().to_owned()
    };
    println!("{}", line(&HEADS.map(str::to_owned)));
    cells.iter().for_each(|row| println!("{}", line(row)));
    println!();
    rows.iter().for_each(print_notes);
}

fn print_notes(row: &Row) {
    if row.refused() > 0 {
        let kinds: Vec<_> = row
            .others
            .iter()
            .map(|(kind, n)| format!("{n} {kind}"))
            .collect();
        let why = row.why.unwrap_or("nothing excuses that");
        println!("{}: not 202: {}: {why}", row.fault, kinds.join(", "));
    }
    for note in &row.notes {
        println!("{}: {note}", row.fault);
    }
    if let Some(why) = &row.skipped {
        println!("{}: SKIPPED: {why}", row.fault);
    }
    for violation in &row.violations {
        println!("{}: VIOLATION: {violation}", row.fault);
    }
}
