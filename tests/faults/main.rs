//! The fault suite: tries to break the promise, and the door that stays open. See `tests/faults/README.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod broken_connections;
mod clock_jumps;
mod connect_storm;
mod copy_on_write;
mod crash_duplicates;
mod damage_bit_flip;
mod damage_cursor;
mod damage_empty;
mod damage_foreign;
mod damage_missing;
mod damage_outcomes;
mod damage_truncated;
mod damage_version;
mod disk_full_backlog;
mod disk_full_others;
mod disk_full_published;
mod disk_low_water;
mod disk_read_only;
mod disk_read_only_passing;
mod dropping_proxy;
mod empty_inflate;
mod few_descriptors;
mod folder_replaced;
mod foreign_names;
mod forged_flood;
mod garbage;
mod hang_up;
mod harness;
mod hostile_crowd;
mod idle_connections;
mod kafka_cut_off;
mod kafka_forbidden;
mod kafka_frozen;
mod kafka_killed;
mod kafka_restarts;
mod kafka_slow;
mod kafka_stopped;
mod kafka_too_few_replicas;
mod kafka_topic_deleted;
mod kill_after_roll;
mod kill_before_answer;
mod kill_in_footer;
mod kill_in_recovery;
mod kill_in_retention;
mod kill_random;
mod little_room;
mod lock_deleted;
mod log_unwritable;
mod never_reading;
mod no_inodes;
mod pipelining;
mod power_cut;
mod precautions;
mod queue_full;
mod read_error;
mod record_too_large;
mod restart;
mod restart_handover;
mod secret_changed_late;
mod secret_file;
mod segment_deleted;
mod self_check;
mod sizes;
mod slow_clients;
mod slow_syncs;
mod smuggling;
mod standstill;
#[path = "../it/support/mod.rs"]
mod support;
mod sync_error;
mod sync_error_lasting;
mod too_old;
mod topic_limit;
mod unknown_codes;
mod volume_detached;
mod write_error;
mod write_error_lasting;

use clap::Parser;
use harness::Fault;
use harness::stage::{Effort, Stage};
use harness::table::{self, Row};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use support::kafka::RealKafka;

/// All faults, in the order in which they are played.
const FAULTS: &[Fault] = &[
    self_check::FAULT,
    kill_random::FAULT,
    kill_after_roll::FAULT,
    kill_in_footer::FAULT,
    kill_in_retention::FAULT,
    kill_in_recovery::FAULT,
    kill_before_answer::FAULT,
    crash_duplicates::FAULT,
    power_cut::FAULT,
    kafka_stopped::FAULT,
    kafka_killed::FAULT,
    kafka_restarts::FAULT,
    kafka_frozen::FAULT,
    kafka_slow::FAULT,
    kafka_cut_off::FAULT,
    kafka_too_few_replicas::FAULT,
    kafka_topic_deleted::FAULT,
    kafka_forbidden::FAULT,
    topic_limit::FAULT,
    record_too_large::FAULT,
    too_old::FAULT,
    unknown_codes::FAULT,
    hang_up::FAULT,
    dropping_proxy::FAULT,
    connect_storm::FAULT,
    disk_full_others::FAULT,
    disk_full_published::FAULT,
    disk_full_backlog::FAULT,
    disk_low_water::FAULT,
    little_room::FAULT,
    no_inodes::FAULT,
    copy_on_write::FAULT,
    precautions::FAULT,
    disk_read_only::FAULT,
    disk_read_only_passing::FAULT,
    segment_deleted::FAULT,
    folder_replaced::FAULT,
    volume_detached::FAULT,
    lock_deleted::FAULT,
    read_error::FAULT,
    write_error::FAULT,
    write_error_lasting::FAULT,
    sync_error::FAULT,
    sync_error_lasting::FAULT,
    slow_syncs::FAULT,
    queue_full::FAULT,
    log_unwritable::FAULT,
    damage_bit_flip::FAULT,
    damage_truncated::FAULT,
    damage_missing::FAULT,
    damage_empty::FAULT,
    damage_foreign::FAULT,
    foreign_names::FAULT,
    damage_version::FAULT,
    damage_cursor::FAULT,
    damage_outcomes::FAULT,
    secret_changed_late::FAULT,
    secret_file::FAULT,
    clock_jumps::FAULT,
    restart_handover::FAULT,
    restart::FAULT,
    slow_clients::FAULT,
    broken_connections::FAULT,
    hostile_crowd::FAULT,
    idle_connections::FAULT,
    never_reading::FAULT,
    few_descriptors::FAULT,
    standstill::FAULT,
    pipelining::FAULT,
    garbage::FAULT,
    sizes::FAULT,
    smuggling::FAULT,
    forged_flood::FAULT,
    empty_inflate::FAULT,
];

