//! The journal against a model, with crashes and faults as operations.
use super::harness::*;
use crate::support::eventually::eventually;
use crate::support::sim_storage::{Operation, SimStorage};
use icr_journal::reader::Next;
use icr_journal::{Append, AppendError, Journal, OpenError, Options, Progress, Sequence};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

#[derive(Debug, Clone)]
enum Op {
    Append {
        records: u8,
        bytes: u16,
    },
    Wait,
    Crash {
        seed: u64,
    },
    CrashSoon {
        operations: u8,
        seed: u64,
    },
    /// The power goes again while the journal recovers.
    CrashOpening {
        operations: u8,
        seed: u64,
    },
    Reopen,
    DiskFull {
        left: u32,
    },
    Heal,
    Fail {
        operation: Operation,
        times: u8,
    },
    Publish {
        part: u8,
        sync: bool,
    },
    Tend {
        hours: u8,
    },
    /// The segment being written is deleted, and given the time to be written again.
    Unlink,
    /// The folder is away while records come.
    Away {
        records: u8,
    },
    /// The first reads of the next start fail, though not lastingly.
    ReopenFaltering {
        times: u8,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let failing = prop_oneof![
        Just(Operation::Write),
        Just(Operation::Sync),
        Just(Operation::Create),
        Just(Operation::Rename),
        Just(Operation::SyncDir),
        Just(Operation::Remove),
        Just(Operation::Read),
    ];
    prop_oneof![
        8 => (1..12_u8, 0..4000_u16).prop_map(|(records, bytes)| Op::Append { records, bytes }),
        4 => Just(Op::Wait),
        3 => any::<u64>().prop_map(|seed| Op::Crash { seed }),
        3 => (0..30_u8, any::<u64>()).prop_map(|(operations, seed)| Op::CrashSoon { operations, seed }),
        2 => (0..20_u8, any::<u64>()).prop_map(|(operations, seed)| Op::CrashOpening { operations, seed }),
        1 => Just(Op::Reopen),
        1 => (0..100_000_u32).prop_map(|left| Op::DiskFull { left }),
        2 => Just(Op::Heal),
        3 => (failing, 1..4_u8).prop_map(|(operation, times)| Op::Fail { operation, times }),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(part, sync)| Op::Publish { part, sync }),
        2 => (0..3_u8).prop_map(|hours| Op::Tend { hours }),
        2 => (1..4_u8).prop_map(|times| Op::ReopenFaltering { times }),
        2 => Just(Op::Unlink),
        2 => (0..4_u8).prop_map(|records| Op::Away { records }),
    ]
}

fn is_eio(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}

fn contents(id: u64, bytes: u16) -> Vec<u8> {
    let mut body = id.to_le_bytes().to_vec();
    body.extend((0..u64::from(bytes)).map(|at| (id * 131 + at * 17) as u8));
    body
}

struct Model {
    storage: SimStorage,
    journal: Option<Journal>,
    bodies: BTreeMap<u64, Vec<u8>>,
    waiting: Vec<(u64, Receiver<Outcome>)>,
    acknowledged: BTreeMap<Sequence, u64>,
    saved: BTreeSet<Sequence>,
    durable: Sequence,
    crash_seed: u64,
    /// What was there before this run.
    found: BTreeSet<PathBuf>,
}

impl Model {
    fn new() -> Self {
        let mut model = Self {
            storage: SimStorage::new(11),
            journal: None,
            bodies: BTreeMap::new(),
            waiting: Vec::new(),
            acknowledged: BTreeMap::new(),
            saved: BTreeSet::from([0]),
            durable: 0,
            crash_seed: 0,
            found: BTreeSet::new(),
        };
        model.open();
        model
    }

