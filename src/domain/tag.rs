//! The small opaque tag that the journal keeps beside each delivery, so that starting need not parse bodies.
//!
//! **On-disk format**, little-endian, 40 bytes. A change of layout or of a hash below is a new version number.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | version: 1 |
//! | 1 | 1 | kind of event ([`EventKind`] as a number), 0 where none was seen |
//! | 2 | 1 | 1 where an installation was seen, else 0 |
//! | 3 | 1 | 0 |
//! | 4 | 4 | app: FNV-1a (32 bits) of its name |
//! | 8 | 8 | acceptance, milliseconds since 1970-01-01 UTC |
//! | 16 | 8 | installation: FNV-1a (64 bits) of its id, 0 where none was seen |
//! | 24 | 16 | the first 16 bytes of the SHA-256 of `signedData` |
//!
//! FNV-1a because it is stable, public and a dozen instructions; only proven deliveries are hashed, so nobody but ICR could
//! look for collisions, and one would at worst confuse two installations' latest deliveries.

use super::delivery::Millis;
use super::event::EventKind;
use super::glance::Glance;

/// 16 bytes of the SHA-256 of `signedData`: enough to tell deliveries apart.
pub type ShortFingerprint = [u8; 16];

const VERSION: u8 = 1;

/// What a restart needs to know of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// The kind seen by the shallow look; `None` where it saw none.
    pub kind: Option<EventKind>,
    /// When it was accepted.
    pub accepted_at: Millis,
    /// A hash of the app's name.
    pub app: u32,
    /// A hash of the installation's id.
    pub installation: Option<u64>,
    /// Of `signedData`.
    pub fingerprint: ShortFingerprint,
}

impl Tag {
    /// The number of bytes of an encoded tag.
    pub const LENGTH: usize = 40;

    /// Builds the tag of a delivery.
    pub fn new(glance: &Glance, accepted_at: Millis, app: &str, fingerprint: &[u8; 32]) -> Self {
        let (short, _) = fingerprint.split_first_chunk().unwrap_or((&[0; 16], &[]));
        Self {
            kind: glance.kind,
            accepted_at,
            app: Self::app_hash(app),
            installation: glance.installation,
            fingerprint: *short,
        }
    }

    /// The hash that stands for an app's name.
    pub fn app_hash(app: &str) -> u32 {
        app.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
    }

    /// The hash that stands for an installation's or an app's id.
    pub fn id_hash(id: &str) -> u64 {
        id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// Its bytes: first a version.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let kind = self.kind.map_or(0, |kind| kind as u8);
        let seen = u8::from(self.installation.is_some());
        let fields: [&[u8]; 5] = [
            &[VERSION, kind, seen, 0],
            &self.app.to_le_bytes(),
            &self.accepted_at.0.to_le_bytes(),
            &self.installation.unwrap_or(0).to_le_bytes(),
            &self.fingerprint,
        ];
        for (slot, byte) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *slot = *byte;
        }
        bytes
    }

    /// Reads it back; `None` for bytes that are no tag of this version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[version, kind, seen, zero], rest) = bytes.split_first_chunk()?;
        let (app, rest) = rest.split_first_chunk()?;
        let (accepted_at, rest) = rest.split_first_chunk()?;
        let (installation, rest) = rest.split_first_chunk()?;
        let fingerprint = rest.try_into().ok()?;
        let installation = u64::from_le_bytes(*installation);
        if version != VERSION || zero != 0 {
            return None;
        }
        Some(Self {
            kind: match kind {
                0 => None,
                code => Some(EventKind::from_code(code)?),
            },
            accepted_at: Millis(u64::from_le_bytes(*accepted_at)),
            app: u32::from_le_bytes(*app),
            installation: match (seen, installation) {
                (0, 0) => None,
                (1, hash) => Some(hash),
                _ => return None,
            },
            fingerprint,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag() -> Tag {
        let glance = Glance {
            kind: Some(EventKind::Suspended),
            installation: Some(Tag::id_hash("123")),
            app_id: None,
            outer_mismatch: true,
        };
        let mut fingerprint = [0; 32];
        for (byte, value) in fingerprint.iter_mut().zip(1..) {
            *byte = value;
        }
        Tag::new(&glance, Millis(0x0102_0304_0506), "default", &fingerprint)
    }

    #[test]
    fn the_layout_on_disk_does_not_move() {
        assert_eq!(
            hex::encode(tag().encode()),
            concat!(
                "01030100",
                "de5b3b93",
                "0605040302010000",
                "dbc4221818c26f45",
                "0102030405060708090a0b0c0d0e0f10"
            )
        );
    }

    #[test]
    fn the_hashes_are_fnv_1a() {
        // Test vectors of the FNV specification.
        assert_eq!(Tag::app_hash(""), 0x811c_9dc5);
        assert_eq!(Tag::app_hash("foobar"), 0xbf9c_f968);
        assert_eq!(Tag::id_hash("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_tag_survives_encoding() {
        let tags = [
            tag(),
            Tag {
                kind: None,
                installation: None,
                ..tag()
            },
            Tag {
                installation: Some(0),
                ..tag()
            },
        ];
        for tag in tags {
            assert_eq!(Tag::decode(&tag.encode()), Some(tag));
        }
    }

    #[test]
    fn bytes_that_are_no_tag_are_refused() {
        let good = tag().encode();
        assert_eq!(Tag::decode(&good[..39]), None);
        assert_eq!(Tag::decode(&[&good[..], &[0]].concat()), None);
        for (position, value) in [(0, 2), (1, 8), (2, 2), (2, 0), (3, 1)] {
            let mut bytes = good;
            bytes[position] = value;
            assert_eq!(Tag::decode(&bytes), None, "byte {position} = {value}");
        }
    }
}
