//! The ring's file: damage, a full disk, another size. Crashes are in `model`.

use crate::support::sim_storage::{Operation, SimStorage};
use icr_bridge::domain::delivery::Millis;
use icr_bridge::rejected::{BLOCK, Candidate, Digest, Peer, Put, Shelf, Standing};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "/journal/rejected";

fn file() -> PathBuf {
    Path::new(DIR).join("ring-1")
}

/// Bytes that say all that is needed to judge them again.
pub(super) fn candidate(standing: u8, peer: u8, minute: u8, number: u32, size: usize) -> Candidate {
    let mut bytes = vec![standing, peer, minute];
    bytes.extend_from_slice(&number.to_le_bytes());
    let filler = (0..size).map(|place| (place as u8).wrapping_add(number as u8));
    bytes.extend(filler);
    judge(bytes).unwrap()
}

pub(super) fn judge(bytes: Vec<u8>) -> Option<Candidate> {
    let [standing, peer, minute, number @ ..] = *bytes.first_chunk::<7>()?;
    let number = u32::from_le_bytes(number);
    let mut digest = [0; 16];
    digest[..4].copy_from_slice(&number.to_le_bytes());
    Some(Candidate {
        standing: Standing::new(standing & 4 != 0, standing & 2 != 0, standing & 1 != 0),
        peer: Peer::of(Some(IpAddr::from([192, 0, 2, peer]))),
        at: Millis(u64::from(minute) * 60_000),
        digest,
        bytes,
    })
}

pub(super) fn open(disk: &SimStorage, blocks: u64) -> Shelf {
    Shelf::open(
        Arc::new(disk.clone()),
        Path::new(DIR),
        blocks * BLOCK as u64,
        judge,
    )
    .unwrap()
}

/// All that can be read, by digest; each is there once and as it was put.
pub(super) fn kept(shelf: &Shelf) -> BTreeMap<Digest, Vec<u8>> {
    let mut all = BTreeMap::new();
    for kept in shelf.after(None, u64::MAX, usize::MAX, usize::MAX) {
        if let Some(bytes) = kept.bytes {
            let digest = judge(bytes.clone()).unwrap().digest;
            assert_eq!(all.insert(digest, bytes), None, "kept twice");
        }
    }
    all
}

pub(super) fn file_blocks(disk: &SimStorage) -> u64 {
    disk.contents(&file())
        .map_or(0, |bytes| bytes.len() as u64 / BLOCK as u64)
}

const STRANGER: u8 = 0;
const FAMILIAR: u8 = 4;

/// So many of one standing, each of two blocks, from peers that take turns.
fn fill(shelf: &mut Shelf, standing: u8, numbers: std::ops::Range<u32>) -> u64 {
    let put = numbers.filter(|number| {
        let candidate = candidate(standing, (number % 4) as u8, 0, *number, 600);
        matches!(shelf.put(&candidate, true), Put::Kept { .. })
    });
    put.count() as u64
}

fn numbers(shelf: &Shelf) -> Vec<u32> {
    let digests = kept(shelf).into_keys();
    let number = |digest: Digest| u32::from_le_bytes(digest[..4].try_into().unwrap());
    digests.map(number).collect()
}

#[test]
fn it_is_there_again_after_a_restart_in_the_order_of_arrival() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 100);
    for (number, minute) in [(1, 5), (2, 3), (3, 4)] {
        let candidate = candidate(STRANGER, 1, minute, number, 10);
        assert_eq!(shelf.put(&candidate, true), Put::Kept { evicted: 0 });
    }
    let order = |shelf: &Shelf| -> Vec<u64> {
        let all = shelf.after(None, u64::MAX, usize::MAX, usize::MAX);
        all.iter().map(|kept| kept.key.at.0 / 60_000).collect()
    };
    assert_eq!(order(&shelf), [3, 4, 5]);
    let before = kept(&shelf);
    let shelf = open(&disk, 100);
    assert_eq!((order(&shelf), kept(&shelf)), (vec![3, 4, 5], before));
}

#[test]
fn portions_go_on_where_the_last_one_ended_and_leave_out_what_came_since() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 100);
    fill(&mut shelf, STRANGER, 0..10);
    let count = shelf.count();
    fill(&mut shelf, STRANGER, 10..20);
    let (mut after, mut sizes) = (None, Vec::new());
    loop {
        let portion = shelf.after(after, count, 4, usize::MAX);
        let Some(last) = portion.last() else { break };
        after = Some(last.key);
        sizes.push(portion.len());
    }
    assert_eq!(sizes, [4, 4, 2]);
    assert_eq!(
        shelf.after(None, count, 100, 1500).len(),
        3,
        "bounded in bytes"
    );
}

