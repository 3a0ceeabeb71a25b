//! The ring's file against a model, with crashes and faults as operations.

use super::disk::{candidate, file_blocks, judge, kept, open};
use crate::support::sim_storage::{Operation, SimStorage};
use icr_bridge::rejected::{BLOCK, Candidate, Digest, Key, Put, Shelf};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
enum Op {
    Put {
        standing: u8,
        peer: u8,
        minute: u8,
        size: u16,
    },
    PutAgain {
        which: u8,
    },
    Remove {
        part: u8,
    },
    Sync,
    Reopen {
        blocks: u8,
    },
    Crash {
        seed: u64,
    },
    CrashSoon {
        operations: u8,
        seed: u64,
    },
    DiskFull {
        left: u16,
    },
    Heal,
    Fail {
        operation: Operation,
        times: u8,
    },
    MayGrow(bool),
    GiveWay,
}

fn op() -> impl Strategy<Value = Op> {
    let failing = prop_oneof![
        Just(Operation::Write),
        Just(Operation::Sync),
        Just(Operation::Create),
        Just(Operation::Read),
        Just(Operation::SyncDir),
    ];
    let put = (0..8_u8, 0..4_u8, 0..4_u8, 0..3000_u16);
    prop_oneof![
        16 => put.prop_map(|(standing, peer, minute, size)| Op::Put { standing, peer, minute, size }),
        2 => any::<u8>().prop_map(|which| Op::PutAgain { which }),
        2 => any::<u8>().prop_map(|part| Op::Remove { part }),
        4 => Just(Op::Sync),
        1 => (20..60_u8).prop_map(|blocks| Op::Reopen { blocks }),
        2 => any::<u64>().prop_map(|seed| Op::Crash { seed }),
        2 => (0..12_u8, any::<u64>()).prop_map(|(operations, seed)| Op::CrashSoon { operations, seed }),
        1 => (0..4000_u16).prop_map(|left| Op::DiskFull { left }),
        2 => Just(Op::Heal),
        1 => (failing, 1..3_u8).prop_map(|(operation, times)| Op::Fail { operation, times }),
        1 => any::<bool>().prop_map(Op::MayGrow),
        1 => Just(Op::GiveWay),
    ]
}

struct Model {
    disk: SimStorage,
    shelf: Shelf,
    blocks: u64,
    may_grow: bool,
    /// All that was ever put.
    put: BTreeMap<Digest, Candidate>,
    /// What was kept when last synced, and is kept since.
    safe: BTreeSet<Digest>,
    /// Which entry is which delivery, as far as that could be read.
    digests: BTreeMap<Key, Digest>,
    /// Durably removed.
    removed: BTreeSet<Digest>,
    /// A write or a sync failed: nobody knows what reached the disk.
    doubtful: bool,
}

impl Model {
    fn new(seed: u64) -> Self {
        let disk = SimStorage::new(seed);
        Self {
            shelf: open(&disk, 40),
            disk,
            blocks: 40,
            may_grow: true,
            put: BTreeMap::new(),
            safe: BTreeSet::new(),
            digests: BTreeMap::new(),
            removed: BTreeSet::new(),
            doubtful: false,
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Put {
                standing,
                peer,
                minute,
                size,
            } => {
                let number = self.put.len() as u32;
                let candidate = candidate(standing, peer, minute, number, usize::from(size));
                self.put.insert(candidate.digest, candidate.clone());
                self.put(&candidate);
            }
            Op::PutAgain { which } => {
                let again = self
                    .put
                    .values()
                    .nth(usize::from(which) % self.put.len().max(1));
                if let Some(candidate) = again.cloned() {
                    let there = kept(&self.shelf).contains_key(&candidate.digest);
                    let put = self.put(&candidate);
                    assert!(!there || put == Put::There);
                }
            }
            Op::Remove { part } => self.remove(part),
            Op::Sync => {
                let present = kept(&self.shelf).into_keys().collect();
                match self.shelf.sync() {
                    Ok(()) if !self.doubtful => self.safe = present,
                    Ok(()) => {}
                    Err(_) => self.doubt(),
                }
            }
            Op::Reopen { blocks } => {
                self.blocks = u64::from(blocks);
                // As the bridge leaves.
                if self.shelf.sync().is_err() {
                    self.doubt();
                }
                self.disk.heal();
                self.reopen();
            }
            Op::Crash { seed } => self.crash(seed),
            Op::CrashSoon { operations, seed } => {
                self.disk.light_fuse(u32::from(operations));
                for number in 0..6 {
                    self.apply(Op::Put {
                        standing: 4,
                        peer: number,
                        minute: 0,
                        size: 700,
                    });
                    self.apply(Op::Remove { part: 200 });
                    if number == 3 {
                        self.apply(Op::GiveWay);
                    }
                }
                self.crash(seed);
            }
            Op::DiskFull { left } => self.disk.leave_free(u64::from(left)),
            Op::Heal => self.disk.heal(),
            Op::Fail { operation, times } => {
                self.disk.fail(operation, u32::from(times));
                if matches!(operation, Operation::Write | Operation::Sync) {
                    self.doubt();
                }
            }
            Op::MayGrow(may_grow) => self.may_grow = may_grow,
            Op::GiveWay => {
                let before = self.shelf.amount();
                let gave = self.shelf.give_way();
                let amount = self.shelf.amount();
                assert_eq!(amount.strangers, 0);
                match gave {
                    Ok(gone) => {
                        assert_eq!(gone, before.familiar + before.strangers - amount.familiar)
                    }
                    // What was on its way to another place may be lost.
                    Err(_) => self.doubt(),
                }
                self.forget_what_is_gone();
            }
        }
        self.check();
    }

