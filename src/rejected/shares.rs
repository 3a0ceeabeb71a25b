//! Who gives way when there is no room: pure bookkeeping, in blocks.
//!
//! Shares are compared in three steps, so that each flood costs those most like it, and a patient attacker no more than a quick one:
//!
//! 1. **Standing** ([`Standing`]): the lowest gives way first. Whoever proves nothing and knows nothing cannot push out a delivery that
//!    names an app proven before.
//! 2. **Peer**: within a standing the peer that takes most. So one peer that sends a million gains no more than its share, and with n
//!    peers each keeps at least the n-th part, however little it sends. Alone, a peer may fill everything.
//! 3. **Minute**: within a peer the minute of arrival that takes most, and of it the newest, the newcomer first of all. Behind a proxy all
//!    come from one peer, and then this decides. *Oldest first* would let a burst of the ring's size, a matter of seconds, push out all
//!    that came before; *newest first* would let whoever fills the ring once lock it for ever. As minutes have shares, a burst costs
//!    only those that came in its own minute; to cost more, it must go on.

use super::known::Standing;
use super::peer::Peer;
use crate::domain::delivery::Millis;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How an entry is known: by time of arrival, and among equals by the number under which it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key {
    /// When it came.
    pub at: Millis,
    /// Its number on disk.
    pub number: u64,
}

/// Whose share an entry counts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub standing: Standing,
    pub peer: Peer,
}

#[derive(Default)]
pub(super) struct Shares {
    standings: BTreeMap<Standing, Sized<Peer, Sized<Minute, BTreeSet<Key>>>>,
}

/// Minutes since 1970.
type Minute = u64;

fn minute(key: Key) -> Minute {
    key.at.0 / 60_000
}

/// Holders with the blocks that each takes, and who takes most.
struct Sized<K, V> {
    held: HashMap<K, (u32, V)>,
    by_size: BTreeSet<(u32, K)>,
}

impl<K, V> Default for Sized<K, V> {
    fn default() -> Self {
        Self {
            held: HashMap::new(),
            by_size: BTreeSet::new(),
        }
    }
}

impl<K: Copy + Ord + std::hash::Hash, V: Default> Sized<K, V> {
    fn get(&self, holder: &K) -> Option<&V> {
        self.held.get(holder).map(|(_, value)| value)
    }

    fn size(&self, holder: &K) -> u32 {
        self.held.get(holder).map_or(0, |(size, _)| *size)
    }

    fn largest(&self) -> Option<(u32, K)> {
        self.by_size.last().copied()
    }

    /// Gives a holder another size, changes its value, and forgets it once it takes nothing.
    fn resize(&mut self, holder: K, size: impl FnOnce(u32) -> u32, change: impl FnOnce(&mut V)) {
        let (held, value) = self.held.entry(holder).or_default();
        self.by_size.remove(&(*held, holder));
        *held = size(*held);
        change(value);
        if *held > 0 {
            self.by_size.insert((*held, holder));
        } else {
            self.held.remove(&holder);
        }
    }
}

impl Shares {
    /// An entry takes so many blocks; at least one.
    pub(super) fn add(&mut self, place: Place, key: Key, blocks: u32) {
        let grow = |size: u32| size.saturating_add(blocks);
        let peers = self.standings.entry(place.standing).or_default();
        peers.resize(place.peer, grow, |minutes| {
            minutes.resize(minute(key), grow, |keys| {
                keys.insert(key);
            });
        });
    }

    /// An entry takes them no more.
    pub(super) fn remove(&mut self, place: Place, key: Key, blocks: u32) {
        let shrink = |size: u32| size.saturating_sub(blocks);
        let Some(peers) = self.standings.get_mut(&place.standing) else {
            return;
        };
        peers.resize(place.peer, shrink, |minutes| {
            minutes.resize(minute(key), shrink, |keys| {
                keys.remove(&key);
            });
        });
        if peers.held.is_empty() {
            self.standings.remove(&place.standing);
        }
    }