#[test]
fn exact_duplicates_are_kept_once() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 100);
    let one = candidate(STRANGER, 1, 0, 1, 600);
    assert_eq!(shelf.put(&one, true), Put::Kept { evicted: 0 });
    let again = Candidate {
        at: Millis(1),
        ..one.clone()
    };
    assert_eq!(shelf.put(&again, true), Put::There);
    let mut shelf = open(&disk, 100);
    assert_eq!(shelf.put(&one, true), Put::There, "after a restart too");
    let keys = [shelf.after(None, u64::MAX, 1, 1)[0].key];
    shelf.remove(&keys).unwrap();
    assert_eq!(shelf.put(&one, true), Put::Kept { evicted: 0 });
}

#[test]
fn with_many_peers_each_keeps_its_share_however_little_it_sends() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 400);
    let put = |shelf: &mut Shelf, peer, number| {
        shelf.put(&candidate(FAMILIAR, peer, 0, number, 600), true);
    };
    // 19 peers bring a hundred each; the twentieth brings ten, two blocks each, in the middle of it.
    for number in 0..1900 {
        put(&mut shelf, (number % 19) as u8, number);
        if number % 190 == 95 {
            put(&mut shelf, 200, 10_000 + number);
        }
    }
    let mine = numbers(&shelf)
        .into_iter()
        .filter(|number| *number >= 10_000);
    assert_eq!(mine.count(), 10, "20 blocks are the twentieth part of 400");
}

#[test]
fn a_large_delivery_pushes_nothing_out_that_it_does_not_replace() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 100);
    fill(&mut shelf, STRANGER, 0..50);
    let before = kept(&shelf);
    for size in [30_000, 49_000, 60_000] {
        // More than any peer has, or more than there is at all.
        let large = candidate(STRANGER, 9, 0, 1000, size);
        assert_eq!(shelf.put(&large, true), Put::NoRoom, "{size}");
        assert_eq!(kept(&shelf), before);
    }
    let familiar = candidate(FAMILIAR, 9, 0, 1001, 30_000);
    assert_eq!(shelf.put(&familiar, true), Put::Kept { evicted: 31 });
}

#[test]
fn damage_anywhere_costs_only_what_it_hits() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 60);
    fill(&mut shelf, FAMILIAR, 0..30);
    let whole = kept(&shelf);
    assert_eq!(whole.len(), 30);
    for place in (0..60 * BLOCK).step_by(37) {
        let damaged = disk.fork();
        damaged.edit(&file(), |bytes| bytes[place] ^= 0x20);
        let left = kept(&open(&damaged, 60));
        assert_eq!(left.len(), 29, "byte {place}");
        assert!(
            left.iter()
                .all(|(digest, bytes)| whole.get(digest) == Some(bytes))
        );
    }
    for length in [0, 1, BLOCK - 1, BLOCK, 31 * BLOCK + 5] {
        let cut = disk.fork();
        cut.edit(&file(), |bytes| bytes.truncate(length));
        assert_eq!(kept(&open(&cut, 60)).len(), length / BLOCK / 2);
    }
    let other = disk.fork();
    other.edit(&file(), |bytes| bytes.fill(0xa5));
    let mut shelf = open(&other, 60);
    assert_eq!(shelf.amount(), Default::default());
    assert_eq!(
        fill(&mut shelf, FAMILIAR, 0..30),
        30,
        "its space is used again"
    );
}

#[test]
fn what_cannot_be_read_at_present_is_left_alone_and_back_later() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 60);
    fill(&mut shelf, FAMILIAR, 0..30);
    shelf.sync().unwrap();
    disk.make_unreadable(&file(), 4 * BLOCK as u64..5 * BLOCK as u64);
    let all = shelf.after(None, u64::MAX, usize::MAX, usize::MAX);
    assert_eq!(all.iter().filter(|kept| kept.bytes.is_none()).count(), 1);
    let mut shelf = open(&disk, 60);
    assert_eq!(shelf.amount().familiar, 29);
    fill(&mut shelf, FAMILIAR, 30..32);
    disk.heal();
    assert!(
        numbers(&open(&disk, 60)).contains(&2),
        "nothing was written over it"
    );
}

#[test]
fn a_full_disk_costs_the_newcomer_alone() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 100);
    fill(&mut shelf, STRANGER, 0..10);
    let before = kept(&shelf);
    disk.leave_free(0);
    let newcomer = candidate(FAMILIAR, 1, 0, 100, 600);
    assert_eq!(shelf.put(&newcomer, true), Put::Failed);
    assert_eq!(kept(&shelf), before);
    assert_eq!(file_blocks(&disk), 20);
    disk.heal();
    assert_eq!(shelf.put(&newcomer, true), Put::Kept { evicted: 0 });
    assert_eq!(kept(&open(&disk, 100)).len(), 11);
}