    fn put(&mut self, candidate: &Candidate) -> Put {
        let grown_before = file_blocks(&self.disk);
        let put = self.shelf.put(candidate, self.may_grow);
        if !self.may_grow {
            assert_eq!(file_blocks(&self.disk).max(grown_before), grown_before);
        }
        // One that failed may have been written all the same.
        if matches!(put, Put::Kept { .. } | Put::Failed) {
            self.removed.remove(&candidate.digest);
        }
        if put == Put::Failed && !self.disk.is_off() {
            self.doubt();
        }
        self.forget_what_is_gone();
        put
    }

    fn remove(&mut self, part: u8) {
        let all = self.shelf.after(None, u64::MAX, usize::MAX, usize::MAX);
        let some = all.iter().filter(|kept| kept.bytes.is_some());
        let some = some
            .enumerate()
            .filter(|(place, _)| place % 8 == usize::from(part % 8));
        let some: Vec<_> = some.map(|(_, kept)| kept).collect();
        let keys: Vec<_> = some.iter().map(|kept| kept.key).collect();
        match self.shelf.remove(&keys) {
            Ok(()) => {
                let digests = some
                    .iter()
                    .map(|kept| judge(kept.bytes.clone().unwrap()).unwrap().digest);
                self.removed.extend(digests);
            }
            Err(_) if self.disk.is_off() => {}
            Err(_) => self.doubt(),
        }
        self.forget_what_is_gone();
    }

    /// Also while the power is off: an entry that the shelf has forgotten may be gone from the disk.
    fn forget_what_is_gone(&mut self) {
        let all = self.shelf.after(None, u64::MAX, usize::MAX, usize::MAX);
        let read = all
            .iter()
            .filter_map(|kept| Some((kept.key, kept.bytes.clone()?)));
        let read = read.map(|(key, bytes)| (key, judge(bytes).unwrap().digest));
        self.digests.extend(read);
        let present: BTreeSet<Digest> = all
            .iter()
            .filter_map(|kept| self.digests.get(&kept.key).copied())
            .collect();
        self.safe.retain(|digest| present.contains(digest));
    }

    fn doubt(&mut self) {
        self.safe.clear();
        self.doubtful = true;
    }

    fn crash(&mut self, seed: u64) {
        self.disk.power_off();
        self.disk.power_on(seed);
        self.disk.heal();
        self.reopen();
        // What the disk has now is what it has.
        self.doubtful = false;
    }

    fn reopen(&mut self) {
        self.shelf = open(&self.disk, self.blocks);
        let present = kept(&self.shelf);
        if file_blocks(&self.disk) <= self.blocks {
            let missing = self
                .safe
                .iter()
                .filter(|digest| !present.contains_key(*digest));
            // A smaller file has no room for all.
            let full = self.shelf.amount().bytes + 7 * BLOCK as u64 > self.blocks * BLOCK as u64;
            assert!(full || missing.count() == 0, "lost what was safe");
        }
        self.safe.retain(|digest| present.contains_key(digest));
        let back = self
            .removed
            .iter()
            .filter(|digest| present.contains_key(*digest));
        assert!(
            self.doubtful || back.count() == 0,
            "what was removed is back"
        );
        // Those whose erasing failed are there again, and need not go by themselves.
        self.removed.retain(|digest| !present.contains_key(digest));
    }

    fn check(&self) {
        let present = kept(&self.shelf);
        for (digest, bytes) in &present {
            assert_eq!(
                Some(bytes),
                self.put.get(digest).map(|candidate| &candidate.bytes)
            );
        }
        let amount = self.shelf.amount();
        assert!(amount.bytes <= self.blocks * BLOCK as u64);
        assert!(self.shelf.file_bytes() <= self.blocks * BLOCK as u64);
        assert!(amount.familiar + amount.strangers >= present.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_ring_is_bounded_and_what_was_synced_is_whole(
        ops in prop::collection::vec(op(), 1..60),
        seed: u64,
    ) {
        let mut model = Model::new(seed);
        ops.into_iter().for_each(|op| model.apply(op));
        model.crash(seed);
    }
}
