//! The journal's record of a delivery, and its tag: what is read is what was written, and nothing else is taken for one.

use crate::domain::delivery::{DecodeError, Delivery, MAX_HEADERS};
use crate::domain::tag::Tag;

pub fn check(data: &[u8]) {
    if let Some(tag) = Tag::decode(data) {
        assert_eq!(tag.encode().as_slice(), data);
    }
    match Delivery::decode(data) {
        Ok(mut delivery) => {
            assert_eq!(Delivery::peek_id(data), Some(delivery.id));
            // No envelope where no string stands, and never a panic.
            let _ = delivery.verified();
            let mut encoded = Vec::new();
            // More are read than are ever written.
            delivery.headers.truncate(MAX_HEADERS);
            delivery.encode(&mut encoded);
            assert_eq!(Delivery::decode(&encoded), Ok(delivery));
        }
        Err(DecodeError::NewerVersion(version)) => assert!(data[0] == version && version > 1),
        Err(DecodeError::Malformed) => {}
    }
}
