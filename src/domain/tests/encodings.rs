//! What goes to disk comes back.

use icr_domain::delivery::{Delivery, Millis};
use icr_domain::event::EventKind;
use icr_domain::signature::Signature;
use icr_domain::tag::Tag;
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

proptest! {
    #[test]
    fn a_delivery_survives_encoding(
        id: u128,
        at: u64,
        app in "[a-z0-9-]{1,32}",
        secret_position: u8,
        signature: [u8; 32],
        headers in vec(("[a-z-]{0,255}", vec(any::<u8>(), 0..300)), 0..16),
        body in vec(any::<u8>(), 0..2000),
        cut: (prop::sample::Index, prop::sample::Index),
    ) {
        let (one, other) = (cut.0.index(body.len() + 1), cut.1.index(body.len() + 1));
        let delivery = Delivery {
            id: Uuid::from_u128(id),
            accepted_at: Millis(at),
            app: &app,
            secret_position,
            signature: Signature::from_bytes(signature),
            token: one.min(other)..one.max(other),
            headers: headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect(),
            body: &body,
        };
        let mut bytes = b"before".to_vec();
        delivery.encode(&mut bytes);
        prop_assert_eq!(Delivery::decode(&bytes[6..]), Ok(delivery));
    }

    #[test]
    fn a_tag_survives_encoding(
        kind in prop::option::of(prop::sample::select(EventKind::ALL)),
        at: u64,
        app: u32,
        installation: Option<u64>,
        fingerprint: [u8; 16],
    ) {
        let tag = Tag { kind, accepted_at: Millis(at), app, installation, fingerprint };
        prop_assert_eq!(Tag::decode(&tag.encode()), Some(tag));
    }
}
