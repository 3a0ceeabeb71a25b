//! How much of a flood is looked at. Costs an atomic operation or two, and no memory beyond a fixed table.
//!
//! A delivery that is to be kept is copied, hashed and parsed by the ring's thread. While the ring has room, each may cost that much: it
//! happens once. Once it is full, a flood would buy a lot of work with little, so a peer gets [`PEER`] of each standing and all peers
//! together [`ALL`] of each standing. Standings (here those of the outer body: a hint) don't take from each other, so a flood of strangers
//! costs a delivery that names a proven app nothing, also where both come through the same proxy.
//!
//! Each limit is a generic cell rate algorithm in one atomic: the time at which the next would be due if all came evenly.

use super::known::Standing;
use super::peer::Peer;
use crate::domain::delivery::Millis;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Peers share these places by a keyed hash that nobody outside can foresee.
const PLACES: usize = 4096;

/// What one peer may bring: 100 a second, 2,000 at once.
const PEER: Limit = Limit {
    apart: 10_000,
    burst: 2_000,
};

/// What all peers may bring: 500 a second, 5,000 at once. At some 10 µs each this is half a percent of a core.
const ALL: Limit = Limit {
    apart: 2_000,
    burst: 5_000,
};

/// The rules at the ring's door.
pub struct Door {
    hasher: RandomState,
    peers: Box<[AtomicU64]>,
    all: [AtomicU64; Standing::COUNT],
}

#[derive(Clone, Copy)]
struct Limit {
    /// Microseconds between two in the long run.
    apart: u64,
    /// How many may come at once.
    burst: u64,
}

impl Default for Door {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            peers: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            all: Default::default(),
        }
    }
}

impl Door {
    /// Whether a delivery that came from `peer` at `now` is looked at while the ring is full.
    pub fn admits(&self, standing: Standing, peer: Peer, now: Millis) -> bool {
        let now = now.0.saturating_mul(1000);
        let place = self.hasher.hash_one((standing, peer)) as usize % PLACES;
        let passes =
            |due: Option<&AtomicU64>, limit: Limit| due.is_some_and(|due| limit.passes(due, now));
        passes(self.peers.get(place), PEER) && passes(self.all.get(standing.index()), ALL)
    }
}

impl Limit {
    fn passes(self, due: &AtomicU64, now: u64) -> bool {
        let latest = now.saturating_add(self.apart * self.burst);
        let next = |due: u64| {
            // Later than it can be: the clock was set back.
            let due = if due > latest { now } else { due.max(now) };
            Some(due + self.apart).filter(|next| *next <= latest)
        };
        due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    const START: u64 = 1_700_000_000_000;

    fn peer(number: u32) -> Peer {
        Peer::of(Some(IpAddr::from(number.to_be_bytes())))
    }

    /// How many of `rate` a second from one peer pass in `seconds`.
    fn passed(door: &Door, standing: Standing, peer: Peer, rate: u64, seconds: u64) -> u64 {
        (0..rate * seconds)
            .filter(|number| door.admits(standing, peer, Millis(START + number * 1000 / rate)))
            .count() as u64
    }

    #[test]
    fn a_peer_gets_a_burst_and_then_its_rate() {
        let door = Door::default();
        let stranger = Standing::new(false, false, false);
        let passed = passed(&door, stranger, peer(1), 5000, 10);
        assert!((2990..=3010).contains(&passed), "{passed}");
    }

    #[test]
    fn a_flood_takes_nothing_from_another_standing_of_the_same_peer() {
        let door = Door::default();
        passed(&door, Standing::new(true, false, true), peer(1), 5000, 10);
        let other = Standing::new(true, true, true);
        assert_eq!(passed(&door, other, peer(1), 100, 10), 1000);
    }

    #[test]
    fn a_thousand_peers_together_are_bounded_too() {
        let door = Door::default();
        let stranger = Standing::new(false, false, false);
        let passed = (0..300_000u32)
            .filter(|number| {
                door.admits(
                    stranger,
                    peer(number % 1000),
                    Millis(START + u64::from(number / 30)),
                )
            })
            .count();
        assert!((9_900..=10_100).contains(&passed), "{passed} in 10 s");
    }

    #[test]
    fn a_clock_that_is_set_back_closes_nothing() {
        let door = Door::default();
        let stranger = Standing::new(false, false, false);
        passed(&door, stranger, peer(1), 5000, 10);
        assert!(door.admits(stranger, peer(1), Millis(START - 3_600_000)));
    }
}
