//! Figures, not assertions: `cargo test --release journal::speed -- --ignored --nocapture`.
use super::harness::*;
use icr_journal::reader::Next;
use icr_journal::storage::Disk;
use icr_journal::{Append, Journal, Observer, Options};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Count {
    groups: AtomicU64,
    syncing: AtomicU64,
}

impl Observer for Count {
    fn synced(&self, _: usize, _: usize, sync: Duration) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.syncing
            .fetch_add(sync.as_micros() as u64, Ordering::Relaxed);
    }
    fn warning(&self, message: &str) {
        println!("{message}");
    }
}

/// User and system time so far, microseconds.
fn cpu() -> (u64, u64) {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: plain data, filled by the call.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let of = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    (of(usage.ru_utime), of(usage.ru_stime))
}

/// CPU a record since then.
fn spent(since: (u64, u64), records: u64) -> String {
    let now = cpu();
    let each = |now: u64, then: u64| (now - then) as f64 / records as f64;
    format!(
        "{:.2} µs user + {:.2} µs system",
        each(now.0, since.0),
        each(now.1, since.1)
    )
}

fn real(dir: &Path, segment_bytes: u64, count: &Arc<Count>) -> Journal {
    let options = Options {
        dir: dir.to_owned(),
        segment_bytes,
        spare_segments: 2,
        retention_bytes: 100 << 30,
        ..options()
    };
    Journal::open(Arc::new(Disk), options, Arc::clone(count) as _).unwrap()
}

#[test]
#[ignore = "measures"]
fn records_per_second_with_64_threads() {
    let dir = tempfile::tempdir_in(".").unwrap();
    let count = Arc::new(Count::default());
    let journal = real(dir.path(), 64 << 20, &count);
    const EACH: u64 = 5000;
    let (begun, before) = (Instant::now(), cpu());
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let (sender, receiver) = sync_channel(1);
                for _ in 0..EACH {
                    let sender = sender.clone();
                    journal
                        .append(Append {
                            tag_length: 40,
                            bytes: vec![7; 2048],
                            done: Box::new(move |result| sender.send(result.unwrap()).unwrap()),
                        })
                        .unwrap();
                    receiver.recv().unwrap();
                }
            });
        }
    });
    let (time, used) = (begun.elapsed(), spent(before, 64 * EACH));
    let groups = count.groups.load(Ordering::Relaxed);
    println!(
        "{:.0} records/s, {used} a record, {groups} groups, {} µs a sync",
        (64 * EACH) as f64 / time.as_secs_f64(),
        count.syncing.load(Ordering::Relaxed) / groups.max(1),
    );
    let begun = Instant::now();
    let mut reader = journal.reader(1);
    let mut records = 0;
    while let Next::Record(_) = reader.next(Duration::ZERO).unwrap() {
        records += 1;
    }
    println!(
        "{:.0} records/s read",
        f64::from(records) / begun.elapsed().as_secs_f64()
    );
    let begun = Instant::now();
    journal.close();
    println!("closed in {:?}", begun.elapsed());
    let begun = Instant::now();
    let journal = real(dir.path(), 64 << 20, &count);
    println!("opened in {:?}", begun.elapsed());
    let begun = Instant::now();
    let mut seen = 0;
    journal
        .recent(100_000, 16, &mut |_, _, _| seen += 1)
        .unwrap();
    println!("{seen} recent in {:?}", begun.elapsed());
}

#[test]
#[ignore = "measures"]
fn appends_without_waiting() {
    let dir = tempfile::tempdir_in(".").unwrap();
    let count = Arc::new(Count::default());
    let journal = real(dir.path(), 64 << 20, &count);
    const RECORDS: u64 = 400_000;
    let (begun, before) = (Instant::now(), cpu());
    let done = Arc::new(AtomicU64::new(0));
    let mut queued = 0;
    while queued < RECORDS {
        let counted = Arc::clone(&done);
        let append = Append {
            tag_length: 40,
            bytes: vec![7; 2048],
            done: Box::new(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            }),
        };
        match journal.append(append) {
            Ok(()) => queued += 1,
            Err(_) => std::thread::yield_now(),
        }
    }
    journal.close();
    let (time, used) = (begun.elapsed(), spent(before, RECORDS));
    println!(
        "{:.0} records/s, {used} a record (allocation by the caller included), {} groups",
        RECORDS as f64 / time.as_secs_f64(),
        count.groups.load(Ordering::Relaxed),
    );
}