/// Tries to break the bridge's promise.
#[derive(Parser)]
struct Options {
    /// Which faults; all where none is named. A name's beginning followed by `*` stands for several
    names: Vec<String>,
    /// How often each is played
    #[arg(long)]
    rounds: Option<u64>,
    /// The long form
    #[arg(long)]
    long: bool,
    /// Lists the faults and ends
    #[arg(long)]
    list: bool,
    /// Prints the table as JSON
    #[arg(long)]
    json: bool,
    /// How many are played at a time; 3 in the short form (where times mean little), 1 in the long one
    #[arg(long)]
    jobs: Option<usize>,
    /// Repeats the random choices of an earlier run
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        FAULTS
            .iter()
            .for_each(|fault| println!("{:24} {}", fault.name, fault.title));
        return ExitCode::SUCCESS;
    }
    let chosen = match choose(&options.names) {
        Ok(chosen) => chosen,
        Err(unknown) => {
            eprintln!("there is no fault {unknown}; --list shows them");
            return ExitCode::from(64);
        }
    };
    let Some(kafka) = RealKafka::from_env() else {
        return ExitCode::from(77);
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let effort = Effort {
        long: options.long,
        rounds: options.rounds,
        seed: options
            .seed
            .unwrap_or(now.as_nanos() as u64 >> 10 & 0xffff_ffff),
    };
    eprintln!("seed {}", effort.seed);
    let jobs = options.jobs.unwrap_or(if options.long { 1 } else { 3 });
    let rows = play_all(&kafka, &chosen, effort, jobs);
    if options.json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        println!("{}", serde_json::Value::from(rows));
    } else {
        println!();
        table::print(&rows);
    }
    // As everywhere: where nobody reads what was skipped, it counts as failed.
    let skips_fail = std::env::var("CI").as_deref() == Ok("true");
    let failed = |row: &&Row| !row.violations.is_empty() || skips_fail && row.skipped.is_some();
    let failed = rows.iter().filter(failed).count();
    if failed > 0 {
        eprintln!("{failed} of {} faults broke the promise", rows.len());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn choose(names: &[String]) -> Result<Vec<&'static Fault>, &str> {
    let matches = |fault: &Fault, name: &str| match name.strip_suffix('*') {
        Some(beginning) => fault.name.starts_with(beginning),
        None => fault.name == name,
    };
    let unknown = names
        .iter()
        .find(|name| !FAULTS.iter().any(|fault| matches(fault, name)));
    if let Some(unknown) = unknown {
        return Err(unknown);
    }
    let wanted = |fault: &&Fault| names.is_empty() || names.iter().any(|name| matches(fault, name));
    Ok(FAULTS.iter().filter(wanted).collect())
}

/// Plays faults, so many at a time; their rows in the order of the faults.
fn play_all(kafka: &RealKafka, faults: &[&Fault], effort: Effort, jobs: usize) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(fault) = faults.get(number) else {
                        return;
                    };
                    let row = play(kafka, fault, effort);
                    rows.lock().unwrap().insert(number, row);
                }
            });
        }
    });
    rows.into_inner().unwrap().into_values().collect()
}

/// Plays one fault. A panic is a violation like any other.
fn play(kafka: &RealKafka, fault: &Fault, effort: Effort) -> Row {
    eprintln!("{} … {}", fault.name, fault.title);
    let begun = Instant::now();
    let mut stage = Stage::new(kafka.clone(), fault, effort);
    let played = catch_unwind(AssertUnwindSafe(|| {
        (fault.run)(&mut stage);
        stage.finish(fault)
    }));
    let mut row = played.unwrap_or_else(|panic| Row {
        fault: fault.name,
        violations: vec![words(&*panic)],
        ..Row::default()
    });
    row.took = begun.elapsed();
    if !row.violations.is_empty() {
        let log = stage.log();
        let last = log.len().saturating_sub(40);
        // At once, since others speak too.
        let mut words = format!("{}: the bridge's last words:\n", fault.name);
        log[last..]
            .iter()
            .for_each(|line| words.push_str(&format!("  {line}\n")));
        for violation in &row.violations {
            words.push_str(&format!("{}: VIOLATION {violation}\n", fault.name));
        }
        eprint!("{words}");
    }
    eprintln!("{} done after {:.1} s", fault.name, row.took.as_secs_f64());
    row
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned())
}
