//! Damage to the files of a journal: where the records stand, found by their ids alone, and what must follow.
//!
//! Half of the time the damaged records are on no topic yet, half of the time they are.

use super::load::Plan;
use super::stage::Stage;
use crate::support::eventually::eventually;
use icr_bridge::domain::delivery::Delivery;
use icr_bridge::journal::reader::Next;
use icr_bridge::journal::storage::Disk;
use icr_bridge::journal::view::View;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// A record in a segment's file.
pub struct Place {
    pub id: Uuid,
    pub start: usize,
    /// Where the next one starts; of the last one of a segment: somewhere in it.
    pub end: usize,
}

/// A segment's file, and the accepted records in it.
pub struct Segment {
    pub path: PathBuf,
    pub records: Vec<Place>,
}

impl Segment {
    pub fn name(&self) -> String {
        self.path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    pub fn ids(&self) -> Vec<Uuid> {
        self.records.iter().map(|record| record.id).collect()
    }

    /// A record of it that others follow: more than make a group.
    pub fn any_record(&self, stage: &mut Stage) -> Option<&Place> {
        let count = self
            .records
            .len()
            .checked_sub(10)
            .filter(|count| *count > 0)?;
        self.records.get(stage.random(count as u64) as usize)
    }

    /// Changes the file's bytes.
    pub fn edit(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(&self.path).unwrap();
        change(&mut bytes);
        std::fs::write(&self.path, bytes).unwrap();
    }
}

/// What was done to a journal, and what must follow.
#[derive(Default)]
pub struct Damage {
    /// Files that `journal verify` must name. Without any it must find nothing.
    pub files: Vec<String>,
    /// Records that this destroyed: these and no others may be missing.
    pub victims: Vec<Uuid>,
    /// Whether the alarm must be up: `journal_damaged_segments`.
    pub alarm: Alarm,
}

/// When the alarm goes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alarm {
    /// Nothing is damaged that would matter.
    #[default]
    Never,
    /// Once the damaged place is read: to publish what stands there, or by `journal verify`. A start does not read what is sealed.
    WhenRead,
    /// As soon as the bridge listens.
    AtStart,
}

/// Some segments fill within a second.
const PLAN: Plan = Plan {
    rate: 1500,
    connections: 8,
};

/// Lets a journal fill, stops the bridge, has the journal damaged, and looks whether everything follows that must. `harm` gets the segments
/// in their order, the newest last.
pub fn play(stage: &mut Stage, harm: fn(&mut Stage, u64, &[Segment]) -> Damage) {
    // So that short forms do not always play the same variants.
    let first = stage.random(24);
    for round in stage.rounds(2, 24) {
        let round = first + round;
        let unpublished = round.is_multiple_of(2);
        if unpublished {
            stage.kafka_away();
        }
        stage.start();
        let known: HashSet<_> = stage.accepted_ids().collect();
        stage.load_on_with(PLAN);
        stage.accept(600);
        stage.load_off();
        if !unpublished {
            stage.settle();
        }
        // What the damage did to earlier ones has been judged by then; a kill leaves the newest segment unsealed.
        if round % 4 < 2 {
            stage.terminate();
        } else {
            wait_for_the_cursor(stage);
            stage.kill();
        }
        let mut found = segments(stage);
        // Earlier ones are published by now.
        found.retain(|segment| !known.contains(&segment.records[0].id));
        let before = ids(stage.journal());
        let damage = harm(stage, round, &found);
        if unpublished {
            stage.take(damage.victims.iter().copied());
        }
        check_copy(stage, &damage, &before);

        stage.kafka_back();
        stage.start();
        let at_once = damage.alarm == Alarm::AtStart;
        assert!(!at_once || is_alarmed(stage), "the alarm is up at once");
        assert!(stage.bridge().is_ready());
        stage.load_on_with(PLAN);
        stage.accept(100);
        stage.load_off();
        stage.settle();
        match damage.alarm {
            Alarm::Never => assert!(!is_alarmed(stage), "nothing raised the alarm"),
            Alarm::WhenRead if !unpublished => {}
            _ => assert!(is_alarmed(stage), "the alarm is up"),
        }
        stage.terminate();
        repair(stage, stage.journal());
    }
    stage.start();
    assert!(!is_alarmed(stage), "the alarm is down after the repair");
}