    /// Who gives way to a newcomer of so many blocks; `None`: the newcomer itself.
    pub(super) fn yields_to(&self, place: Place, key: Key, blocks: u32) -> Option<Key> {
        let (standing, peers) = self.standings.first_key_value()?;
        if *standing > place.standing {
            return None;
        }
        let (most, peer) = peers.largest()?;
        let mine = peers.size(&place.peer).saturating_add(blocks);
        if *standing < place.standing || (most > mine && peer != place.peer) {
            let minutes = peers.get(&peer)?;
            return newest(minutes, minutes.largest()?.1);
        }
        // The newcomer's peer takes most, or would: it makes room itself.
        let minutes = peers.get(&place.peer)?;
        let (most, busiest) = minutes.largest()?;
        let mine = minutes.size(&minute(key)).saturating_add(blocks);
        if most > mine && busiest != minute(key) {
            newest(minutes, busiest)
        } else {
            None
        }
    }
}

fn newest(minutes: &Sized<Minute, BTreeSet<Key>>, minute: Minute) -> Option<Key> {
    minutes.get(&minute)?.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn place(standing: (bool, bool, bool), peer: u8) -> Place {
        Place {
            standing: Standing::new(standing.0, standing.1, standing.2),
            peer: Peer::of(Some(IpAddr::from([192, 0, 2, peer]))),
        }
    }

    const STRANGER: (bool, bool, bool) = (false, false, false);
    const FAMILIAR: (bool, bool, bool) = (true, false, false);

    fn key(minute: u64, number: u64) -> Key {
        Key {
            at: Millis(minute * 60_000 + number),
            number,
        }
    }

    #[test]
    fn a_stranger_never_pushes_out_what_is_familiar_and_always_gives_way_to_it() {
        let mut shares = Shares::default();
        shares.add(place(FAMILIAR, 1), key(0, 1), 1000);
        assert_eq!(shares.yields_to(place(STRANGER, 2), key(0, 2), 1), None);
        shares.add(place(STRANGER, 2), key(0, 2), 1);
        assert_eq!(
            shares.yields_to(place(FAMILIAR, 1), key(0, 3), 1000),
            Some(key(0, 2))
        );
    }

    #[test]
    fn of_equals_the_peer_that_takes_most_gives_way_and_of_its_minutes_the_fullest_from_its_end() {
        let mut shares = Shares::default();
        for number in 1..=3 {
            shares.add(place(STRANGER, 1), key(7, number), 5);
        }
        shares.add(place(STRANGER, 1), key(9, 4), 10);
        shares.add(place(STRANGER, 2), key(7, 5), 20);
        assert_eq!(
            shares.yields_to(place(STRANGER, 2), key(9, 6), 4),
            Some(key(7, 3)),
            "24 against 25"
        );
        assert_eq!(
            shares.yields_to(place(STRANGER, 2), key(7, 6), 5),
            None,
            "25 are not less than 25, and its one minute is full of its own"
        );
    }

    #[test]
    fn a_peer_that_takes_most_makes_room_for_another_minute_of_its_own() {
        let mut shares = Shares::default();
        shares.add(place(STRANGER, 1), key(7, 1), 50);
        shares.add(place(STRANGER, 1), key(7, 2), 50);
        shares.add(place(STRANGER, 2), key(7, 3), 1);
        assert_eq!(shares.yields_to(place(STRANGER, 1), key(7, 4), 1), None);
        assert_eq!(
            shares.yields_to(place(STRANGER, 1), key(8, 4), 1),
            Some(key(7, 2))
        );
        assert_eq!(
            shares.yields_to(place(STRANGER, 1), key(8, 4), 100),
            None,
            "not for more than the fullest has"
        );
    }

    #[test]
    fn what_is_removed_takes_nothing_and_nobody_gives_way_where_nobody_is() {
        let mut shares = Shares::default();
        assert_eq!(shares.yields_to(place(FAMILIAR, 1), key(0, 1), 1), None);
        shares.add(place(STRANGER, 1), key(0, 1), 3);
        shares.add(place(STRANGER, 1), key(0, 2), 4);
        shares.remove(place(STRANGER, 1), key(0, 1), 3);
        assert_eq!(
            shares.yields_to(place(FAMILIAR, 1), key(0, 3), 1),
            Some(key(0, 2))
        );
        shares.remove(place(STRANGER, 1), key(0, 2), 4);
        assert!(shares.standings.is_empty());
    }
}
