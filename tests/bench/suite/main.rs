//! The bridge against its physical floors; see `tests/bench/README.md`. Prints, and asserts nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod baseline;
mod bounds;
mod cost;
mod flood;
mod floors;
mod growth;
mod instructions;
mod latency;
mod load;
mod machine;
mod report;
mod subject;
mod throughput;
mod topic;
mod worst;

use clap::{Parser, ValueEnum};
use report::Report;
use std::path::PathBuf;

/// Measures the bridge beside what it cannot be faster than, in one run
#[derive(Parser)]
struct Options {
    /// Rows to measure (else all)
    rows: Vec<Row>,
    /// Also what takes long: five million deliveries of backlog
    #[arg(long)]
    long: bool,
    /// Writes everything that was measured as JSON, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Row {
    /// CPU of a delivery, and the floors under it
    Cost,
    /// Instructions of a delivery
    Instructions,
    /// Deliveries a second
    Throughput,
    /// The time of an answer
    Latency,
    /// What grows with the journal and with connections
    Growth,
    /// Forgeries
    Flood,
    /// The requests that cost most
    Worst,
    /// What it may take at most: hostile connections, wake-ups
    Bounds,
}

fn main() {
    if baseline::serve_if_asked() {
        return;
    }
    let options = Options::parse();
    let wants = |row: Row| options.rows.is_empty() || options.rows.contains(&row);
    let mut report = Report::new();
    if wants(Row::Cost) || wants(Row::Throughput) {
        let costs = cost::measure(&mut report);
        if wants(Row::Throughput) {
            throughput::measure(&mut report, &costs);
        }
    }
    if wants(Row::Instructions) {
        instructions::measure(&mut report);
    }
    if wants(Row::Latency) {
        latency::measure(&mut report);
    }
    if wants(Row::Flood) {
        flood::measure(&mut report);
    }
    if wants(Row::Worst) {
        worst::measure(&mut report);
    }
    if wants(Row::Bounds) {
        bounds::measure(&mut report);
    }
    if wants(Row::Growth) {
        growth::measure(&mut report, options.long);
    }
    report.print();
    if let Some(path) = options.json {
        std::fs::write(path, report.json()).unwrap();
    }
}