fn is_alarmed(stage: &Stage) -> bool {
    stage.bridge().metrics().value("journal_damaged_segments") > 0.0
}

/// Waits until the cursor says that everything is synced: it does so once a second, and a loss of what it does not know of may go unnoticed.
fn wait_for_the_cursor(stage: &Stage) {
    let last = stage.stats()["last_sequence"]
        .as_u64()
        .unwrap()
        .to_le_bytes();
    eventually("the cursor says how far records are synced", || {
        let bytes = std::fs::read(stage.journal().join("cursor")).unwrap();
        // One of its two slots; see `src/journal/cursor.rs`.
        let says = |slot: usize| bytes.get(slot + 72..slot + 80) == Some(&last);
        (says(0) || says(4096)).then_some(())
    });
}

/// `journal verify` finds the damage, `journal repair` mends it, and every good record is there afterwards, in order.
fn check_copy(stage: &Stage, damage: &Damage, before: &[Uuid]) {
    let copy = stage.folder().join("copy");
    let copied = Command::new("cp")
        .arg("-a")
        .arg(stage.journal())
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    let verified = stage.command(&["journal", "verify"], &copy);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    let expected = if damage.files.is_empty() { 0 } else { 65 };
    assert_eq!(verified.status.code(), Some(expected), "{said}");
    for file in &damage.files {
        let named = said
            .lines()
            .any(|line| line.starts_with("DAMAGE") && line.contains(file));
        assert!(named, "verify does not name {file}: {said}");
    }
    repair(stage, &copy);
    let victims: HashSet<_> = damage.victims.iter().collect();
    let good: Vec<_> = before
        .iter()
        .filter(|id| !victims.contains(id))
        .copied()
        .collect();
    let after = ids(&copy);
    let differs = after
        .iter()
        .zip(&good)
        .position(|(one, other)| one != other);
    assert!(
        after == good,
        "of {} good records {} are there after a repair; the first that differs: {differs:?}",
        good.len(),
        after.len()
    );
    std::fs::remove_dir_all(copy).unwrap();
}

fn repair(stage: &Stage, journal: &Path) {
    let repaired = stage.command(&["journal", "repair"], journal);
    assert_eq!(repaired.status.code(), Some(0), "{repaired:?}");
    let verified = stage.command(&["journal", "verify"], journal);
    assert_eq!(
        verified.status.code(),
        Some(0),
        "after a repair: {verified:?}"
    );
}

/// The ids of all records that can be read, in their order.
fn ids(journal: &Path) -> Vec<Uuid> {
    let view = View::open(Arc::new(Disk), journal).unwrap();
    let mut reader = view.reader(1).unwrap();
    let mut ids = Vec::new();
    loop {
        match reader.next(Duration::ZERO).unwrap() {
            Next::Record(stored) => ids.push(Delivery::decode(stored.body).unwrap().id),
            Next::Missing { .. } => {}
            Next::Closed | Next::Idle => return ids,
        }
    }
}

/// The segments, in order, with the records in them. An id stands in its record's frame first; footers repeat it.
fn segments(stage: &Stage) -> Vec<Segment> {
    let accepted: HashSet<[u8; 16]> = stage.accepted_ids().map(|id| *id.as_bytes()).collect();
    // All ids of a run begin with the same bytes of their time.
    let start = accepted.iter().next().unwrap()[..3].to_vec();
    let entries = std::fs::read_dir(stage.journal()).unwrap();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    paths.sort();
    let segment = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        let mut seen = HashSet::new();
        let places: Vec<(Uuid, usize)> = memchr::memmem::find_iter(&bytes, &start)
            .filter_map(|at| {
                let id: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
                (accepted.contains(&id) && seen.insert(id)).then(|| (Uuid::from_bytes(id), at))
            })
            .collect();
        // The first record starts where the header ends.
        let skip = places.first().map_or(0, |(_, at)| at - HEADER);
        let ends = places.iter().skip(1).map(|(_, at)| at - skip);
        let last = places.last().map_or(0, |(_, at)| at + 16);
        let records = places
            .iter()
            .zip(ends.chain([last]))
            .map(|((id, at), end)| Place {
                id: *id,
                start: at - skip,
                end,
            })
            .collect();
        Segment { path, records }
    };
    let all = paths.into_iter().map(segment);
    all.filter(|segment| !segment.records.is_empty()).collect()
}

/// Where records begin in a segment's file.
const HEADER: usize = 8192;
