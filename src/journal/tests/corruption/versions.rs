//! Other versions of the format: a journal of the first version is read, and one of a newer version is refused.

use super::{HARMLESS, check};
use crate::harness::*;
use icr_journal::OpenError;

#[test]
fn a_journal_of_the_first_format_is_read_and_goes_on() {
    let storage = cut_off(60);
    for (base, identity) in [(1_u64, 11_u64), (25, 12), (49, 13)] {
        storage.edit(&log(base), |bytes| {
            for at in [0, 4096] {
                bytes[at + 8..at + 12].copy_from_slice(&1u32.to_le_bytes());
                bytes[at + 24..at + 32].copy_from_slice(&identity.to_le_bytes());
                let sum = crc32c::crc32c(&bytes[at..at + 44]);
                bytes[at + 44..at + 48].copy_from_slice(&sum.to_le_bytes());
            }
        });
    }
    storage.edit(&path("cursor"), |bytes| {
        for slot in [0, 4096] {
            bytes[slot + 72..slot + 88].fill(0);
            let sum = crc32c::crc32c(&bytes[slot..slot + 124]);
            bytes[slot + 124..slot + 128].copy_from_slice(&sum.to_le_bytes());
        }
    });
    check(&storage, &HARMLESS);
    let journal = open(&storage);
    assert_eq!(read_all(&journal)[0], Seen::Records(1, 63));
}

#[test]
fn a_newer_segment_or_cursor_refuses_to_open_and_changes_nothing() {
    for (path, positions, crc) in [
        (log(25), vec![0, 4096], 44),
        (path("cursor"), vec![0, 4096], 124),
    ] {
        let storage = filled(60);
        storage.edit(&path, |bytes| {
            for at in positions {
                bytes.resize(bytes.len().max(at + 128), 0);
                bytes[at + 8] = 9;
                bytes.copy_within(0..8, at);
                let sum = crc32c::crc32c(&bytes[at..at + crc]);
                bytes[at + crc..at + crc + 4].copy_from_slice(&sum.to_le_bytes());
            }
        });
        let before = storage.snapshot();
        match open_with(&storage, options()) {
            Err(OpenError::NewerVersion {
                version: 9,
                path: named,
            }) => assert_eq!(named, path),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("opened"),
        }
        assert_eq!(storage.snapshot(), before);
    }
}