#[test]
fn under_the_low_water_mark_the_file_does_not_grow_and_the_familiar_replace_strangers() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 100);
    let stranger = candidate(STRANGER, 1, 0, 100, 600);
    assert_eq!(shelf.put(&stranger, false), Put::NoRoom);
    assert_eq!(disk.contents(&file()), None);
    fill(&mut shelf, STRANGER, 0..10);
    assert!(shelf.is_roomy(true) && !shelf.is_roomy(false));
    let familiar = candidate(FAMILIAR, 1, 0, 101, 600);
    assert_eq!(shelf.put(&familiar, false), Put::Kept { evicted: 1 });
    assert_eq!(file_blocks(&disk), 20);
}

#[test]
fn where_the_journal_has_no_room_strangers_and_free_space_are_given_back() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 200);
    for number in 0..40 {
        fill(&mut shelf, STRANGER, number..number + 1);
        fill(&mut shelf, FAMILIAR, 1000 + number..1001 + number);
    }
    assert_eq!(file_blocks(&disk), 160);
    disk.leave_free(0);
    assert_eq!(shelf.give_way().unwrap(), 40);
    assert_eq!(file_blocks(&disk), 80);
    let expected: Vec<u32> = (1000..1040).collect();
    let mut left = numbers(&shelf);
    left.sort_unstable();
    assert_eq!(left, expected);
    disk.power_off();
    disk.power_on(7);
    let mut left = numbers(&open(&disk, 200));
    left.sort_unstable();
    assert_eq!(left, expected, "safe at their new places");
}

#[test]
fn what_gave_way_and_came_again_is_not_back_once_it_was_removed() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 100);
    let stranger = candidate(STRANGER, 1, 0, 1, 10);
    shelf.put(&stranger, true);
    fill(&mut shelf, FAMILIAR, 100..104);
    shelf.sync().unwrap();
    // The familiar one that would have taken its place cannot be read just now.
    disk.fail(Operation::Read, 1);
    assert_eq!(shelf.give_way().unwrap(), 2);
    shelf.put(&stranger, true);
    let all = shelf.after(None, u64::MAX, usize::MAX, usize::MAX);
    let is_stranger = |bytes: Vec<u8>| judge(bytes).unwrap().digest == stranger.digest;
    let it = all
        .iter()
        .find(|it| it.bytes.clone().is_some_and(is_stranger));
    shelf.remove(&[it.unwrap().key]).unwrap();
    assert!(!numbers(&open(&disk, 100)).contains(&1));
}

#[test]
fn a_smaller_ring_keeps_the_familiar_and_a_larger_one_all() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 200);
    for number in 0..40 {
        fill(&mut shelf, STRANGER, number..number + 1);
        fill(&mut shelf, FAMILIAR, 1000 + number..1001 + number);
    }
    let shelf = open(&disk, 90);
    assert_eq!((shelf.amount().familiar, shelf.amount().strangers), (40, 5));
    assert_eq!(file_blocks(&disk), 90);
    let shelf = open(&disk, 400);
    assert_eq!((shelf.amount().familiar, shelf.amount().strangers), (40, 5));
}

#[test]
fn a_write_that_fails_costs_one_delivery() {
    let disk = SimStorage::new(1);
    let mut shelf = open(&disk, 100);
    fill(&mut shelf, STRANGER, 0..10);
    disk.fail(Operation::Write, 1);
    assert_eq!(fill(&mut shelf, STRANGER, 10..20), 9);
    assert_eq!(kept(&shelf).len(), 19);
    disk.fail(Operation::Sync, 1);
    assert!(shelf.sync().is_err());
    assert!(shelf.sync().is_ok());
}

#[test]
fn a_file_that_is_deleted_or_replaced_while_it_is_open_is_written_again() {
    let disk = SimStorage::new(3);
    let mut shelf = open(&disk, 100);
    for number in 0..5 {
        let put = shelf.put(&candidate(7, 1, 0, number, 700), true);
        assert_eq!(put, Put::Kept { evicted: 0 });
    }
    assert!(!shelf.renew().unwrap(), "it is there");
    for replaced in [false, true] {
        disk.unlink(&file());
        if replaced {
            disk.put(&file(), b"somebody's");
        }
        assert!(shelf.renew().unwrap());
        assert!(!shelf.renew().unwrap());
    }
    let put = shelf.put(&candidate(7, 1, 0, 5, 700), true);
    assert_eq!(put, Put::Kept { evicted: 0 });
    shelf.sync().unwrap();
    disk.power_off();
    disk.power_on(1);
    assert_eq!(kept(&open(&disk, 100)).len(), 6);
}