    fn open(&mut self) {
        let options = Options {
            retention_bytes: 128 * 1024,
            ..options()
        };
        let journal = loop {
            self.found = self.storage.snapshot().into_keys().collect();
            match open_with(&self.storage, options.clone()) {
                Ok((journal, _)) => break journal,
                Err(_) if self.storage.is_off() => self.storage.power_on(self.crash_seed),
                // The folder itself could not be read.
                Err(OpenError::Io { source, .. }) if is_eio(&source) => {}
                Err(error) => panic!("a journal that only crashed opens: {error}"),
            }
        };
        let progress = journal.progress();
        assert!(
            self.saved.contains(&progress.sequence),
            "a cursor never saved: {progress:?}"
        );
        assert!(
            progress.sequence >= self.durable,
            "the durable cursor was lost: {progress:?}"
        );
        self.durable = progress.sequence;
        self.journal = Some(journal);
        self.check();
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Append { records, bytes } => {
                // The first one's callback keeps the writer until all others wait: they become one group.
                let (release, gate) = channel::<()>();
                let mut gate = Some(gate);
                for _ in 0..records {
                    self.append(bytes, gate.take());
                }
                drop(release);
            }
            Op::Wait => self.wait(),
            Op::Crash { seed } => self.crash(seed),
            Op::CrashSoon { operations, seed } => {
                self.crash_seed = seed;
                self.storage.light_fuse(u32::from(operations));
            }
            Op::CrashOpening { operations, seed } => {
                self.crash_seed = seed;
                self.storage.power_off();
                self.journal = None;
                self.settle();
                self.storage.power_on(seed);
                self.storage.light_fuse(u32::from(operations));
                self.open();
            }
            Op::Reopen => self.reopen(0),
            Op::ReopenFaltering { times } => self.reopen(u32::from(times)),
            Op::DiskFull { left } => self.storage.leave_free(u64::from(left)),
            Op::Heal => self.storage.heal(),
            Op::Fail { operation, times } => self.storage.fail(operation, u32::from(times)),
            Op::Publish { part, sync } => self.publish(part, sync),
            Op::Unlink => self.unlink(),
            Op::Away { records } => {
                self.settle();
                self.storage.detach_folder(Path::new(DIR));
                (0..records).for_each(|_| self.append(100, None));
                self.settle();
                self.storage.attach_folder(Path::new(DIR));
                self.journal().tend();
                self.durable = self.journal().durable_progress().sequence;
            }
            Op::Tend { hours } => {
                self.storage.advance_clock(u64::from(hours) * 3_600_000);
                self.journal().tend();
                // Housekeeping syncs the cursor; the power may go right after.
                self.durable = self.journal().durable_progress().sequence;
            }
        }
        if self.storage.is_off() {
            self.crash(self.crash_seed);
        } else if self.waiting.is_empty() {
            self.check();
        }
    }

    fn reopen(&mut self, failing_reads: u32) {
        self.storage.heal();
        self.journal().close();
        self.settle();
        if !self.storage.is_off() {
            self.journal = None;
            self.storage.fail(Operation::Read, failing_reads);
            self.open();
        }
    }

    fn append(&mut self, bytes: u16, gate: Option<Receiver<()>>) {
        let id = self.bodies.len() as u64;
        let body = contents(id, bytes);
        let (sender, receiver) = channel();
        let append = Append {
            tag_length: 8,
            bytes: [id.to_be_bytes().as_slice(), &body].concat(),
            done: Box::new(move |result| {
                sender.send(result).unwrap_or_default();
                // Ends when the other side is dropped.
                gate.map(|gate| gate.recv());
            }),
        };
        self.bodies.insert(id, body);
        self.journal()
            .append(append)
            .expect("neither full nor closed");
        self.waiting.push((id, receiver));
    }

    fn unlink(&mut self) {
        // With a fault on top of it records may be lost, and rightly so.
        if self.storage.is_about_to_fail() {
            return;
        }
        self.settle();
        let names = self.storage.snapshot().into_keys();
        let mut logs = names.filter(|path| path.extension() == Some("log".as_ref()));
        // One of this run: there is a descriptor to write it again from.
        let Some(path) = logs.next_back().filter(|path| !self.found.contains(path)) else {
            return;
        };
        self.storage.unlink(&path);
        let last = self.acknowledged.keys().next_back().copied();
        eventually("it is written again, or holds nothing", || {
            self.journal().tend();
            let base: Sequence = path.file_stem()?.to_str()?.parse().ok()?;
            (self.storage.contents(&path).is_some() || last < Some(base)).then_some(())
        });
    }

    fn publish(&mut self, part: u8, sync: bool) {
        let journal = self.journal();
        let (last, now) = (journal.last_sequence(), journal.progress().sequence);
        let sequence = now + (last - now) * u64::from(part) / 255;
        let progress = Progress {
            published: sequence,
            ..published(sequence)
        };
        let saved = journal.save_progress(progress, sync).is_ok();
        let durable = journal.durable_progress().sequence;
        self.saved.insert(sequence);
        if saved && sync {
            assert_eq!(durable, sequence);
        }
        self.durable = durable;
    }

    /// Hears of all appends that wait.
    fn wait(&mut self) {
        self.settle();
    }

    fn settle(&mut self) {
        for (id, receiver) in std::mem::take(&mut self.waiting) {
            match receiver.recv().expect("called exactly once") {
                Ok(sequence) => {
                    let before = self.acknowledged.insert(sequence, id);
                    assert_eq!(before, None, "sequence {sequence} was given twice");
                }
                Err(AppendError::DiskFull | AppendError::Storage | AppendError::Displaced) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn crash(&mut self, seed: u64) {
        self.storage.power_off();
        self.journal = None;
        self.settle();
        self.storage.power_on(seed);
        self.open();
    }

    fn check(&self) {
        let journal = self.journal();
        let progress = journal.progress().sequence;
        let last = journal.last_sequence();
        assert!(last >= self.acknowledged.keys().next_back().copied().unwrap_or(0));
        assert_eq!(journal.status().damaged_segments, 0, "a crash is no damage");
        assert_eq!(journal.ledger().unaccounted, 0);
        let mut reader = journal.reader(1);
        let (mut next, mut ids) = (1, BTreeSet::new());
        let mut first = true;
        loop {
            let read = match reader.next(Duration::ZERO) {
                Ok(read) => read,
                // The power goes, or an injected fault is met, while we look.
                Err(_) if self.storage.is_off() => return,
                // It is tried again: never more than three in a row are injected.
                Err(error) if is_eio(&error) => continue,
                Err(error) => panic!("{error}"),
            };
            match read {
                Next::Record(stored) => {
                    assert_eq!(stored.sequence, next);
                    let id = u64::from_be_bytes(stored.tag.try_into().unwrap());
                    assert_eq!(Some(stored.body), self.bodies.get(&id).map(Vec::as_slice));
                    assert!(ids.insert(id), "{id} is there twice");
                    if let Some(acknowledged) = self.acknowledged.get(&next) {
                        assert_eq!(*acknowledged, id, "sequence {next}");
                    }
                    next += 1;
                }
                Next::Missing { from, to, .. } => {
                    assert!(first, "{from} to {to} are missing after the first record");
                    assert!(
                        to <= self.durable.max(progress),
                        "{to} was deleted above the cursor"
                    );
                    next = to + 1;
                }
                Next::Idle | Next::Closed => break,
            }
            first = false;
        }
        assert_eq!(next, last + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        max_shrink_iters: 2000,
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases())
    })]
    #[test]
    fn what_was_acknowledged_survives_whatever_happens(ops in prop::collection::vec(op(), 1..40)) {
        let mut model = Model::new();
        for op in ops {
            model.apply(op);
        }
        model.crash(1);
        let journal = model.journal.take().unwrap();
        journal.close();
        let verification = view(&model.storage).verify().unwrap();
        prop_assert_eq!(verification.damage, vec![]);
    }
}

fn cases() -> u32 {
    let set = std::env::var("PROPTEST_CASES").ok();
    set.and_then(|cases| cases.parse().ok()).unwrap_or(96)
}
