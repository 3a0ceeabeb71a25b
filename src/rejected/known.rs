//! What proven deliveries have named and where they came from, and how a delivery that is not proven compares with that.
//!
//! **On-disk format** of the file `known-1`, little-endian: `icrknow1`, a CRC-32C (u32) of what follows, then for app ids, installations
//! and peers in turn their number (u32) and their keys (u64 each), oldest first. A key is FNV-1a (64 bits) over the app's name and the
//! hash of the id, or the peer. The file is written under another name and renamed, so that it is there whole or not at all; one that is
//! damaged counts as empty, and fills again with the next proven deliveries.
//!
//! Only proven deliveries are remembered, so a sender who proves nothing can neither fill this memory nor learn from it. FNV-1a is
//! enough: to hit a key on purpose one must know the id that it stands for, and who knows that need not collide with it.

use super::peer::Peer;
use crate::domain::glance::Named;
use crate::journal::storage::{Access, Storage, replace};
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::path::Path;

/// The file's name; a format that cannot be read by this one will have another.
pub(super) const NAME: &str = "known-1";
/// Under this name it is written first.
pub(super) const TEMPORARY: &str = "known-1.tmp";

const MAGIC: &[u8; 8] = b"icrknow1";

/// How many keys of each kind are remembered; the oldest goes first. An app has one id at ICR and as many installations as customers; ICR's
/// senders are few, unless it sends from a cloud's changing addresses.
const MOST: usize = 4096;

/// How much a delivery that is not proven has in common with proven ones of its app. The greater, the later it gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Standing(u8);

impl Standing {
    /// How many there are.
    pub(super) const COUNT: usize = 8;

    const APP: u8 = 4;
    const INSTALLATION: u8 = 2;
    const PEER: u8 = 1;

    /// What counts most is the app's id, then the installation's, then the peer. (The first two are read from what nobody has proven; the peer
    /// cannot be forged, but behind a proxy all have the same.)
    pub fn new(app: bool, installation: bool, peer: bool) -> Self {
        let part = |known: bool, weight: u8| if known { weight } else { 0 };
        Self(part(app, Self::APP) + part(installation, Self::INSTALLATION) + part(peer, Self::PEER))
    }

    /// Whether it names an app id that was proven before.
    pub fn is_familiar(self) -> bool {
        self.0 & Self::APP != 0
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[derive(Default)]
pub(super) struct Known {
    apps: Keys,
    installations: Keys,
    peers: Keys,
    /// Whether it holds what the file does not.
    unsaved: bool,
}

/// A bounded set, oldest out first.
#[derive(Default)]
struct Keys {
    order: VecDeque<u64>,
    set: HashSet<u64, BuildHasherDefault<AsIs>>,
}

/// Keys are hashes already. Only those of proven deliveries are ever in the set, so nobody else can fill a part of it.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl Keys {
    fn has(&self, key: Option<u64>) -> bool {
        key.is_some_and(|key| self.set.contains(&key))
    }

    /// Whether it is new.
    fn add(&mut self, key: Option<u64>) -> bool {
        let Some(key) = key.filter(|key| self.set.insert(*key)) else {
            return false;
        };
        self.order.push_back(key);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}

impl Known {
    /// Reads the file; a missing or damaged one is an empty memory.
    ///
    /// # Errors
    /// What the storage says, where the file is there and cannot be read.
    pub(super) fn load(storage: &dyn Storage, dir: &Path) -> io::Result<Self> {
        let file = match storage.open(&dir.join(NAME), Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            opened => opened?,
        };
        let most = MAGIC.len() + 4 + 3 * (4 + 8 * MOST);
        let mut bytes = vec![0; most];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(Self::decode(&bytes).unwrap_or_default())
    }

    /// The file's bytes, if it is to be written: it holds something new. From now on it counts as written.
    pub(super) fn take_unsaved(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.unsaved).then(|| self.encode())
    }

    /// The file could not be written.
    pub(super) fn set_unsaved(&mut self) {
        self.unsaved = true;
    }

    /// Takes over what was remembered before this one began.
    pub(super) fn precede_with(&mut self, earlier: Self) {
        let later = std::mem::replace(self, earlier);
        for (keys, later) in [
            (&mut self.apps, later.apps),
            (&mut self.installations, later.installations),
            (&mut self.peers, later.peers),
        ] {
            for key in later.order {
                self.unsaved |= keys.add(Some(key));
            }
        }
    }

    /// How a delivery for `app` compares.
    pub(super) fn standing(&self, app: &str, named: Named, peer: Peer) -> Standing {
        Standing::new(
            self.apps.has(id_key(app, named.app_id)),
            self.installations.has(id_key(app, named.installation)),
            self.peers.has(Some(peer_key(app, peer))),
        )
    }

    /// A delivery for `app` was proven.
    pub(super) fn learn(&mut self, app: &str, named: Named, peer: Peer) {
        let news = [
            self.apps.add(id_key(app, named.app_id)),
            self.installations.add(id_key(app, named.installation)),
            self.peers.add(Some(peer_key(app, peer))),
        ];
        self.unsaved |= news.contains(&true);
    }

    /// Whether [`Known::learn`] would change nothing.
    pub(super) fn knows(&self, app: &str, named: Named, peer: Peer) -> bool {
        let known = |keys: &Keys, key: Option<u64>| key.is_none() || keys.has(key);
        known(&self.apps, id_key(app, named.app_id))
            && known(&self.installations, id_key(app, named.installation))
            && known(&self.peers, Some(peer_key(app, peer)))
    }

    fn encode(&self) -> Vec<u8> {
        let mut rest = Vec::new();
        for keys in [&self.apps, &self.installations, &self.peers] {
            rest.extend_from_slice(&(keys.order.len() as u32).to_le_bytes());
            rest.extend(keys.order.iter().flat_map(|key| key.to_le_bytes()));
        }
        let crc = crc32c::crc32c(&rest).to_le_bytes();
        [MAGIC.as_slice(), &crc, &rest].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (crc, mut rest) = rest.split_first_chunk()?;
        if u32::from_le_bytes(*crc) != crc32c::crc32c(rest) {
            return None;
        }
        let mut known = Self::default();
        for keys in [&mut known.apps, &mut known.installations, &mut known.peers] {
            let (count, after) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*count))
                .ok()?
                .checked_mul(8)?;
            let (mine, after) = after.split_at_checked(length)?;
            for key in mine.chunks_exact(8) {
                keys.add(key.try_into().ok().map(u64::from_le_bytes));
            }
            rest = after;
        }
        Some(known)
    }
}

