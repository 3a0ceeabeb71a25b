//! What is kept of a rejected delivery, and what is read from it.

use super::known::Standing;
use super::peer::Peer;
use super::shelf::{Candidate, Digest};
use crate::domain::delivery::{Delivery, Millis};
use crate::domain::envelope::Envelope;
use crate::domain::glance::Named;
use crate::domain::signature::Signature;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A delivery that was turned away for its signature alone.
#[derive(Debug, Clone, Copy)]
pub struct Rejected<'a> {
    /// The app whose path it took.
    pub app: &'a str,
    /// When it came.
    pub at: Millis,
    /// Where from.
    pub peer: Peer,
    /// The signature that no secret in force yields.
    pub signature: Signature,
    /// Headers worth keeping (lowercase name, value).
    pub headers: &'a [(&'a str, &'a [u8])],
    /// What it claims to be about.
    pub named: Named,
    /// The body, an envelope.
    pub body: &'a [u8],
}

impl Rejected<'_> {
    /// What is kept: the peer, and the record of a delivery whose token nobody has looked for.
    pub(super) fn encode(&self) -> Vec<u8> {
        Delivery {
            id: Uuid::nil(),
            accepted_at: self.at,
            app: self.app,
            secret_position: 0,
            signature: self.signature,
            token: 0..0,
            headers: self.headers.to_vec(),
            body: self.body,
        }
        .encode_behind(self.peer.as_bytes())
    }
}

/// Reads what is kept: where it came from, and the delivery, with the time of arrival as time of acceptance.
pub fn decode(bytes: &[u8]) -> Option<(Peer, Delivery<'_>)> {
    let (peer, record) = bytes.split_first_chunk()?;
    Some((Peer::from_bytes(*peer), Delivery::decode(record).ok()?))
}

/// What decides whether these bytes stay, `standing` being asked how it compares; `None` if they are no delivery that could ever be
/// proven.
pub(super) fn candidate(
    bytes: Vec<u8>,
    standing: impl Fn(&str, Named, Peer) -> Standing,
) -> Option<Candidate> {
    let (peer, delivery) = decode(&bytes)?;
    let envelope = Envelope::parse(delivery.body).ok()?;
    let named = Named::inside(envelope.signed_data());
    Some(Candidate {
        standing: standing(delivery.app, named, peer),
        peer,
        at: delivery.accepted_at,
        digest: digest(delivery.app, &envelope, &delivery.signature),
        bytes,
    })
}

fn digest(app: &str, envelope: &Envelope<'_>, signature: &Signature) -> Digest {
    let mut hash = Sha256::new();
    hash.update(app.as_bytes());
    hash.update([0]);
    hash.update(signature.as_bytes());
    hash.update(envelope.signed_data().as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}
