//! What a journal does on a good day.
use super::harness::*;
use crate::support::sim_storage::SimStorage;
use icr_journal::reader::Next;
use icr_journal::storage::Disk;
use icr_journal::{AppendError, Journal, OpenError, Options, Progress, Taker};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

struct Quiet;
impl icr_journal::Observer for Quiet {}

#[test]
fn records_are_read_in_order_across_segments_and_reopenings() {
    let storage = filled(60);
    let journal = open(&storage);
    append(&journal, 61, 100);
    assert_eq!(journal.last_sequence(), 100);
    assert_eq!(read_all(&journal), [Seen::Records(1, 100)]);
    assert_eq!(read(journal.reader(77)), [Seen::Records(77, 100)]);
    assert_eq!(journal.status().damaged_segments, 0);
}

#[test]
fn the_real_disk_keeps_what_was_appended_and_permissions_are_tight() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        dir: dir.path().join("a/journal"),
        ..options()
    };
    let open = || Journal::open(Arc::new(Disk), options.clone(), Arc::new(Quiet));
    let journal = open().unwrap();
    append(&journal, 1, 60);
    assert!(matches!(open(), Err(OpenError::Locked { .. })));
    journal.hold(3, b"note", &body(3)).unwrap();
    journal.save_progress(published(20), true).unwrap();
    journal.note_outcome(1, b"topic 0 0");
    journal.close();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&options.dir), 0o700);
    for entry in std::fs::read_dir(&options.dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(
            mode(&path),
            if path.is_dir() { 0o700 } else { 0o600 },
            "{path:?}"
        );
    }
    let journal = open().unwrap();
    assert_eq!(read_all(&journal), [Seen::Records(1, 60)]);
    assert_eq!(journal.progress(), published(20));
    assert_eq!(journal.read_held(3).unwrap(), (b"note".to_vec(), body(3)));
    assert!(journal.status().free_bytes > 0);
}

#[test]
fn a_lock_held_by_somebody_else_refuses_to_open() {
    let storage = filled(3);
    let journal = open(&storage);
    assert!(matches!(
        open_with(&storage, options()),
        Err(OpenError::Locked { .. })
    ));
    journal.close();
    assert!(open_with(&storage, options()).is_ok());
}

#[test]
fn a_full_queue_and_a_closed_journal_refuse_at_once() {
    let storage = SimStorage::new(1);
    let (journal, _) = open_with(
        &storage,
        Options {
            queue: 2,
            ..options()
        },
    )
    .unwrap();
    let (started, is_started) = std::sync::mpsc::channel();
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    journal
        .append(icr_journal::Append {
            tag_length: 0,
            bytes: vec![1],
            done: Box::new(move |_| {
                started.send(()).unwrap();
                blocked.recv().unwrap();
            }),
        })
        .unwrap();
    is_started.recv().unwrap();
    let (first, second) = (
        push(&journal, b"", b"a").unwrap(),
        push(&journal, b"", b"b").unwrap(),
    );
    assert_eq!(
        push(&journal, b"", b"c").err(),
        Some(AppendError::QueueFull)
    );
    release.send(()).unwrap();
    assert_eq!(
        (first.recv().unwrap(), second.recv().unwrap()),
        (Ok(2), Ok(3))
    );
    journal.close();
    assert_eq!(push(&journal, b"", b"d").err(), Some(AppendError::Closed));
    assert!(journal.save_progress(published(1), false).is_err());
}

#[test]
fn what_waits_when_the_journal_closes_is_written_and_answered() {
    let storage = SimStorage::new(1);
    let journal = open(&storage);
    let waiting: Vec<_> = (1..=200)
        .map(|n| push(&journal, &tag(n), &body(n)).unwrap())
        .collect();
    journal.close();
    for (receiver, sequence) in waiting.into_iter().zip(1..) {
        assert_eq!(receiver.recv().unwrap(), Ok(sequence));
    }
    assert_eq!(read_all(&open(&storage)), [Seen::Records(1, 200)]);
}

#[test]
fn a_record_larger_than_a_segment_gets_its_own() {
    let storage = SimStorage::new(1);
    let journal = open(&storage);
    append(&journal, 1, 2);
    let large = vec![7; 300_000];
    assert_eq!(append_one(&journal, b"t", &large), Ok(3));
    append(&journal, 4, 30);
    drop(journal);
    let journal = open(&storage);
    let mut reader = journal.reader(3);
    let Next::Record(stored) = reader.next(Duration::ZERO).unwrap() else {
        panic!("no record");
    };
    assert_eq!(
        (stored.sequence, stored.tag, stored.body),
        (3, b"t".as_slice(), large.as_slice())
    );
    assert_eq!(read(reader), [Seen::Records(4, 30)]);
}

#[test]
fn a_reader_waits_for_the_next_record_and_can_be_woken() {
    let storage = SimStorage::new(1);
    let journal = open(&storage);
    let mut reader = journal.reader(1);
    assert_eq!(reader.next(Duration::ZERO).unwrap(), Next::Idle);
    assert_eq!(reader.next(Duration::from_millis(5)).unwrap(), Next::Idle);
    let waker = reader.waker();
    waker.wake();
    assert_eq!(reader.next(Duration::from_secs(60)).unwrap(), Next::Idle);
    let writing = journal.clone();
    let thread = std::thread::spawn(move || append(&writing, 1, 1));
    assert!(matches!(
        reader.next(Duration::from_secs(60)).unwrap(),
        Next::Record(_)
    ));
    thread.join().unwrap();
    let closing = journal.clone();
    let thread = std::thread::spawn(move || closing.close());
    assert_eq!(reader.next(Duration::from_secs(60)).unwrap(), Next::Closed);
    thread.join().unwrap();
}