fn id_key(app: &str, hash: Option<u64>) -> Option<u64> {
    hash.map(|hash| key(app, &hash.to_le_bytes()))
}

fn peer_key(app: &str, peer: Peer) -> u64 {
    key(app, peer.as_bytes())
}

pub(super) fn save(storage: &dyn Storage, dir: &Path, bytes: &[u8]) -> io::Result<()> {
    storage.create_dir(dir)?;
    replace(storage, &dir.join(NAME), bytes)
}

/// FNV-1a; names of apps hold no zero byte, so none runs into what follows it.
fn key(app: &str, what: &[u8]) -> u64 {
    let bytes = app.bytes().chain([0]).chain(what.iter().copied());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(app_id: u64, installation: u64) -> Named {
        Named {
            app_id: Some(app_id),
            installation: Some(installation),
        }
    }

    fn peer(last: u8) -> Peer {
        Peer::of(Some(std::net::IpAddr::from([192, 0, 2, last])))
    }

    #[test]
    fn a_standing_grows_with_the_app_id_first_then_the_installation_then_the_peer() {
        let mut all = Vec::new();
        for app in [false, true] {
            for installation in [false, true] {
                for peer in [false, true] {
                    all.push(Standing::new(app, installation, peer));
                }
            }
        }
        assert!(all.is_sorted());
        assert_eq!(all.len(), Standing::COUNT);
        assert!(
            all.iter()
                .enumerate()
                .all(|(place, it)| it.index() == place)
        );
        assert_eq!(all.iter().filter(|it| it.is_familiar()).count(), 4);
    }

    #[test]
    fn what_was_proven_of_one_app_says_nothing_of_another() {
        let mut known = Known::default();
        known.learn("default", named(1, 2), peer(3));
        let standing = |app, named, peer| known.standing(app, named, peer);
        assert_eq!(
            standing("default", named(1, 2), peer(3)),
            Standing::new(true, true, true)
        );
        assert_eq!(
            standing("default", named(1, 9), peer(9)),
            Standing::new(true, false, false)
        );
        assert_eq!(
            standing("default", named(2, 1), peer(3)),
            Standing::new(false, false, true)
        );
        assert_eq!(
            standing("sandbox", named(1, 2), peer(3)),
            Standing::new(false, false, false)
        );
        assert_eq!(
            standing("default", Named::default(), peer(9)),
            Standing::new(false, false, false)
        );
    }

    #[test]
    fn it_survives_being_written_and_a_damaged_file_is_empty() {
        let mut known = Known::default();
        known.learn("default", named(1, 2), peer(3));
        known.learn("default", Named::default(), peer(4));
        let bytes = known.encode();
        let read = Known::decode(&bytes).unwrap();
        assert!(read.knows("default", named(1, 2), peer(3)));
        assert!(read.knows("default", Named::default(), peer(4)));
        assert!(!read.knows("default", Named::default(), peer(5)));
        assert!(!read.unsaved);
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert!(Known::decode(&damaged).is_none(), "byte {place}");
            assert!(Known::decode(&bytes[..place]).is_none(), "{place} bytes");
        }
    }

    #[test]
    fn what_was_learned_before_the_file_was_read_is_kept_beside_it() {
        let mut earlier = Known::default();
        earlier.learn("default", named(1, 2), peer(3));
        let mut known = Known::default();
        known.precede_with(Known::decode(&earlier.encode()).unwrap());
        assert_eq!(known.take_unsaved(), None, "nothing new");
        let mut known = Known::default();
        known.learn("default", named(4, 2), peer(3));
        known.precede_with(Known::decode(&earlier.encode()).unwrap());
        assert!(known.knows("default", named(1, 2), peer(3)));
        assert!(known.knows("default", named(4, 2), peer(3)));
        assert!(known.take_unsaved().is_some());
        assert_eq!(known.take_unsaved(), None, "it is written once");
    }

    #[test]
    fn it_is_bounded_and_forgets_the_oldest() {
        let mut known = Known::default();
        for id in 0..=MOST as u64 {
            known.learn("default", named(id, id), peer(1));
        }
        assert_eq!(known.apps.order.len(), MOST);
        assert!(!known.apps.has(id_key("default", Some(0))));
        assert!(known.apps.has(id_key("default", Some(1))));
        assert!(Known::decode(&known.encode()).is_some());
    }
}
