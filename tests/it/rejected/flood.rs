//! Ten minutes of 5,000 forgeries a second, in simulated time, beside a rotation of one genuine delivery a second: at the end all genuine
//! ones are still there. First the rules alone, then the whole ring, thread and judgement included.

use super::rig::{Rig, START, Sender, envelope, forged, simulator};
use icr_bridge::domain::delivery::Millis;
use icr_bridge::domain::event::EventKind;
use icr_bridge::journal::storage::Disk;
use icr_bridge::rejected::{Candidate, Door, Peer, Put, Shelf, Standing};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

const SECONDS: u64 = 600;
const RATE: u64 = 5000;
const CAPACITY: u64 = 64 << 20;

const ICR: Sender = Sender(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

/// App id, installation and peer: what a sender has in common with proven deliveries.
type Common = (bool, bool, bool);

fn standing((app, installation, peer): Common) -> Standing {
    Standing::new(app, installation, peer)
}

/// One of so many attackers.
fn attacker(number: u64, peers: u64) -> Sender {
    let number = (number % peers) as u32;
    Sender(IpAddr::from((0xc633_6400 + number).to_be_bytes()))
}

/// A delivery of ordinary size, whose bytes are all that is needed to judge it: for a ring that is opened again.
fn candidate(common: Common, sender: Sender, at: u64, number: u64) -> Candidate {
    let IpAddr::V4(address) = sender.0 else {
        panic!("IPv4 here");
    };
    let mut bytes = vec![0; 2200];
    bytes[..3].copy_from_slice(&[common.0, common.1, common.2].map(u8::from));
    bytes[3..7].copy_from_slice(&address.octets());
    bytes[7..15].copy_from_slice(&at.to_le_bytes());
    bytes[15..23].copy_from_slice(&number.to_le_bytes());
    judge(bytes).unwrap()
}

fn judge(bytes: Vec<u8>) -> Option<Candidate> {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let address: [u8; 4] = bytes[3..7].try_into().unwrap();
    let mut digest = [0; 16];
    digest[..8].copy_from_slice(&number(15).to_le_bytes());
    Some(Candidate {
        standing: standing((bytes[0] == 1, bytes[1] == 1, bytes[2] == 1)),
        peer: Peer::of(Some(IpAddr::from(address))),
        at: Millis(number(7)),
        digest,
        bytes,
    })
}

/// The rules without the thread: what [`icr_bridge::rejected::Ring`] does with a delivery.
struct Rules {
    door: Door,
    shelf: Shelf,
}

impl Rules {
    fn open(dir: &Path) -> Self {
        Self {
            door: Door::default(),
            shelf: Shelf::open(Arc::new(Disk), dir, CAPACITY, judge).unwrap(),
        }
    }

    fn offer(&mut self, common: Common, sender: Sender, at: u64, number: u64) -> bool {
        let peer = Peer::of(Some(sender.0));
        let welcome =
            self.shelf.is_roomy(true) || self.door.admits(standing(common), peer, Millis(at));
        welcome
            && matches!(
                self.shelf.put(&candidate(common, sender, at, number), true),
                Put::Kept { .. }
            )
    }

    /// The numbers of the genuine ones that are kept.
    fn genuine(&self) -> Vec<u64> {
        let all = self.shelf.after(None, u64::MAX, usize::MAX, usize::MAX);
        let numbers = all.iter().map(|kept| {
            let bytes = kept.bytes.as_ref().unwrap();
            u64::from_le_bytes(bytes[15..23].try_into().unwrap())
        });
        numbers.filter(|number| *number >= GENUINE).collect()
    }
}

/// Genuine deliveries have numbers from here on.
const GENUINE: u64 = 1 << 40;

/// Floods the rules for ten minutes, with a restart in the middle, and asks for all genuine ones at the end.
fn flood(peers: u64, forgeries: Common, icr: Sender, genuine: Common) {
    let dir = tempfile::tempdir().unwrap();
    let mut rules = Rules::open(dir.path());
    for number in 0..SECONDS * RATE {
        let at = START + number * 1000 / RATE;
        rules.offer(forgeries, attacker(number, peers), at, number);
        if number % RATE == RATE / 2 {
            rules.offer(genuine, icr, at, GENUINE + number / RATE);
        }
        if number == SECONDS * RATE / 2 {
            drop(rules);
            rules = Rules::open(dir.path());
        }
    }
    let file = dir.path().join("ring-1").metadata().unwrap().len();
    assert!(file <= CAPACITY, "{file} bytes on disk");
    let amount = rules.shelf.amount();
    assert!(
        amount.bytes > CAPACITY * 9 / 10,
        "it is full of forgeries: {amount:?}"
    );
    let expected: Vec<u64> = (GENUINE..GENUINE + SECONDS).collect();
    assert_eq!(rules.genuine(), expected);
}

const NOTHING: Common = (false, false, false);
const APP: Common = (true, false, false);
const ALL: Common = (true, true, true);

#[test]
fn strangers_from_one_peer_push_out_nothing_that_names_a_proven_app() {
    flood(1, NOTHING, ICR, APP);
}

#[test]
fn strangers_from_a_thousand_peers_push_out_nothing_that_names_a_proven_app() {
    flood(1000, NOTHING, ICR, APP);
}

#[test]
fn who_knows_the_app_id_gains_nothing_from_one_peer() {
    flood(1, APP, ICR, APP);
}

#[test]
fn who_knows_the_app_id_gains_nothing_from_a_thousand_peers_where_icr_s_is_known() {
    flood(1000, APP, ICR, (true, false, true));
}

#[test]
fn who_knows_the_app_id_gains_nothing_behind_the_same_proxy_without_an_installation() {
    flood(1, (true, false, true), attacker(0, 1), ALL);
}

#[test]
fn where_nothing_was_ever_proven_a_single_peer_gains_nothing_either() {
    flood(1, NOTHING, ICR, NOTHING);
}

#[test]
fn a_burst_of_what_cannot_be_told_from_genuine_costs_only_its_own_minutes() {
    let dir = tempfile::tempdir().unwrap();
    let mut rules = Rules::open(dir.path());
    let proxy = attacker(0, 1);
    let mut number = 0;
    // Half an hour of rotation; in its eleventh minute, a burst of ten times what the ring can hold.
    for second in 0..1800 {
        let at = START + second * 1000;
        assert!(
            rules.offer(ALL, proxy, at, GENUINE + second) || (600..660).contains(&second),
            "second {second}"
        );
        if (600..605).contains(&second) {
            for _ in 0..52_000 {
                rules.offer(ALL, proxy, at + 1, number);
                number += 1;
            }
        }
    }
    let kept = rules.genuine();
    let lost = (0..1800).filter(|second| !kept.contains(&(GENUINE + second)));
    let lost: Vec<u64> = lost.collect();
    assert!(
        lost.iter().all(|second| (600..660).contains(second)),
        "lost: {lost:?}"
    );
}

/// Floods the whole ring for a minute, then puts the new secret in force.
#[test]
fn after_a_flood_the_rotation_s_deliveries_are_all_journaled_with_their_time_of_arrival() {
    const SECONDS: u64 = 60;
    let dir = tempfile::tempdir().unwrap();
    let open = || Rig::open(Arc::new(Disk), dir.path(), "old", CAPACITY / 4);
    let mut rig = open();
    let before = simulator("old", 1).delivery(EventKind::Installed, 0);
    rig.deliver(ICR, &before).unwrap();
    let body = envelope(r#"{"event":"x","installation":{"id":"none of ours","appId":"1"}}"#);
    let genuine = simulator("new", 5);
    let request = |second| genuine.delivery(EventKind::OrganizationTransaction, second);
    for second in 0..SECONDS {
        for number in second * RATE..(second + 1) * RATE {
            let at = Millis(START + number * 1000 / RATE);
            if number % RATE == RATE / 2 {
                rig.reject(ICR, at, &request(second));
            }
            rig.offer(attacker(number, 1000), at, forged(number), &body);
        }
        // Time is simulated, the thread is not.
        assert!(rig.ring.flush());
        if second == SECONDS / 2 {
            rig.close();
            rig = open();
            assert!(rig.ring.flush());
        }
    }
    let amount = rig.ring.amount();
    assert!(amount.bytes > CAPACITY / 4 * 9 / 10, "{amount:?}");
    assert!(
        rig.dropped() > SECONDS / 2 * RATE / 2,
        "a flood is dropped and counted"
    );
    assert_eq!(
        rig.reverify().proven,
        0,
        "the secret has not been changed here"
    );
    rig.replace_secret("new");
    let back = rig.reverify();
    assert_eq!((back.proven, back.accepted), (SECONDS, SECONDS), "{back}");
    let journaled = rig.journaled().split_off(1);
    assert_eq!(journaled.len() as u64, SECONDS);
    for (second, (at, body)) in (0..).zip(journaled) {
        assert_eq!(at.0, START + second * 1000 + 500, "in the order of arrival");
        assert_eq!(body, request(second).body);
    }
    assert_eq!(rig.metrics.reverified.get(), SECONDS);
    assert_eq!(rig.reverify().proven, 0, "they have left the ring");
    rig.close();
}
