//! One test for each kind of corruption: what is lost, what is not, what the journal does about it, and that a repair puts it right.
//!
//! The journals here hold 60 records: 1 to 24 and 25 to 48 in sealed segments, 49 to 60 in one that is sealed (`filled`) or that a power
//! cut left open (`cut_off`).
mod cursor;
mod flipped_bits;
mod impostors;
mod missing;
mod torn_tails;
mod versions;

use super::harness::*;
use crate::support::sim_storage::SimStorage;
use icr_journal::view::repair;
use std::path::Path;
use std::sync::Arc;

/// What is expected of a journal after a fault.
struct Expected<'a> {
    /// What a reader yields from 1 on, up to record 60.
    seen: &'a [Seen],
    /// Damaged segments and gaps that the journal counts once it has read everything.
    damaged: u64,
    /// Whether `verify` calls it damage.
    verify: bool,
    written_off: u64,
}

/// Costs nothing, and heals by itself.
const HARMLESS: Expected<'static> = Expected {
    seen: &[Seen::Records(1, 60)],
    damaged: 0,
    verify: false,
    written_off: 0,
};

/// Opens, reads and appends; then verifies and repairs a copy.
fn check(storage: &SimStorage, expected: &Expected) {
    let before = storage.snapshot();
    let verification = view(storage).verify().unwrap();
    assert_eq!(
        !verification.damage.is_empty(),
        expected.verify,
        "{verification:?}"
    );
    assert_eq!(read(view(storage).reader(1).unwrap()), expected.seen);
    assert_eq!(storage.snapshot(), before, "a view changes nothing");
    check_repair(&storage.fork(), expected);

    let journal = open(storage);
    assert_eq!(read_all(&journal), expected.seen);
    assert_eq!(journal.status().damaged_segments, expected.damaged);
    // The door stays open.
    let next = journal.last_sequence() + 1;
    append(&journal, next, next + 2);
    assert_eq!(read(journal.reader(next)), [Seen::Records(next, next + 2)]);
    journal.tend();
    journal.close();
    // Damage is set aside, and found again as such.
    let journal = open(storage);
    assert_eq!(journal.status().damaged_segments, expected.damaged);
    if expected.damaged > 0 {
        assert_eq!(read(journal.reader(next)), [Seen::Records(next, next + 2)]);
    }
}

fn check_repair(storage: &SimStorage, expected: &Expected) {
    let report = repair(Arc::new(storage.clone()), Path::new(DIR)).unwrap();
    assert_eq!(report.written_off, expected.written_off, "{report:?}");
    let verification = view(storage).verify().unwrap();
    assert_eq!(verification.damage, [], "{report:?}");
    let written_off: Vec<_> = expected
        .seen
        .iter()
        .map(|seen| match seen {
            Seen::Missing(from, to) => Seen::WrittenOff(*from, *to),
            seen => seen.clone(),
        })
        .collect();
    let journal = open(storage);
    assert_eq!(read_all(&journal), written_off);
    assert_eq!(journal.status().damaged_segments, 0);
    assert_eq!(journal.ledger().unaccounted, 0);
    journal.close();
    let again = repair(Arc::new(storage.clone()), Path::new(DIR)).unwrap();
    assert_eq!(
        again.written_off, 0,
        "a second repair finds nothing: {again:?}"
    );
}

fn one_lost(sequence: u64) -> [Seen; 3] {
    [
        Seen::Records(1, sequence - 1),
        Seen::Missing(sequence, sequence),
        Seen::Records(sequence + 1, 60),
    ]
}

fn costs_one(seen: &[Seen]) -> Expected<'_> {
    Expected {
        seen,
        damaged: 1,
        verify: true,
        written_off: 1,
    }
}