#[test]
fn readers_beside_writers_see_every_record_once() {
    let storage = SimStorage::new(1);
    let journal = open(&storage);
    let reading = journal.clone();
    let reader = std::thread::spawn(move || {
        let mut reader = reading.reader(1);
        for expected in 1..=400 {
            match reader.next(Duration::from_secs(60)).unwrap() {
                Next::Record(stored) => assert_eq!(stored.sequence, expected),
                other => panic!("{other:?}"),
            }
        }
    });
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let journal = journal.clone();
            std::thread::spawn(move || {
                for _ in 0..100 {
                    append_one(&journal, b"t", &[1; 700]).unwrap();
                }
            })
        })
        .collect();
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    reader.join().unwrap();
}

#[test]
fn recent_yields_the_newest_tags_and_heads_oldest_first() {
    let storage = filled(60);
    let journal = open(&storage);
    append(&journal, 61, 70);
    for (limit, prefix) in [(0, 16), (5, 16), (30, 16), (30, 100), (1000, 0)] {
        let mut seen = Vec::new();
        let mut each = |sequence, found_tag: &[u8], head: &[u8]| {
            assert_eq!(found_tag, tag(sequence));
            assert_eq!(head, &body(sequence)[..prefix]);
            seen.push(sequence);
        };
        if prefix > 32 {
            // More than footers hold: at least what they do hold.
            let mut count = 0;
            journal
                .recent(limit, prefix, &mut |_, _, _| count += 1)
                .unwrap();
            assert_eq!(count, limit);
            continue;
        }
        journal.recent(limit, prefix, &mut each).unwrap();
        let first = 71 - limit.min(70) as u64;
        assert_eq!(seen, (first..=70).collect::<Vec<_>>());
    }
}

#[test]
fn outcomes_are_found_again_and_the_last_one_counts() {
    let storage = filled(60);
    let journal = open(&storage);
    for sequence in 1..=60_u64 {
        journal.note_outcome(sequence, format!("first {sequence}").as_bytes());
    }
    journal.tend();
    journal.note_outcome(30, b"again");
    journal.close();
    let mut seen = Vec::new();
    let mut each = |sequence, outcome: &[u8]| {
        seen.push((sequence, String::from_utf8_lossy(outcome).into_owned()))
    };
    view(&storage).outcomes(29, 31, &mut each).unwrap();
    assert_eq!(
        seen,
        [
            (29, "first 29".into()),
            (30, "again".into()),
            (31, "first 31".into())
        ]
    );
}

#[test]
fn held_records_leave_the_ledger_balanced_through_hold_crash_and_release() {
    let storage = filled(10);
    let journal = open(&storage);
    journal.hold(4, b"note", &body(4)).unwrap();
    journal.hold(9, b"note", &body(9)).unwrap();
    let progress = Progress {
        sequence: 5,
        published: 3,
        quarantined: 1,
        held: 1,
        written_off: 0,
    };
    journal.save_progress(progress, true).unwrap();
    assert_eq!(journal.held(), [4]);
    let ledger = journal.ledger();
    assert_eq!(
        (
            ledger.held,
            ledger.quarantined,
            ledger.pending,
            ledger.unaccounted
        ),
        (1, 1, 5, 0)
    );
    storage.power_off();
    drop(journal);
    storage.power_on(3);
    // The copy of 9 was made, but the cursor never passed it: it is published this time.
    let journal = open(&storage);
    assert_eq!((journal.held(), journal.held_ahead()), (vec![4], vec![9]));
    journal.supersede(9);
    let progress = Progress {
        sequence: 10,
        published: 8,
        ..progress
    };
    journal.save_progress(progress, true).unwrap();
    assert_eq!(journal.held(), [4]);
    assert_eq!(journal.ledger().unaccounted, 0);
    journal.release(4, Taker::Quarantine).unwrap();
    let ledger = journal.ledger();
    assert_eq!(
        (ledger.held, ledger.quarantined, ledger.unaccounted),
        (0, 2, 0)
    );
    journal.close();
    assert_eq!(view(&storage).ledger().unwrap(), ledger);
}

#[test]
fn the_cursor_never_moves_back() {
    let storage = filled(10);
    let journal = open(&storage);
    journal.save_progress(published(8), false).unwrap();
    journal.save_progress(published(3), true).unwrap();
    assert_eq!(journal.progress(), published(8));
    assert_eq!(journal.durable_progress(), published(8));
}

#[test]
fn a_view_works_beside_a_live_writer() {
    let storage = SimStorage::new(1);
    let journal = open(&storage);
    append(&journal, 1, 40);
    journal.save_progress(published(11), false).unwrap();
    let view = view(&storage);
    assert_eq!(view.span(), Some((1, 40)));
    assert_eq!(view.ledger().unwrap(), journal.ledger());
    assert_eq!(read(view.reader(30).unwrap()), [Seen::Records(30, 40)]);
    let verification = view.verify().unwrap();
    assert_eq!((verification.damage.len(), verification.records), (0, 40));
}

#[test]
fn the_last_clone_dropped_in_a_callback_closes_the_journal() {
    let storage = SimStorage::new(1);
    let journal = open(&storage);
    let (sender, receiver) = std::sync::mpsc::channel();
    let clone = journal.clone();
    journal
        .append(icr_journal::Append {
            tag_length: 0,
            bytes: vec![1],
            done: Box::new(move |result| {
                // Waits until the other handle is gone.
                sender.send(result).unwrap_or_default();
                drop(clone);
            }),
        })
        .unwrap();
    drop(journal);
    assert_eq!(receiver.recv().unwrap(), Ok(1));
    // The lock is given back soon after.
    while let Err(error) = open_with(&storage, options()) {
        assert!(matches!(error, OpenError::Locked { .. }));
        std::thread::yield_now();
    }
}
